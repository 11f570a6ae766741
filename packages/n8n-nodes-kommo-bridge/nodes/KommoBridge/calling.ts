import { NodeApiError, sleep } from 'n8n-workflow';
import type { IDataObject, IExecuteFunctions, IHttpRequestMethods, JsonObject } from 'n8n-workflow';

const TRIES = 5;
const FIRST_WAIT_SECONDS = 0.5;
const LONGEST_WAIT_SECONDS = 30;
const ANSWER_WITHIN_MS = 20_000;
const AGAIN = new Set([429, 500, 502, 503, 504]);

export interface Call {
	method: IHttpRequestMethods;
	path: string;
	query?: IDataObject;
	body?: IDataObject;
	/** The same for every try, so that whatever may have arrived is acted on once. */
	key?: string;
}

interface Full {
	statusCode: number;
	headers: Record<string, string | undefined>;
	body: unknown;
}

/** What the bridge answered, or why it did not. */
type Outcome = { answer: IDataObject } | { away: string };

/** Call the bridge; throws a NodeApiError when it refuses or is away. */
export async function call(context: IExecuteFunctions, itemIndex: number, wanted: Call): Promise<IDataObject> {
	const outcome = await ask(context, itemIndex, wanted);
	if ('answer' in outcome) return outcome.answer;
	throw new NodeApiError(context.getNode(), { message: outcome.away }, { itemIndex, message: outcome.away });
}

/**
 * Call the bridge by its own rules of trying again: no answer, 429 and 5xx up to five times, with growing waits or
 * as long as Retry-After says. Throws a NodeApiError with what the bridge said of a refusal.
 */
export async function ask(context: IExecuteFunctions, itemIndex: number, wanted: Call): Promise<Outcome> {
	const credentials = await context.getCredentials('kommoBridgeApi', itemIndex);
	const address = String(credentials.address).replace(/\/+$/, '');
	let trouble = '';
	for (let tried = 1; tried <= TRIES; tried += 1) {
		let asked = 0;
		let answer: Full | undefined;
		try {
			answer = (await context.helpers.httpRequestWithAuthentication.call(context, 'kommoBridgeApi', {
				method: wanted.method,
				url: `${address}/api/v1/${wanted.path}`,
				qs: wanted.query,
				body: wanted.body,
				headers: { Accept: 'application/json', ...(wanted.key ? { 'Idempotency-Key': wanted.key } : {}) },
				json: true,
				timeout: ANSWER_WITHIN_MS,
				returnFullResponse: true,
				ignoreHttpStatusErrors: true,
				// Led elsewhere, a report would become a question, and lose its key.
				disableFollowRedirect: true,
			})) as Full;
		} catch (error) {
			trouble = (error as Error).message;
		}
		if (answer) {
			const isPage = typeof answer.body === 'string' && answer.body.trim() !== '';
			if (answer.statusCode < 300 && !isPage) return { answer: objectOf(answer.body) };
			if (answer.statusCode >= 300 && !AGAIN.has(answer.statusCode)) throw refusal(context, itemIndex, answer);
			// A page of somebody else's, such as a proxy's while the bridge is away.
			trouble = answer.statusCode < 300 ? 'what answers there is not the bridge' : `it answered ${answer.statusCode}`;
			asked = secondsOf(answer.headers['retry-after'], Date.now());
		}
		if (tried < TRIES) {
			const wait = Math.max(asked, FIRST_WAIT_SECONDS * 2 ** (tried - 1));
			await sleep(Math.min(LONGEST_WAIT_SECONDS, wait) * 1000);
		}
	}
	return { away: `The bridge does not answer: ${trouble}` };
}

/** A key for what one item of one run does; n8n's own "retry on fail" has the same. */
export function keyOf(context: IExecuteFunctions, itemIndex: number): string {
	const run = context.evaluateExpression('{{ $runIndex }}', itemIndex) as number;
	const instance = context.getInstanceId().slice(0, 16);
	return ['n8n', instance, context.getExecutionId(), context.getNode().id, run, itemIndex].join(':');
}

/** How long Retry-After asks to wait: seconds, or the moment from which on, as proxies may say it. Else 0. */
function secondsOf(retryAfter: string | undefined, now: number): number {
	const seconds = Number(retryAfter ?? 0);
	return Math.max(0, (Number.isNaN(seconds) ? (Date.parse(retryAfter as string) - now) / 1000 : seconds) || 0);
}

function objectOf(body: unknown): IDataObject {
	return typeof body === 'object' && body !== null ? (body as IDataObject) : {};
}

/** What the bridge said, each field by name: "lead.phone: …". */
function refusal(context: IExecuteFunctions, itemIndex: number, answer: Full): NodeApiError {
	const problem = objectOf(answer.body);
	const errors = Array.isArray(problem.errors) ? (problem.errors as IDataObject[]) : [];
	const fields = errors.map((one) => (one.field ? `${String(one.field)}: ${String(one.message)}` : String(one.message)));
	const elsewhere = answer.statusCode < 400 && answer.headers.location;
	const said = elsewhere
		? `The address leads elsewhere: give the credential ${elsewhere}`
		: String(problem.detail ?? problem.title ?? `the bridge answered ${answer.statusCode}`);
	return new NodeApiError(context.getNode(), { ...problem, statusCode: answer.statusCode } as JsonObject, {
		itemIndex,
		httpCode: String(answer.statusCode),
		message: fields.length ? fields.join('; ') : said,
		description: said,
	});
}
