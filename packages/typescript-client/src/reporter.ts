import type { Bridge } from './client.js';
import { AwayError, ErasedError, KnownOtherwiseError } from './errors.js';
import type { Interaction, InteractionAnswer, Lead, Meeting } from './types.js';

const OWN = new Set([
  'name', 'email', 'bill_value', 'chosen_flow', 'qualification_score', 'is_decision_maker', 'has_solar_system',
  'has_active_contract', 'kommo_lead_id',
]);

type Fact = string | number | boolean | null;

export interface Told {
  id?: string;
  at?: string | Date;
  stage?: string;
  objections?: string[];
  meeting?: Meeting;
  /** The bridge's own by their names; others go into `custom`. */
  facts?: Record<string, Fact>;
}

/** What the bridge made of a report. known: it had this message. isAway: report the same again later, and stay silent. */
export interface Turn {
  mayReply: boolean;
  reason: string | null;
  stage?: string;
  lead?: Lead;
  ignored: { field: string; reason: string }[];
  known: boolean;
  isAway: boolean;
}

/** One person's conversation, reported in one call a turn. */
export class ConversationReporter {
  leadId: string | null = null;
  readonly #bridge: Bridge;
  readonly #who: { phone?: string; address?: string; pipeline?: string };
  #told: Record<string, Fact> = {};

  constructor(bridge: Bridge, who: { phone?: string; address?: string; pipeline?: string }) {
    if (!who.phone && !who.address) throw new Error('Name the person: a phone, or an address such as lid:1234@lid.');
    this.#bridge = bridge;
    this.#who = who;
  }

  heard(text: string, told: Told = {}): Promise<Turn> {
    return this.#tell('inbound', text, told);
  }

  /** What the agent wrote; follow-ups count from it. */
  said(text: string, told: Told = {}): Promise<Turn> {
    return this.#tell('outbound', text, told);
  }

  /** What a person of the company wrote: they have the lead from then on. */
  staffSaid(text: string, told: Told = {}): Promise<Turn> {
    return this.#tell('staff', text, told);
  }

  /** What is known without a message: an analysis that came later, a booking. */
  learned(told: Told): Promise<Turn> {
    return this.#tell(null, '', told);
  }

  /** Ask right before writing: a person may have come meanwhile. */
  async mayReply(): Promise<boolean> {
    const { phone, address } = this.#who;
    return (await this.#bridge.mayReply(phone ? { phone } : { address })).may_reply;
  }

  async askForPerson(reason: string): Promise<void> {
    if (!this.leadId) await this.learned({});
    if (!this.leadId) throw new AwayError('the bridge does not answer');
    await this.#bridge.handOver(this.leadId, reason);
  }

  async #tell(direction: 'inbound' | 'outbound' | 'staff' | null, text: string, told: Told): Promise<Turn> {
    try {
      const answer = await this.#bridge.record(this.#body(direction, text, told));
      this.leadId = answer.lead.id;
      this.#told = { ...this.#told, ...told.facts };
      return turnOf(answer);
    } catch (error) {
      const instead = { mayReply: false, ignored: [], known: true, isAway: false };
      if (error instanceof KnownOtherwiseError) return { ...instead, reason: 'reported before, in other words' };
      if (error instanceof ErasedError) return { ...instead, reason: 'this person asked to be forgotten' };
      if (error instanceof AwayError) return { ...instead, reason: 'the bridge does not answer', known: false, isAway: true };
      throw error;
    }
  }

  #body(direction: 'inbound' | 'outbound' | 'staff' | null, text: string, told: Told): Interaction {
    // What was told stays told: a fact is sent again when it is another.
    const fresh = Object.entries(told.facts ?? {}).filter(([name, value]) => this.#told[name] !== value);
    const custom = fresh.filter(([name]) => !OWN.has(name));
    const lead: Interaction['lead'] = Object.fromEntries(fresh.filter(([name]) => OWN.has(name)));
    if (this.#who.phone) lead.phone = this.#who.phone;
    if (this.#who.address) {
      const [kind = '', ...value] = this.#who.address.split(':');
      lead.addresses = [{ kind, value: value.join(':') }];
    }
    if (custom.length) lead.custom = Object.fromEntries(custom);
    const body: Interaction = { lead };
    if (told.stage !== undefined || told.objections || told.meeting) {
      body.context = { conversation_stage: told.stage, objections_raised: told.objections, meeting: told.meeting };
    }
    if (direction) {
      body.message = { direction, text, id: told.id };
      if (told.at) body.message.sent_at = told.at instanceof Date ? told.at.toISOString() : told.at;
    }
    if (this.#who.pipeline) body.pipeline = this.#who.pipeline;
    return body;
  }
}

function turnOf(answer: InteractionAnswer): Turn {
  const { agent, decision, lead, ignored } = answer;
  return { mayReply: agent.may_reply, reason: agent.reason, stage: decision.stage, lead, ignored, known: false, isAway: false };
}
