"""Who has the lead, the agent or a person, and the card with it: asked for a person, it goes where people look; given
back, it leaves where the agent is silent. So that what the card says and what the agent does never contradict.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from common.reasons import Reason
from leads import handoff, stage_after_handback, stage_moves
from leads.models import Event, Lead, Stage


class StaysSilentError(Exception):
    """The agent would be silent in the stage that was chosen for it to go on in."""


@transaction.atomic
def hand_over(lead: Lead, *, by: Lead.Actor, reason: str, now: datetime) -> bool:
    """Silence the agent, and move the card to the pipeline's `handoff_stage`; False when both had happened.

    Where automatic moves may not take the card there it stays, and its timeline says why.
    """
    row = stage_moves.locked(lead)
    target = row.pipeline.handoff_stage
    # Asked before the agent is silent: then nothing would be allowed.
    refusal = _why_it_stays(row, target) if target else ""
    lead.stage = row.stage
    paused = handoff.pause(lead, source=Lead.HandoffSource.API, by=by, reason=reason, now=now)
    if target is None or row.stage == target or (row.stage and row.stage.pauses_agent and row.stage.tells_staff):
        return paused
    if refusal:
        data = {"would_be": target.key, "rule": "handoff_stage"}
        explanation = Reason("but", why=reason, but=refusal)
        row.events.create(
            at=now, kind=Event.Kind.MOVE_SUPPRESSED, actor=Lead.Actor.BRIDGE, reason=explanation, data=data
        )
        return paused
    row.handoff_source = lead.handoff_source
    stage_moves.enter(row, target, by=by, reason=reason, now=now)
    return True


def _why_it_stays(lead: Lead, target: Stage) -> str:
    stage = lead.stage
    if stage is None:
        return Reason("card_in_stage_of_their_own")
    if stage.protected or stage.kind != Stage.Kind.OPEN:
        return Reason("automatic_moves_do_not_leave", a=stage.name)
    if lead.stage_set_by == Lead.Actor.STAFF and target.rank <= stage.rank:
        return Reason("nothing_moves_card_back_over_person", a=stage.name)
    return ""


@transaction.atomic
def give_back(lead: Lead, *, by: Lead.Actor, reason: str, now: datetime, stage: Stage | None = None) -> bool:
    """Let the agent speak again, and take the card out of where it would be silent; False if it did already.

    `stage` is where a person wants the lead; without one it goes where it came from (`place_after`). That is nobody's
    choice, so rules may move it on. Raises StaysSilentError.
    """
    if stage is not None and stage.pauses_agent:
        raise StaysSilentError(stage.name)
    row = stage_moves.locked(lead)
    target, mover = (stage, by) if stage else (stage_after_handback.place_after(row), Lead.Actor.BRIDGE)
    resumed = handoff.resume(lead, by=by, reason=reason, now=now)
    if target is None or target.pk == row.stage_id:
        return resumed
    stage_moves.enter(row, target, by=mover, reason=reason, now=now)
    return True


def end_expired(*, now: datetime, limit: int = 200) -> int:
    """Give back the leads whose longest handoff is over; return how many."""
    return sum(_end(lead, now) for lead in handoff.expired(now).select_related("pipeline", "stage")[:limit])


@transaction.atomic
def _end(lead: Lead, now: datetime) -> bool:
    row = stage_moves.locked(lead)
    if not handoff.expired(now).filter(pk=row.pk).exists():
        # Somebody came at this moment.
        return False
    return give_back(row, by=Lead.Actor.BRIDGE, reason=Reason("longest_handoff_over"), now=now)
