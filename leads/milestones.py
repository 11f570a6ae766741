"""Which moments of a lead's way are counted, and what is kept of them: seconds and reasons, never a word of anybody's.

Written in the transaction in which they happen; each costs one statement, and only the interaction that brings it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from django.dispatch import receiver

from common.reasons import Reason, about, pieces, several
from common.statements import insert
from leads import announcements
from leads.announcements import Saved
from leads.models import Lead, Message, Milestone
from leads.qualification import OPPOSITES, SCORE_FIELD
from leads.rulebook import rulebook

if TYPE_CHECKING:
    from leads.interaction_values import Recorded

STAGE = frozenset({"stage"})
Kind = Milestone.Kind
BY_PERSON = Reason("person_moved_card")
# What is compared, without what is compared with it: each lead has another.
ORDERED = {
    "fact_below": "facts_below",
    "fact_at_most": "facts_at_most",
    "fact_at_least": "facts_at_least",
    "fact_above": "facts_above",
    "score_below": "facts_below",
    "score_at_least": "facts_at_least",
}
AMONG = {"fact_in": "facts_in", "fact_not_in": "facts_not_in"}
EQUAL = {"fact_equals": "facts_equal", "fact_differs": "facts_differ"}
# In sentences of before, what an attribute was, before what a rule asks of it: "bill_value 350 < 400".
COMPARED = re.compile(
    rf"([a-z_]\w*(?:\.\w+)?) .{{1,100}}? ({'|'.join(sorted(OPPOSITES.values(), key=len)[::-1])}) (.+)"
)


def general(reason: str) -> str:
    """Return a reason without the lead's own values, so that those of many leads can be counted as one.

    >>> general("bill_value 350 < 400; is_decision_maker is no")
    'bill_value < 400; is_decision_maker is no'
    """
    return several(map(_general_piece, pieces(reason)))


def _general_piece(reason: str) -> str:
    if not isinstance(reason, Reason):
        found = COMPARED.fullmatch(reason)
        return " ".join(found.groups()) if found else reason
    code, parts = reason.code, reason.parts
    if code == "about":
        subject, rest = parts["each"]
        return about(subject, general(rest))
    if code in ORDERED:
        return Reason(ORDERED[code], attribute=parts.get("attribute", SCORE_FIELD), other=parts["other"])
    if code in AMONG:
        return Reason(AMONG[code], attribute=parts["attribute"], values=parts["values"])
    return Reason(EQUAL[code], fact=parts["fact"], other=parts["other"]) if code in EQUAL else reason


@receiver(announcements.interactions_recorded)
def note_replies(recorded: list[Recorded], now: datetime, **_: object) -> None:
    """Keep how long people waited for the first answer, and for a person. No statement where nobody's wait ended."""
    rows: list[Milestone] = []
    for record in recorded:
        answered = record.changes.answered
        if answered is not None and answered.is_first:
            rows += _first_reply(record.lead, answered.at)
        if answered is not None and answered.handed_over_at is not None:
            waited = _row(record.lead, Kind.HANDOFF_WAIT, answered.at, since=answered.handed_over_at)
            # Who of ours it was: what a person is called whose work this is, never the lead.
            waited.detail = answered.by[:500]
            rows.append(waited)
    insert(rows)


@receiver(announcements.leads_saved)
def note_disqualified(saved: list[Saved], now: datetime, **_: object) -> None:
    """Keep of leads that begin to stand where the disqualified stand why they do."""
    moved = [change.lead for change in saved if change.touches(STAGE) and change.lead.stage_id]
    insert(
        [
            Milestone(
                lead_id=lead.pk,
                pipeline_id=lead.pipeline_id,
                kind=Kind.DISQUALIFIED,
                at=lead.stage_set_at,
                detail=why(lead)[:500],
            )
            for lead in moved
            if lead.stage and lead.stage.key == rulebook(lead.pipeline).rules.qualification.disqualified_stage
        ]
    )


def why(lead: Lead) -> str:
    """Return why a lead stands where it stands, for counting."""
    return general(lead.decision_reason) if lead.stage_set_by == Lead.Actor.BRIDGE else BY_PERSON


def _first_reply(lead: Lead, at: datetime) -> list[Milestone]:
    theirs = Message.objects.filter(lead=lead, direction=Message.Direction.INBOUND, at__lte=at)
    began_at = theirs.order_by("at", "id").values_list("at", flat=True).first()
    return [_row(lead, Kind.FIRST_REPLY, at, since=began_at)] if began_at else []


def _row(lead: Lead, kind: Kind, at: datetime, *, since: datetime) -> Milestone:
    seconds = max(0, int((at - since).total_seconds()))
    return Milestone(lead_id=lead.pk, pipeline_id=lead.pipeline_id, kind=kind, at=at, seconds=seconds)
