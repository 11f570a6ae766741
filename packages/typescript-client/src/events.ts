import { createHmac, timingSafeEqual } from 'node:crypto';

export interface BridgeEvent {
  id: string;
  type: string;
  timestamp: string;
  data: { lead: { id: string; phone: string | null; [more: string]: unknown }; [more: string]: unknown };
}

/** What came of a follow-up; nothing says that it was said as it was handed over. */
export type Outcome = void | { text: string } | { skip: true; reason?: string } | { gone: 'invalid_number' | 'opted_out' | '' };

export interface Answer { status: number; body?: unknown; headers: Record<string, string> }

/** Keeps what was answered to which event. One that survives a restart says nothing twice. */
export interface Store {
  get(id: string): Promise<Answer | undefined> | Answer | undefined;
  put(id: string, answer: Answer): Promise<void> | void;
}

type Handler = (event: BridgeEvent) => Promise<Outcome> | Outcome;

const TOLERANCE_SECONDS = 300;
// While a slow answer is in the making the bridge is asked to come again after so many seconds.
const COME_AGAIN = 10;

/** Dispatches events to functions that were named for them by `on`; knows no framework. */
export class Events {
  readonly #secret: Buffer;
  readonly #store: Store;
  readonly #handlers = new Map<string, { handler: Handler; slow: boolean }>();
  readonly #underWay = new Set<string>();

  constructor(secret: string, store: Store = new MemoryStore()) {
    this.#secret = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    this.#store = store;
  }

  /** slow: it takes longer than the ten seconds the bridge waits; the bridge comes again for what came of it. */
  on(type: string, handler: Handler, options: { slow?: boolean } = {}): this {
    this.#handlers.set(type, { handler, slow: options.slow ?? false });
    return this;
  }

  /** Answer a request of the fetch standard: Next.js, Hono, Bun, Deno, workers. Bind it: `POST = (request) => events.fetch(request)`. */
  async fetch(request: Request): Promise<Response> {
    const answer = await this.handle(request.headers, await request.text());
    return answer.body === undefined
      ? new Response(null, { status: answer.status, headers: answer.headers })
      : Response.json(answer.body, { status: answer.status, headers: answer.headers });
  }

  /** What to answer. `headers` of Node or of the fetch standard. `body` is the raw body: a signature is one of bytes. */
  async handle(headers: Headers | Record<string, string | string[] | undefined>, body: string): Promise<Answer> {
    const pairs = headers instanceof Headers ? [...headers] : Object.entries(headers);
    const small = Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), String(value ?? '')]));
    const id = small['webhook-id'] ?? '';
    if (!this.#isSigned(id, small['webhook-timestamp'] ?? '', small['webhook-signature'] ?? '', body)) {
      return { status: 401, body: { detail: 'the signature is missing, wrong or old' }, headers: {} };
    }
    const event = { id, ...(JSON.parse(body) as Omit<BridgeEvent, 'id'>) };
    const found = this.#handlers.get(event.type);
    if (!found) {
      // News that nobody here wants; told again it would be no more welcome.
      return event.type === 'followup.due'
        ? { status: 200, body: { skip: true, reason: 'no handler' }, headers: {} }
        : { status: 204, headers: {} };
    }
    // Before the store is asked, which may take its time: whoever comes meanwhile must not act, too.
    if (this.#underWay.has(id)) return (await this.#store.get(id)) ?? later();
    this.#underWay.add(id);
    const known = await this.#known(id);
    if (known) return known;
    const acting = this.#act(found.handler, event);
    if (!found.slow) return acting;
    // Whoever comes again starts what failed again.
    acting.catch((error: unknown) => console.error(`what was to be done with ${event.type} ${id} failed`, error));
    return later();
  }

  /** What was answered before, if anything; then, and where the store fails, nothing is under way any more. */
  async #known(id: string): Promise<Answer | undefined> {
    let known: Answer | undefined;
    let isAsked = false;
    try {
      known = await this.#store.get(id);
      isAsked = true;
      return known;
    } finally {
      if (known || !isAsked) this.#underWay.delete(id);
    }
  }

  async #act(handler: Handler, event: BridgeEvent): Promise<Answer> {
    try {
      const answer = answerOf(await handler(event));
      await this.#store.put(event.id, answer);
      return answer;
    } finally {
      this.#underWay.delete(event.id);
    }
  }

  #isSigned(id: string, timestamp: string, signatures: string, body: string): boolean {
    const seconds = Number(timestamp);
    if (!id || !Number.isFinite(seconds) || Math.abs(Date.now() / 1000 - seconds) > TOLERANCE_SECONDS) return false;
    const wanted = Buffer.from(createHmac('sha256', this.#secret).update(`${id}.${timestamp}.${body}`).digest('base64'));
    return signatures.split(' ').some((one) => {
      const given = Buffer.from(one.replace(/^v1,/, ''));
      return one.startsWith('v1,') && given.length === wanted.length && timingSafeEqual(given, wanted);
    });
  }
}

/** Forgets at a restart, and the oldest of many. */
class MemoryStore implements Store {
  readonly #answers = new Map<string, Answer>();

  get(id: string): Answer | undefined {
    return this.#answers.get(id);
  }

  put(id: string, answer: Answer): void {
    this.#answers.set(id, answer);
    if (this.#answers.size > 10_000) this.#answers.delete(this.#answers.keys().next().value as string);
  }
}

function answerOf(outcome: Outcome): Answer {
  // What a handler happens to return of its own, such as how many there are now, says nothing of a follow-up.
  if (typeof outcome !== 'object' || outcome === null) return { status: 200, body: {}, headers: {} };
  if ('gone' in outcome) return { status: 410, body: outcome.gone ? { reason: outcome.gone } : {}, headers: {} };
  return { status: 200, body: outcome, headers: {} };
}

function later(): Answer {
  return { status: 503, body: { detail: 'under way' }, headers: { 'Retry-After': String(COME_AGAIN) } };
}
