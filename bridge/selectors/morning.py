"""What somebody who comes in asks first: who waits and what they said, today beside yesterday, and who is met today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, F, OuterRef, Q, QuerySet, Subquery, When

from bridge.selectors import results
from bridge.selectors.results import Period
from leads import waiting_for_people
from leads.models import Lead, Meeting, Message, Pipeline

PEOPLE_SHOWN = 6
MEETINGS_SHOWN = 8
DAYS_SHOWN = 14
COUNTED = ("leads", "qualified", "meetings_booked", "followups_sent")
# What a meeting of the day may have come to; one that was cancelled is none.
TAKES_PLACE = (*Lead.BOOKED, Lead.MeetingStatus.COMPLETED, Lead.MeetingStatus.NO_SHOW)


@dataclass(frozen=True)
class People:
    """Who waits, the longest first, and who is served; of each the first few, and how many there are."""

    waiting: list[Lead]
    waiting_count: int
    served: list[Lead]
    served_count: int


def people(*, now: datetime) -> People:
    """Return the leads that people have, each with what it said last (`said`) and who wrote to it last (`served_by`).

    Whoever waits for longer than a seller's task may take `is_late`. Three queries.
    """
    rows: QuerySet[Any] = waiting_for_people.with_people()
    counts = rows.aggregate(
        waiting=Count("pk", filter=Q(is_served=False)), served=Count("pk", filter=Q(is_served=True))
    )
    shown = _shown(rows, now).select_related("stage", "pipeline", "card__account")
    return People(
        waiting=list(shown.filter(is_served=False).order_by("waits_since", "pk")[:PEOPLE_SHOWN]),
        waiting_count=counts["waiting"],
        served=list(shown.filter(is_served=True).order_by("-handoff_since", "pk")[:PEOPLE_SHOWN]),
        served_count=counts["served"],
    )


def _shown(leads: QuerySet[Any], now: datetime) -> QuerySet[Any]:
    messages = Message.objects.filter(lead=OuterRef("pk")).order_by("-at", "-id")
    theirs = messages.filter(direction=Message.Direction.INBOUND)
    ours = messages.filter(direction=Message.Direction.STAFF)
    is_late = Case(When(waits_since__lt=now - F("pipeline__handoff_task_within"), then=True), default=False)
    shown: QuerySet[Any] = leads.annotate(
        is_late=is_late,
        said=Subquery(theirs.values("text")[:1]),
        served_by=Subquery(ours.values("author")[:1]),
    )
    return shown


def fortnight(pipeline: Pipeline, *, now: datetime) -> dict[str, list[int]]:
    """Return for each number that is counted by days those of the last fourteen, today's last. A query a number."""
    today = now.astimezone(ZoneInfo(pipeline.time_zone)).date()
    period = Period(today - timedelta(days=DAYS_SHOWN - 1), today, pipeline.time_zone)
    _days, counted = results.daily(pipeline, period, COUNTED)
    return counted


def meetings(pipeline: Pipeline, *, now: datetime) -> tuple[list[Meeting], list[Meeting], int]:
    """Return the meetings of today and of tomorrow, the next few of both, and how many there are. Two queries."""
    today = now.astimezone(ZoneInfo(pipeline.time_zone)).date()
    both = Period(today, today + timedelta(days=1), pipeline.time_zone)
    rows = Meeting.objects.filter(
        both.of("starts_at"), status__in=TAKES_PLACE, lead__pipeline=pipeline, lead__erased_at=None
    )
    shown = list(rows.select_related("lead__stage").order_by("starts_at", "pk")[:MEETINGS_SHOWN])
    until = Period(today, today, pipeline.time_zone).ends_at
    of_today = [one for one in shown if one.starts_at is not None and one.starts_at < until]
    return of_today, shown[len(of_today) :], rows.count()
