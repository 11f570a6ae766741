// What travels, as far as an agent touches it; the whole is the bridge's own description at /api/schema/.
export interface Address { kind: string; value: string }

export interface Interaction {
  lead: {
    phone?: string; addresses?: Address[]; name?: string | null; email?: string | null; bill_value?: number | string | null;
    chosen_flow?: string | null; qualification_score?: number | null; is_decision_maker?: boolean | null;
    has_solar_system?: boolean | null; has_active_contract?: boolean | null; kommo_lead_id?: number | null;
    custom?: Record<string, string | number | boolean | null> | null;
  };
  context?: { conversation_stage?: string | null; objections_raised?: string[] | null; meeting?: Meeting | null } | null;
  message?: { id?: string | null; direction: 'inbound' | 'outbound' | 'staff'; sent_at?: string | null; text?: string } | null;
  occurred_at?: string | null;
  pipeline?: string | null;
}

export interface Meeting {
  id?: string | null;
  status: 'scheduled' | 'rescheduled' | 'cancelled' | 'completed' | 'no_show';
  starts_at?: string | null;
  link?: string | null;
}

export interface MayReply { may_reply: boolean; reason: string | null; since: string | null }

export interface Lead {
  id: string; phone: string | null; addresses: Address[]; name: string | null; pipeline: string; stage: string;
  stage_name: string; kommo_lead_id: number | null; sync: string; [more: string]: unknown;
}

export interface InteractionAnswer {
  lead: Lead;
  decision: { stage: string; changed: boolean; reason: string };
  agent: MayReply;
  followup: { state: string; next_at: string | null; step: number | null };
  ignored: { field: string; reason: string }[];
}

export interface TimelineEvent { at: string; kind: string; actor: string; reason: string; data: Record<string, unknown> }

export interface Message { id: string; state: string; reason: string | null; text: string; [more: string]: unknown }
