"""What others ask of follow-ups: where a lead is, what goes out next, how the steps do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Case, Count, OuterRef, Q, Subquery, When

from common.statements import Select
from followups.models import Attempt, Enrollment, Sequence
from leads.models import Lead

NOTHING: dict[str, Any] = {"state": "none", "next_at": None, "step": None}


def place(lead_id: Any) -> tuple[Subquery, Subquery, Subquery, Subquery]:
    """Return what a query over leads selects to tell where each is in its follow-ups, for `place_as_json`.

    Of what is waiting the nearest counts; of what is over, the latest.
    """
    rows = Enrollment.objects.filter(lead_id=lead_id).order_by(
        Case(When(state=Enrollment.State.WAITING, then=0), default=1), "next_at", "-pk"
    )
    state, next_at, step, is_held = (Subquery(rows.values(name)[:1]) for name in ("state", "next_at", "step", "held"))
    return state, next_at, step, is_held


def place_as_json(
    state: str | None, next_at: datetime | None, step: int | None, is_held: bool | None
) -> dict[str, Any]:
    """Return where a lead is in its follow-ups, as the agent is told. While it is held nothing is due."""
    if state is None:
        return dict(NOTHING)
    waiting = state == Enrollment.State.WAITING
    at = next_at.isoformat() if next_at and not is_held else None
    return {"state": state, "next_at": at, "step": step if waiting else None} | ({"held": True} if is_held else {})


PLACE = Select(lambda lead_id: Lead.objects.filter(pk=lead_id).order_by().values_list(*place(OuterRef("pk"))))


def summary(lead: Lead) -> dict[str, Any]:
    """Return where the lead is in its follow-ups, as the agent is told: {"state", "next_at", "step"}. One query."""
    return place_as_json(*PLACE.first(lead_id=lead.pk))


def outcomes(sequence: Sequence, *, since: datetime | None = None) -> list[dict[str, Any]]:
    """Return per step what became of its messages: one dict of counts for each step that was ever due.

    Keys: step, sent, declined, missed, not_sent, would_send, answered, booked, opted_out. `since` bounds the attempts
    by their start.
    """
    attempts = Attempt.objects.filter(enrollment__sequence=sequence)
    if since is not None:
        attempts = attempts.filter(created_at__gte=since)
    rows = (
        attempts.values("step")
        .annotate(
            sent=Count("pk", filter=Q(state=Attempt.State.SENT)),
            declined=Count("pk", filter=Q(state=Attempt.State.DECLINED)),
            missed=Count("pk", filter=Q(state__in=Attempt.LOST)),
            not_sent=Count("pk", filter=Q(state=Attempt.State.NOT_SENT)),
            would_send=Count("pk", filter=Q(state=Attempt.State.WOULD_SEND)),
            answered=Count("answered_at"),
            booked=Count("booked_at"),
            opted_out=Count("opted_out_at"),
        )
        .order_by("step")
    )
    return [dict(row) for row in rows]
