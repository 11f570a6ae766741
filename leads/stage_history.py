"""Where leads stand and stood, whoever moves them: writing it down hangs on the saved lead."""

from __future__ import annotations

from django.dispatch import receiver

from common.statements import insert
from leads import announcements
from leads.announcements import Saved
from leads.models import Event, Lead, Stage, Stay

STAGE = frozenset({"stage"})
MOVES_LOOKED_AT = 10


@receiver(announcements.leads_saved)
def follow(saved: list[Saved], **_: object) -> None:
    """Close the stays that leads have left and open those they have begun; nothing for who stands where they stood."""
    moved = [change for change in saved if change.touches(STAGE)]
    for lead in (change.lead for change in moved if not change.created):
        left = Stay.objects.filter(lead=lead, left_at=None)
        # Excluding by stage: a save that did not move the lead leaves its stay as it is.
        (left.exclude(stage=lead.stage_id) if lead.stage_id else left).update(left_at=lead.stage_set_at)
    stays = [
        Stay(lead_id=change.lead.pk, stage_id=change.lead.stage_id, entered_at=change.lead.stage_set_at)
        for change in moved
        if change.lead.stage_id
    ]
    insert(stays, ignore_conflicts=True)


def came_from(lead: Lead) -> Stage | None:
    """Return the last stage the lead stood in where the agent speaks and the way is open; None when there is none.

    Where it was found in Kommo nothing was written down: then whoever moved it here knows where it stood.
    """
    open_ones = Stage.objects.filter(pipeline=lead.pipeline_id, pauses_agent=False, kind=Stage.Kind.OPEN)
    if lead.stage_id is not None:
        open_ones = open_ones.exclude(pk=lead.stage_id)
    last = lead.stays.filter(stage__in=open_ones).select_related("stage").order_by("-entered_at", "-id").first()
    if last:
        return last.stage
    moves = lead.events.filter(kind__in=(Event.Kind.STAFF_MOVE, Event.Kind.STAGE_CHANGED)).order_by("-id")
    keys = [data.get("from") for data in moves.values_list("data", flat=True)[:MOVES_LOOKED_AT]]
    stages = {stage.key: stage for stage in open_ones.filter(key__in=[key for key in keys if key])}
    return next((stages[key] for key in keys if key in stages), None)
