"""Moving a lead for a stated reason: by a follow-up that gave up, by staff here, or by staff in Kommo."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from common.reasons import Reason
from leads import announcements, handoff
from leads.models import Event, Lead, Stage

STAGE_FIELDS = (
    "stage",
    "other_stage_name",
    "stage_set_by",
    "stage_set_at",
    "concluded_when_moved",
    "decision_reason",
    "updated_at",
)
# Who moves a card in Kommo, or here by hand: it has happened, and no rule is asked.
OTHERS = (Lead.Actor.STAFF, Lead.Actor.KOMMO)


# What an event keeps of the person: {"user": their name here}, or {"kommo_user_id": …} whose name is looked up.
Whom = Mapping[str, Any]


class ProtectedStageError(Exception):
    """The lead stands where automatic moves must not take it from: a person's stage, won or lost."""


@transaction.atomic
def move(
    lead: Lead,
    stage: Stage,
    *,
    by: Lead.Actor,
    reason: str,
    now: datetime,
    moved_at: datetime | None = None,
    tells_staff: bool = True,
    by_whom: Whom | None = None,
) -> bool:
    """Move a lead to another stage of its pipeline and note why; False when it stands there already.

    A person or another program in Kommo (`by` one of OTHERS) has moved it anywhere, at `moved_at` if that is known. For
    everybody else it raises ProtectedStageError when the lead stands in a protected stage, won, lost, a stage unknown
    to us, or while a person has taken over. Without `tells_staff` nobody is told to take the lead over, whatever the
    stage says.
    """
    lead = locked(lead)
    if lead.stage_id == stage.pk:
        return False
    if by not in OTHERS:
        check_may_leave(lead)
    enter(
        lead,
        stage,
        by=by,
        reason=reason,
        now=now,
        moved_at=moved_at,
        tells_staff=tells_staff,
        by_whom=by_whom,
    )
    return True


def locked(lead: Lead) -> Lead:
    """Return the lead as it is now, locked until the transaction ends."""
    rows = Lead.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("stage", "pipeline").get(pk=lead.pk)


def check_may_leave(lead: Lead) -> None:
    """Raise ProtectedStageError when no automatic move may take the lead out of where it stands."""
    stage = lead.stage
    if stage is None:
        raise ProtectedStageError(Reason("card_stands_where_person_put_it", a=f"“{lead.other_stage_name}”"))
    if stage.protected or stage.kind != Stage.Kind.OPEN:
        raise ProtectedStageError(Reason("stands_where_automatic_moves_do_not_leave", what=stage.name))
    if lead.is_with_people:
        raise ProtectedStageError(Reason("person_has_taken_over"))


def enter(
    lead: Lead,
    stage: Stage,
    *,
    by: Lead.Actor,
    reason: str,
    now: datetime,
    moved_at: datetime | None = None,
    tells_staff: bool = True,
    by_whom: Whom | None = None,
) -> None:
    """Store the new stage with its event. The caller holds the row's lock and has checked that the move is allowed."""
    previous = lead.stage
    data = {
        "from": previous.key if previous else "other",
        "from_name": previous.name if previous else lead.other_stage_name,
        "to": stage.key,
        "to_name": stage.name,
        **(by_whom or {}),
    }
    lead.stage, lead.other_stage_name = stage, ""
    _note_mover(lead, by, reason, now, moved_at)
    lead.save(update_fields=STAGE_FIELDS)
    lead.events.create(at=now, kind=_kind(by), actor=by, reason=reason[:500], data=data)
    announcements.stage_changed.send(Lead, lead=lead, previous=previous, by=by, reason=reason, now=now)
    handoff.follow_stage(lead, previous=previous, by=by, now=now, tells_staff=tells_staff)


def _note_mover(lead: Lead, by: Lead.Actor, reason: str, now: datetime, moved_at: datetime | None) -> None:
    """Remember who moved the lead, when, and what they could know; in memory."""
    # Kommo's clock may be behind ours; what is heard last is the newest all the same.
    lead.stage_set_by, lead.stage_set_at = by, min(now, max(moved_at or now, lead.stage_set_at))
    lead.concluded_when_moved = lead.concluded if by in OTHERS else []
    lead.decision_reason, lead.updated_at = reason[:500], now


