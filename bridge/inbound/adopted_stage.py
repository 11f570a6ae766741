"""Where a person moved a card, the lead stands: a stage of ours, or one that none of ours is bound to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.inbound import moved_by_automation
from bridge.inbound.adopted_values import (
    Reading,
)
from common.reasons import Reason
from leads import stage_moves
from leads.models import Lead, Stage


def adopt_stage(reading: Reading) -> None:
    """Let the lead stand where a person put the card; a stage unknown to us is `other`, with Kommo's name."""
    lead, book, now = reading.lead, reading.book, reading.now
    stage, name = place_of(reading, reading.card.observed)
    if reading.first_sight:
        stage_moves.found(lead, stage, name=name, reason=Reason("found_in_kommo_stage", a=name), now=now)
        return
    reason = Reason("moved_in_kommo", a=name)
    if reading.by is Lead.Actor.KOMMO:
        reason = Reason("moved_in_kommo_by_program", a=name)
        agreed = reading.changed["stage"][0]
        moved_by_automation.tell_if_against_the_rules(
            reading.card, lead, book, stage, name=name, agreed=agreed, now=now
        )
    by, moved_at, whom = reading.by, reading.set_at, reading.by_whom
    if stage is None:
        stage_moves.leave_our_stages(lead, name=name, reason=reason, now=now, by=by, moved_at=moved_at, by_whom=whom)
    elif lead.stage_id == stage.pk:
        # Where the rules had just put it as well: that somebody else did it is what counts from now on.
        stage_moves.confirm(lead, by=by, reason=reason, now=now, by_whom=whom)
    else:
        stage_moves.move(lead, stage, by=by, reason=reason, now=now, moved_at=moved_at, by_whom=whom)


def place_of(reading: Reading, observed: Mapping[str, Any]) -> tuple[Stage | None, str]:
    """Return our stage for where a lead stands in Kommo, None where none of ours is bound, and Kommo's name of it."""
    place = (observed["pipeline_id"], observed["status_id"])
    known = reading.book.stages_by_status_id if place[0] == reading.lead.pipeline.kommo_pipeline_id else {}
    status = reading.catalogue.status(*place) if reading.catalogue else None
    name = str(status["name"]) if status else str(place[1])
    return known.get(place[1]), name
