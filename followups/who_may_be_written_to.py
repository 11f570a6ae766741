"""May this person be written to? Asked on enrolment and again before every step."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.dispatch import Signal

from common.reasons import Reason
from followups import unreachable_numbers
from followups.models import Enrollment, Sequence
from followups.sequence_versions import SequencePlan
from leads import erasure, may_speak, optout
from leads.models import Lead, Stage
from leads.rulebook import rulebook

# lead_ids. Receivers return {lead id: reason} for those of them who must not be written to for reasons only they know.
vetoes_wanted = Signal()
UNANSWERED, MEETING = Sequence.StartsOn.AGENT_UNANSWERED, Sequence.StartsOn.MEETING_SCHEDULED


def why_not(lead: Lead, sequence: Sequence, plan: SequencePlan) -> str | None:
    """Return why this person must not be written to, or None. Asked on enrolment and again before every step."""
    if lead.erased_at or not lead.phone_key:
        return Reason("no_number")
    if lead.opted_out_at:
        return optout.SAID
    if erasure.is_silent_since(lead):
        return erasure.SILENT_SINCE
    if lead.in_handoff:
        return Reason("person_has_taken_over")
    if reason := _stage_says_no(lead, sequence, plan):
        return reason
    if sequence.starts_on == MEETING:
        return None if lead.has_standing_meeting and lead.meeting_starts_at else Reason("no_meeting_booked")
    return _conversation_says_no(lead)


def vetoes(leads: Collection[Lead]) -> dict[UUID, str]:
    """Return what speaks against writing to some of these leads beyond themselves: their person's wish, a number that
    does not work, a lost card, an agent that does not serve them."""
    answers: list[tuple[Any, Any]] = vetoes_wanted.send(Enrollment, lead_ids=[lead.pk for lead in leads])
    found = {lead_id: reason for _, reasons in answers for lead_id, reason in reasons.items()}
    return (
        may_speak.unserved(leads)
        | found
        | unreachable_numbers.reasons(leads)
        | dict.fromkeys(optout.since(leads), optout.SAID)
    )


def _stage_says_no(lead: Lead, sequence: Sequence, plan: SequencePlan) -> str | None:
    stage = lead.stage
    if stage is None:
        return Reason("card_stands_where_person_put_it", a=f"“{lead.other_stage_name}”")
    rules = rulebook(lead.pipeline).rules
    stops = (
        stage.kind != Stage.Kind.OPEN
        or stage.pauses_agent
        or stage.protected
        or stage.key in (plan.give_up_stage, rules.qualification.disqualified_stage, *plan.stop_stages)
        # Booked by a person, who told the card alone.
        or (stage.key == rules.meeting_stage and not lead.meeting_status and sequence.starts_on == UNANSWERED)
    )
    return Reason("lead_stands_in", what=stage.name) if stops else None


def _conversation_says_no(lead: Lead) -> str | None:
    ours, theirs, staffs = lead.last_outbound_at, lead.last_inbound_at, lead.last_staff_at
    if ours is None:
        return Reason("nobody_has_written")
    if theirs is not None and theirs >= ours:
        return Reason("lead_has_answered")
    if staffs is not None and staffs >= ours:
        return Reason("person_has_written_to_lead")
    return Reason("meeting_is_booked") if lead.has_standing_meeting else None
