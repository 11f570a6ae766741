import { randomUUID } from 'node:crypto';
import { AwayError, BridgeError, errorOf } from './errors.js';
import type { Interaction, InteractionAnswer, Lead, MayReply, Message, TimelineEvent } from './types.js';

const TRIES = 5;
const FIRST_WAIT = 0.5;
const LONGEST_WAIT = 30;
const ANSWER_WITHIN_MS = 20_000;
const AGAIN = new Set([429, 500, 502, 503, 504]);

export interface Options {
  address: string;
  key: string;
  /** For tests, and for whoever has a fetch of their own. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Waits so many seconds. */
  sleep?: (seconds: number) => Promise<void>;
}

interface Call {
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  /** The idempotency key; undefined: one is made. null: the call does not act twice anyway. */
  key?: string | null;
}

/** A bridge. Every method throws a BridgeError. */
export class Bridge {
  readonly #options: Required<Options>;

  constructor(options: Options) {
    this.#options = {
      fetch: (url, init) => fetch(url, init),
      sleep: (seconds) => new Promise((done) => setTimeout(done, seconds * 1000)),
      ...options,
      address: options.address.replace(/\/+$/, ''),
    };
  }

  /** Report what happened. A message's own id is the best key: it is the same after a restart. */
  record(interaction: Interaction, key?: string): Promise<InteractionAnswer> {
    return this.#call('POST', 'interactions/', { body: interaction, key: key ?? (interaction.message?.id ? null : undefined) });
  }

  /** Report up to 500; returns status and body of each. history: a past that is told afterwards. */
  recordMany(
    interactions: Interaction[], options: { key?: string; history?: boolean; timeZone?: string } = {},
  ): Promise<{ status: number; body: unknown }[]> {
    const query = { history: options.history ? true : undefined, time_zone: options.timeZone };
    return this.#call('POST', 'interactions/batch/', { body: interactions, query, key: options.history ? null : options.key });
  }

  /** Whether the agent may write to this person now. While the bridge is away: no; a person may have them. */
  async mayReply(who: { phone?: string; address?: string }): Promise<MayReply> {
    try {
      return await this.#call<MayReply>('GET', 'agent/may-reply/', { query: who });
    } catch (error) {
      if (error instanceof AwayError) return { may_reply: false, reason: 'the bridge does not answer', since: null };
      throw error;
    }
  }

  lead(id: string): Promise<Lead> {
    return this.#call('GET', `leads/${id}/`);
  }

  /** Leads, newest first, page by page. */
  leads(filters: Record<string, string | number | undefined> = {}): AsyncGenerator<Lead> {
    return this.#pages<Lead>('leads/', filters);
  }

  async find(who: { phone?: string; address?: string }): Promise<Lead | null> {
    // A filter that is empty finds somebody else.
    if (!who.phone && !who.address) throw new Error('Name the person: a phone, or an address such as lid:1234@lid.');
    for await (const lead of this.leads(who)) return lead;
    return null;
  }

  timeline(leadId: string): AsyncGenerator<TimelineEvent> {
    return this.#pages<TimelineEvent>(`leads/${leadId}/timeline/`, {});
  }

  handOver(leadId: string, reason: string): Promise<MayReply> {
    return this.#call('POST', `leads/${leadId}/handoff/`, { body: { reason }, key: null });
  }

  giveBack(leadId: string): Promise<MayReply> {
    return this.#call('DELETE', `leads/${leadId}/handoff/`);
  }

  async optOut(leadId: string): Promise<void> {
    await this.#call('POST', `leads/${leadId}/opt-out/`);
  }

  async erase(leadId: string): Promise<void> {
    await this.#call('DELETE', `leads/${leadId}/personal-data/`);
  }

  /** Say this to the lead by the pipeline's channel. Throws MayNotReplyError while a person has them. */
  send(leadId: string, text: string, options: { channel?: string; key?: string } = {}): Promise<Message> {
    return this.#call('POST', `leads/${leadId}/messages/`, { body: { text, channel: options.channel }, key: options.key });
  }

  message(id: string): Promise<Message> {
    return this.#call('GET', `messages/${id}/`);
  }

  async *#pages<Row>(path: string, filters: Record<string, string | number | undefined>): AsyncGenerator<Row> {
    let query: Call['query'] | undefined = filters;
    while (query) {
      const page: { next: string | null; results: Row[] } = await this.#call('GET', path, { query });
      yield* page.results;
      query = page.next ? Object.fromEntries(new URL(page.next).searchParams) : undefined;
    }
  }

  async #call<Answer>(method: string, path: string, call: Call = {}): Promise<Answer> {
    const url = new URL(`${this.#options.address}/api/v1/${path}`);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers: Record<string, string> = { Authorization: `Api-Key ${this.#options.key}`, Accept: 'application/json' };
    if (call.body !== undefined) {
      headers['Content-Type'] = 'application/json';
      // The same for every try, so that whatever may have arrived is acted on once.
      if (call.key !== null) headers['Idempotency-Key'] = call.key ?? randomUUID();
    }
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    let away = new BridgeError('the bridge was not asked');
    for (let tried = 1; tried <= TRIES; tried += 1) {
      let asked = 0;
      try {
        const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
        const response = await this.#options.fetch(String(url), { method, headers, body, signal, redirect: 'manual' });
        const text = await response.text();
        if (response.ok) return (text ? JSON.parse(text) : undefined) as Answer;
        away = errorOf(response.status, problemOf(text), response.headers.get('Location'));
        if (!AGAIN.has(response.status)) throw away;
        asked = secondsOf(response.headers.get('Retry-After'), Date.now());
      } catch (error) {
        if (error === away) throw error;
        // What can be read and is no JSON is a page of somebody else's, such as a proxy's while the bridge is away.
        const isPage = error instanceof SyntaxError;
        away = new AwayError(isPage ? 'what answers there is not the bridge: is the address right?' : `the bridge does not answer: ${String(error)}`);
      }
      if (tried < TRIES) {
        await this.#options.sleep(Math.min(LONGEST_WAIT, Math.max(asked, FIRST_WAIT * 2 ** (tried - 1))));
      }
    }
    throw away;
  }
}

function problemOf(text: string): Record<string, unknown> {
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === 'object' && read !== null && !Array.isArray(read) ? (read as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** How long Retry-After asks to wait: seconds, or the moment from which on, as proxies may say it. Else 0. */
export function secondsOf(retryAfter: string | null, now: number): number {
  const seconds = Number(retryAfter ?? 0);
  return Math.max(0, (Number.isNaN(seconds) ? (Date.parse(retryAfter!) - now) / 1000 : seconds) || 0);
}
