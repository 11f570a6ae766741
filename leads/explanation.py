"""Asking again: why is this lead here, and why not there?"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from leads.alternatives import Alternative, alternatives
from leads.decisions import GONE_BY, Facts, Mover, concluded_until_now
from leads.models import Lead
from leads.rulebook import Rulebook, rulebook
from leads.which_fact_stands import Change

MOVERS = {Lead.Actor.STAFF: Mover.PERSON, Lead.Actor.KOMMO: Mover.KOMMO}


def facts_of(
    lead: Lead,
    book: Rulebook,
    *,
    inbound: bool = False,
    changes: Change | None = None,
    new_lead: bool = False,
    occurred_at: datetime | None = None,
) -> Facts:
    """Return what a decision about this lead looks at, as it is known now.

    changes, occurred_at: of what has just happened.
    """
    before = book.stages_by_id.get(lead.stage_before_meeting_id) if lead.stage_before_meeting_id else None
    mover = MOVERS.get(Lead.Actor(lead.stage_set_by))
    facts = Facts(
        stage=lead.stage.key if lead.stage else None,
        conversation_stage=lead.conversation_stage or None,
        attributes=lead.facts(),
        meeting_status=GONE_BY if lead.meeting_gone_by else lead.meeting_status or None,
        meeting_id=lead.meeting_id or None,
        meeting_changed=bool(changes and changes.meeting_reported),
        meeting_reported=(changes and changes.meeting_reported) or None,
        meeting_booked=changes.meeting_booked if changes else None,
        stage_before_meeting=before.key if before else None,
        handoff=lead.is_with_people,
        inbound=inbound,
        moved_by=mover,
        concluded=tuple(lead.concluded or ()),
        concluded_when_moved=frozenset(lead.concluded_when_moved or ()),
        is_past=bool(mover and occurred_at and occurred_at < lead.stage_set_at),
        was_with_people=bool(occurred_at and lead.resumed_at and occurred_at < lead.resumed_at),
        new_lead=new_lead,
    )
    if lead.concluded is None and mover is Mover.PERSON:
        known = concluded_until_now(facts, book.rules)
        facts = replace(facts, concluded=known, concluded_when_moved=frozenset(known))
    return facts


def begin_memory(lead: Lead, book: Rulebook) -> bool:
    """Write down, in memory, what the conversation of a lead from before this was kept had concluded; False if it is.

    Asked before anything new is taken in, so that a person's move of that time stands against its repetition.
    """
    if lead.concluded is not None:
        return False
    facts = facts_of(lead, book)
    lead.concluded, lead.concluded_when_moved = list(facts.concluded), sorted(facts.concluded_when_moved)
    return True


def why_not(lead: Lead) -> tuple[Alternative, ...]:
    """Return every stage of the pipeline with why the lead stands there, or does not; nothing is stored."""
    book = rulebook(lead.pipeline)
    return alternatives(facts_of(lead, book), book.rules, reason=lead.decision_reason)