@transaction.atomic
def confirm(lead: Lead, *, by: Lead.Actor, reason: str, now: datetime, by_whom: Whom | None = None) -> None:
    """Note that somebody put the lead where it stands already: from now on the place is theirs."""
    Lead.objects.filter(pk=lead.pk).update(
        stage_set_by=by,
        stage_set_at=now,
        concluded_when_moved=F("concluded"),
        decision_reason=reason[:500],
        updated_at=now,
    )
    data = {"to": lead.stage.key, "to_name": lead.stage.name} if lead.stage else {}
    data = {**data, **(by_whom or {})}
    lead.events.create(at=now, kind=_kind(by), actor=by, reason=reason[:500], data=data)


def _kind(by: Lead.Actor) -> Event.Kind:
    return Event.Kind.STAFF_MOVE if by is Lead.Actor.STAFF else Event.Kind.STAGE_CHANGED


@transaction.atomic
def leave_our_stages(
    lead: Lead,
    *,
    name: str,
    reason: str,
    now: datetime,
    by: Lead.Actor = Lead.Actor.STAFF,
    moved_at: datetime | None = None,
    by_whom: Whom | None = None,
) -> bool:
    """Note that somebody put the card into a stage of Kommo that none of ours is bound to; its place is theirs."""
    lead = locked(lead)
    if lead.stage is None and lead.other_stage_name == name:
        return False
    previous = lead.stage
    data: dict[str, Any] = {"from": previous.key if previous else "other", "to": "other", "to_name": name}
    data |= by_whom or {}
    lead.stage, lead.other_stage_name = None, name[:250]
    _note_mover(lead, by, reason, now, moved_at)
    lead.save(update_fields=STAGE_FIELDS)
    lead.events.create(at=now, kind=_kind(by), actor=by, reason=reason[:500], data=data)
    announcements.stage_changed.send(Lead, lead=lead, previous=previous, by=by, reason=reason, now=now)
    handoff.follow_stage(lead, previous=previous, by=by, now=now)
    return True


@transaction.atomic
def found(lead: Lead, stage: Stage | None, *, name: str, reason: str, now: datetime) -> bool:
    """Let a lead stand where its card was found; False when it stands there already.

    Nobody was seen to put it there, so the place is nobody's: rules may move it on. `name` is Kommo's name of a place
    that is none of our stages.
    """
    lead = Lead.objects.select_for_update(of=("self",), no_key=True).select_related("stage", "pipeline").get(pk=lead.pk)
    previous = lead.stage
    if previous == stage and (stage or lead.other_stage_name == name[:250]):
        handoff.follow_stage(lead, by=Lead.Actor.STAFF, now=now, found=True)
        return False
    data = {
        "from": previous.key if previous else "other",
        "from_name": previous.name if previous else lead.other_stage_name,
        "to": stage.key if stage else "other",
        "to_name": stage.name if stage else name[:250],
    }
    lead.stage, lead.other_stage_name = stage, "" if stage else name[:250]
    lead.stage_set_by, lead.stage_set_at, lead.decision_reason = Lead.Actor.KOMMO, now, reason[:500]
    lead.concluded_when_moved = lead.concluded
    lead.updated_at = now
    lead.save(update_fields=STAGE_FIELDS)
    lead.events.create(at=now, kind=Event.Kind.STAGE_CHANGED, actor=Lead.Actor.KOMMO, reason=reason[:500], data=data)
    announcements.stage_changed.send(Lead, lead=lead, previous=previous, by=Lead.Actor.KOMMO, reason=reason, now=now)
    handoff.follow_stage(lead, previous=previous, by=Lead.Actor.STAFF, now=now, found=True)
    return True


@transaction.atomic
def become_known(lead: Lead, stage: Stage, *, reason: str, now: datetime) -> bool:
    """Give a lead the stage of ours that its card has stood in all along; False when it has one.

    Nobody moved it: whose place it is, since when, and what was concluded then stay as they were.
    """
    lead = locked(lead)
    if lead.stage is not None:
        return False
    data = {"from": "other", "from_name": lead.other_stage_name, "to": stage.key, "to_name": stage.name}
    lead.stage, lead.other_stage_name, lead.updated_at = stage, "", now
    lead.save(update_fields=["stage", "other_stage_name", "updated_at"])
    lead.events.create(at=now, kind=Event.Kind.STAGE_CHANGED, actor=Lead.Actor.BRIDGE, reason=reason[:500], data=data)
    announcements.stage_changed.send(Lead, lead=lead, previous=None, by=Lead.Actor.BRIDGE, reason=reason, now=now)
    handoff.follow_stage(lead, by=Lead.Actor.BRIDGE, now=now, found=True)
    return True
