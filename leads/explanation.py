"""Asking again: why is this lead here, and why not there?"""

from __future__ import annotations

from leads.alternatives import Alternative, alternatives
from leads.decisions import Facts
from leads.models import Lead
from leads.rulebook import Rulebook, rulebook


def facts_of(
    lead: Lead, book: Rulebook, *, inbound: bool = False, meeting_changed: bool = False, new_lead: bool = False
) -> Facts:
    """Return what a decision about this lead looks at, as it is known now."""
    before = book.stages_by_id.get(lead.stage_before_meeting_id) if lead.stage_before_meeting_id else None
    return Facts(
        stage=lead.stage.key if lead.stage else None,
        conversation_stage=lead.conversation_stage or None,
        attributes=lead.facts(),
        meeting_status=lead.meeting_status or None,
        meeting_id=lead.meeting_id or None,
        meeting_changed=meeting_changed,
        stage_before_meeting=before.key if before else None,
        handoff=lead.in_handoff,
        inbound=inbound,
        staff_set_stage=lead.stage_set_by == Lead.Actor.STAFF,
        new_lead=new_lead,
    )


def why_not(lead: Lead) -> tuple[Alternative, ...]:
    """Return every stage of the pipeline with why the lead stands there, or does not; nothing is stored."""
    book = rulebook(lead.pipeline)
    return alternatives(facts_of(lead, book), book.rules, reason=lead.decision_reason)
