import { createHash, createHmac } from 'node:crypto';
import { Bridge } from './client.js';
import type { Interaction, MayReply } from './types.js';

export const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** A bridge in memory, for the tests of an agent: notes what was reported and answers as it is told. */
export class FakeBridge {
  readonly reports: Interaction[] = [];
  readonly sent: unknown[] = [];
  readonly calls: { method: string; path: string; key: string | null }[] = [];
  /** Statuses, or errors of the way, for the next calls instead of an answer. */
  answers: (number | Error)[] = [];
  stage = 'new';
  #paused: string | null = null;
  readonly #known = new Map<string, string>();

  pause(reason: string): void {
    this.#paused = reason;
  }

  resume(): void {
    this.#paused = null;
  }

  get agent(): MayReply {
    return { may_reply: this.#paused === null, reason: this.#paused, since: null };
  }

  /** Headers and body of a signed event, for `new Events(SECRET)`. */
  event(type: string, data: unknown, id = 'msg_1'): [Record<string, string>, string] {
    const now = new Date();
    const timestamp = String(Math.floor(now.getTime() / 1000));
    const body = JSON.stringify({ type, timestamp: now.toISOString(), data });
    const secret = Buffer.from(SECRET.slice('whsec_'.length), 'base64');
    const signature = `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
    return [{ 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature }, body];
  }

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const path = new URL(url).pathname.replace('/api/v1/', '');
    const key = new Headers(init.headers).get('Idempotency-Key');
    this.calls.push({ method: init.method ?? 'GET', path, key });
    const instead = this.answers.shift();
    if (instead instanceof Error) throw instead;
    if (instead !== undefined && instead >= 300) return Response.json({ detail: 'as the test asked' }, { status: instead });
    const body: unknown = init.body ? JSON.parse(String(init.body)) : undefined;
    if (path === 'interactions/') return this.#take(body as Interaction, key);
    if (path === 'agent/may-reply/') return Response.json(this.agent);
    if (path.endsWith('handoff/')) {
      this.#paused = init.method === 'POST' ? (body as { reason: string }).reason : null;
      return Response.json(this.agent);
    }
    if (path.endsWith('messages/') && init.method === 'POST') {
      if (this.#paused !== null) return Response.json({ code: 'may_not_reply', detail: this.#paused }, { status: 409 });
      this.sent.push(body);
      return Response.json({ id: `m${this.sent.length}`, state: 'queued', ...(body as object) }, { status: 202 });
    }
    if (path.endsWith('opt-out/') || path.endsWith('personal-data/')) return new Response(null, { status: 204 });
    return Response.json({ detail: 'the fake bridge has nothing there' }, { status: 404 });
  };

  #take(body: Interaction, header: string | null): Response {
    const key = header ?? body.message?.id;
    const said = JSON.stringify(body);
    if (key) {
      if ((this.#known.get(key) ?? said) !== said) {
        return Response.json({ detail: 'This idempotency key was used with another body.' }, { status: 409 });
      }
      this.#known.set(key, said);
    }
    const who = body.lead.phone ?? JSON.stringify(body.lead.addresses);
    const isNew = !this.reports.some((one) => (one.lead.phone ?? JSON.stringify(one.lead.addresses)) === who);
    this.reports.push(body);
    const lead = { id: createHash('sha1').update(who).digest('hex'), phone: body.lead.phone ?? null, stage: this.stage, sync: 'pending' };
    const decision = { stage: this.stage, changed: false, reason: 'the fake bridge decides nothing' };
    const followup = { state: 'none', next_at: null, step: null };
    return Response.json({ lead, decision, agent: this.agent, followup, ignored: [] }, { status: isNew ? 201 : 200 });
  }
}

export function fakeBridge(): { bridge: Bridge; fake: FakeBridge; waits: number[] } {
  const fake = new FakeBridge();
  const waits: number[] = [];
  const sleep = async (seconds: number): Promise<void> => void waits.push(seconds);
  return { bridge: new Bridge({ address: 'http://bridge.test', key: 'kb_test', fetch: fake.fetch, sleep }), fake, waits };
}
