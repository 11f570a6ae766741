"""Which moments of a lead's way are counted, and what is kept of them: seconds and reasons, never a word of anybody's.

Written in the transaction in which they happen; each costs one statement, and only the interaction that brings it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from django.dispatch import receiver

from common.statements import insert
from leads import announcements
from leads.announcements import Saved
from leads.models import Lead, Message, Milestone
from leads.qualification import OPPOSITES
from leads.rulebook import rulebook

if TYPE_CHECKING:
    from leads.interaction_values import Recorded

STAGE = frozenset({"stage"})
Kind = Milestone.Kind
BY_PERSON = "a person moved the card"
# What an attribute was, before what a rule asks of it: "bill_value 350 < 400".
COMPARED = re.compile(
    rf"([a-z_]\w*(?:\.\w+)?) .{{1,100}}? ({'|'.join(sorted(OPPOSITES.values(), key=len)[::-1])}) (.+)"
)


def general(reason: str) -> str:
    """Return a reason without the lead's own values, so that those of many leads can be counted as one.

    >>> general("bill_value 350 < 400; is_decision_maker is no")
    'bill_value < 400; is_decision_maker is no'
    """
    return "; ".join(map(_general_piece, reason.split("; ")))


def _general_piece(text: str) -> str:
    found = COMPARED.fullmatch(text)
    return " ".join(found.groups()) if found else text


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
