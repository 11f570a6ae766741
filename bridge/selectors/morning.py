"""What somebody who comes in asks first: who waits and what they said, today beside yesterday, and who is met today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, F, OuterRef, Q, QuerySet, Subquery, Sum, When

from bridge.selectors import results
from bridge.selectors.results import Period
from leads import waiting_for_people
from leads.models import Lead, Meeting, Message, Pipeline

PEOPLE_SHOWN, SERVED_SHOWN = 6, 3
MEETINGS_SHOWN = 8
# Of both days together: whoever meets more people in a day has a calendar for it.
MEETINGS_READ = 100
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
        served=list(shown.filter(is_served=True).order_by("-handoff_since", "pk")[:SERVED_SHOWN]),
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


def month(pipeline: Pipeline, *, now: datetime) -> dict[str, Any]:
    """Return what the agent was worth since this month began: its days, and the results people ask for first.

    Bills of what was won are written as text, for a cache to keep. A few queries, all of them about that time alone.
    """
    today = now.astimezone(ZoneInfo(pipeline.time_zone)).date()
    period = Period(today.replace(day=1), today, pipeline.time_zone)
    won = results.came_to(results.won_stages(pipeline), period)
    money = won.aggregate(count=Count("pk"), value=Sum("bill_value"))
    return {
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "meetings_booked_by_agent": results.meetings_booked(pipeline, period).filter(is_by_agent=True).count(),
        "rescued": results.rescued(pipeline, period).count(),
        "won": money["count"],
        "won_value": str(money["value"] or 0),
    }


@dataclass(frozen=True)
class Day:
    """The meetings of one day: the first few, and how many there are."""

    shown: list[Meeting]
    count: int


def meetings(pipeline: Pipeline, *, now: datetime) -> tuple[Day, Day]:
    """Return the meetings of today, and those of tomorrow. Two queries."""
    today = now.astimezone(ZoneInfo(pipeline.time_zone)).date()
    days = [Period(day, day, pipeline.time_zone) for day in (today, today + timedelta(days=1))]
    both = Q(starts_at__gte=days[0].begins_at, starts_at__lt=days[1].ends_at)
    rows = Meeting.objects.filter(both, status__in=TAKES_PLACE, lead__pipeline=pipeline, lead__erased_at=None)
    counts = rows.aggregate(
        today=Count("pk", filter=days[0].of("starts_at")), tomorrow=Count("pk", filter=days[1].of("starts_at"))
    )
    read = rows.select_related("lead__stage").order_by("starts_at", "pk")[:MEETINGS_READ]
    by_day: dict[bool, list[Meeting]] = {True: [], False: []}
    for meeting in read:
        by_day[meeting.starts_at is not None and meeting.starts_at < days[0].ends_at].append(meeting)
    return (
        Day(by_day[True][:MEETINGS_SHOWN], counts["today"]),
        Day(by_day[False][:MEETINGS_SHOWN], counts["tomorrow"]),
    )
