"""Where leads stand and stood, whoever moves them: writing it down hangs on the saved lead."""

from __future__ import annotations

from django.dispatch import receiver

from leads import announcements
from leads.announcements import Saved
from leads.models import Lead, Stage, Stay
from leads.statements import insert

STAGE = frozenset({"stage"})


@receiver(announcements.leads_saved)
def follow(saved: list[Saved], **_: object) -> None:
    """Close the stays that leads have left and open those they have begun; nothing for who stands where they stood."""
    moved = [one for one in saved if one.touches(STAGE)]
    for lead in (one.lead for one in moved if not one.created):
        left = Stay.objects.filter(lead=lead, left_at=None)
        # Excluding by stage: a save that did not move the lead leaves its stay as it is.
        (left.exclude(stage=lead.stage_id) if lead.stage_id else left).update(left_at=lead.stage_set_at)
    stays = [
        Stay(lead_id=one.lead.pk, stage_id=one.lead.stage_id, entered_at=one.lead.stage_set_at)
        for one in moved
        if one.lead.stage_id
    ]
    insert(stays, ignore_conflicts=True)


def came_from(lead: Lead) -> Stage | None:
    """Return the last stage the lead stood in where the agent speaks and the way is open; None when there is none."""
    way = lead.stays.filter(stage__pauses_agent=False, stage__kind=Stage.Kind.OPEN).exclude(stage=lead.stage_id)
    last = way.select_related("stage").order_by("-entered_at", "-id").first()
    return last.stage if last else None
