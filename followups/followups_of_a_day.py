"""Follow-ups of one day: what went out, what came back, what is still to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, Q, When

from followups.models import Attempt, Enrollment

NEXT_SHOWN = 5
# Later than this, what is due is late and not just about to go.
LATE_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class Today:
    sent: int
    answered: int
    # Everything that was due and did not leave, but for what was only shown: whatever kept it.
    not_sent: int
    # Of these, what there was no way to send.
    unsent: int
    would_send: int
    to_come: int
    late: int
    on_hold: int
    # The next few: those of the day itself, and those of later days.
    next: list[Enrollment]
    later: list[Enrollment]


def today(zone: str, *, now: datetime) -> Today:
    """Return the figures of the day that `now` is part of in the zone. Four queries, each by an index."""
    local = now.astimezone(ZoneInfo(zone))
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    end = (start + timedelta(hours=30)).replace(hour=0)
    state = Attempt.State
    failed = Q(state__in=[state.MISSED, state.UNREACHABLE, state.DROPPED, state.NOT_SENT, state.NOT_DELIVERED])
    done = Attempt.objects.filter(created_at__gte=start).aggregate(
        sent=Count(Case(When(state=state.SENT, then=1))),
        answered=Count("answered_at"),
        not_sent=Count(Case(When(failed, then=1))),
        unsent=Count(Case(When(state=state.NOT_SENT, then=1))),
        would_send=Count(Case(When(state=state.WOULD_SEND, then=1))),
    )
    waiting = Enrollment.objects.filter(state=Enrollment.State.WAITING)
    moving = waiting.filter(held=False, next_at__isnull=False)
    due = moving.filter(next_at__lt=end).aggregate(
        to_come=Count("pk"), late=Count(Case(When(next_at__lt=now - LATE_AFTER, then=1)))
    )
    coming = list(moving.select_related("lead", "sequence").order_by("next_at")[:NEXT_SHOWN])
    return Today(
        **done,
        **due,
        on_hold=waiting.filter(held=True).count(),
        next=[enrollment for enrollment in coming if enrollment.next_at is not None and enrollment.next_at < end],
        later=[enrollment for enrollment in coming if enrollment.next_at is not None and enrollment.next_at >= end],
    )
