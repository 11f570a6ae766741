import { createHmac, timingSafeEqual } from 'crypto';

const TOLERANCE_SECONDS = 300;

/** Whether a call is signed per Standard Webhooks, by this secret, within five minutes of `now` (seconds). */
export function isSigned(
	secret: string,
	headers: Record<string, string | string[] | undefined>,
	body: Buffer,
	now: number,
): boolean {
	const id = String(headers['webhook-id'] ?? '');
	const timestamp = String(headers['webhook-timestamp'] ?? '');
	const seconds = Number(timestamp);
	if (!id || !timestamp || !Number.isFinite(seconds) || Math.abs(now - seconds) > TOLERANCE_SECONDS) return false;
	const key = Buffer.from(secret.trim().replace(/^whsec_/, ''), 'base64');
	// An empty key signs what anybody can sign.
	if (key.length === 0) return false;
	const wanted = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
	return String(headers['webhook-signature'] ?? '')
		.split(' ')
		.filter((one) => one.startsWith('v1,'))
		.map((one) => Buffer.from(one.slice(3), 'base64'))
		.some((given) => given.length === wanted.length && timingSafeEqual(given, wanted));
}
