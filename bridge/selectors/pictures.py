"""What the results show beside their numbers: cohorts, when people write, how long stages take, who answers, and money.

Each is one query or a few, over what happened in the time asked for.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum, Window
from django.db.models.functions import ExtractHour, ExtractIsoWeekDay, RowNumber, TruncDate

from bridge.selectors import results
from bridge.selectors.results import Period
from leads.models import Lead, Meeting, Message, Milestone, Pipeline, Stage, Stay

WEEKS = 12
WEEKDAYS, HOURS = 7, 24
PEOPLE_SHOWN = 20
# Nine tenths, and a half, of so many rows in order: the first that is not exceeded by fewer than that.
HALF = Q(twice__gte=F("of"), twice__lte=F("of") + 1)
NINE_TENTHS = Q(tenfold__gte=9 * F("of"), tenfold__lte=9 * F("of") + 9)


def cohorts(pipeline: Pipeline, *, today: date) -> list[dict[str, Any]]:
    """Return by week of arrival, oldest first, how many came and how many of those qualified, booked and were won.

    Twelve weeks, this one among them; each begins on its Monday. Six queries.
    """
    monday = today - timedelta(days=today.weekday())
    period = Period(monday - timedelta(weeks=WEEKS - 1), monday + timedelta(days=6), pipeline.time_zone)
    came = Lead.objects.filter(period.of("created_at"), pipeline=pipeline)
    theirs = Q(period.of("lead__created_at"), lead__pipeline=pipeline)
    went = Stay.objects.filter(theirs)
    booked = Meeting.objects.filter(theirs, began_as=Lead.MeetingStatus.SCHEDULED)
    counted = {
        "leads": _by_week(came, "created_at", "pk", period),
        "qualified": _by_week(_in(went, results.qualified_stages(pipeline)), "lead__created_at", "lead", period),
        "meetings_booked": _by_week(booked, "lead__created_at", "lead", period),
        "won": _by_week(_in(went, results.won_stages(pipeline)), "lead__created_at", "lead", period),
    }
    weeks = [period.first + timedelta(weeks=number) for number in range(WEEKS)]
    return [{"week": week} | {name: found.get(week, 0) for name, found in counted.items()} for week in weeks]


def _in(stays: QuerySet[Stay], stages: list[int]) -> QuerySet[Stay]:
    return stays.filter(stage__in=stages)


def _by_week(rows: QuerySet[Any], arrival: str, counted: str, period: Period) -> dict[date, int]:
    by_day = rows.annotate(day=TruncDate(arrival, tzinfo=ZoneInfo(period.time_zone))).order_by()
    weeks: dict[date, int] = {}
    # A lead arrives on one day, so the days of a week add up.
    for day, number in by_day.values_list("day").annotate(number=Count(counted, distinct=counted != "pk")):
        monday = day - timedelta(days=day.weekday())
        weeks[monday] = weeks.get(monday, 0) + number
    return weeks


def arrivals(pipeline: Pipeline, period: Period) -> list[list[int]]:
    """Return how many messages leads wrote, by weekday from Monday and by hour of the pipeline. Two queries."""
    zone = ZoneInfo(period.time_zone)
    rows = Message.objects.filter(period.of("at"), results.of_pipeline(pipeline, "lead")).order_by()
    written = rows.filter(direction=Message.Direction.INBOUND)
    at_hours = written.annotate(weekday=ExtractIsoWeekDay("at", tzinfo=zone), hour=ExtractHour("at", tzinfo=zone))
    table = [[0] * HOURS for _ in range(WEEKDAYS)]
    for weekday, hour, number in at_hours.values_list("weekday", "hour").annotate(number=Count("pk")):
        table[weekday - 1][hour] = number
    return table


def stage_times(pipeline: Pipeline, period: Period) -> dict[int, dict[str, timedelta]]:
    """Return by stage within what time half and nine tenths of those that left it then had done so. Three queries."""
    stages = list(pipeline.stages.values_list("pk", flat=True))
    spent = ExpressionWrapper(F("left_at") - F("entered_at"), output_field=DurationField())
    stays = Stay.objects.filter(period.of("left_at"), stage__in=stages).annotate(spent=spent)
    return _quantiles(stays, by="stage", value="spent")


def waits_by_person(pipeline: Pipeline, period: Period) -> list[dict[str, Any]]:
    """Return by who answered how many leads waited for them, and how long; the busiest first. Three queries.

    Who is not known by name stands there without one.
    """
    rows = Milestone.objects.filter(period.of("at"), pipeline=pipeline, kind=Milestone.Kind.HANDOFF_WAIT)
    counts = dict(rows.values_list("detail").annotate(number=Count("pk")).order_by())
    within = _quantiles(rows, by="detail", value="seconds")
    found = [
        {"name": name, "count": number, **{share: timedelta(seconds=value) for share, value in within[name].items()}}
        for name, number in counts.items()
    ]
    return sorted(found, key=lambda row: (-row["count"], row["name"]))[:PEOPLE_SHOWN]


def _quantiles(rows: QuerySet[Any], *, by: str, value: str) -> dict[Any, dict[str, Any]]:
    """Return {group: {"p50", "p90"}}: the values that so large a share of each group do not exceed."""
    group = [F(by)]
    placed = rows.annotate(
        twice=2 * Window(RowNumber(), partition_by=group, order_by=F(value).asc()),
        tenfold=10 * Window(RowNumber(), partition_by=group, order_by=F(value).asc()),
        of=Window(Count("*"), partition_by=group),
    )
    found: dict[Any, dict[str, Any]] = {}
    for name, chosen in (("p50", HALF), ("p90", NINE_TENTHS)):
        for key, number in placed.filter(chosen).values_list(by, value):
            found.setdefault(key, {})[name] = number
    return found


def at_stake(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Return the stages where a sale may still come of leads, with how many stand there and their bills. Two queries.

    Read from an index alone.
    """
    alive = pipeline.stages.filter(kind=Stage.Kind.OPEN, reachable_from_anywhere=False).order_by("rank", "id")
    rows = Lead.objects.filter(pipeline=pipeline, stage__in=[stage.pk for stage in alive]).order_by()
    counted = {
        stage: (number, value or Decimal(0))
        for stage, number, value in rows.values_list("stage").annotate(number=Count("*"), value=Sum("bill_value"))
    }
    return [
        {"stage": stage, "leads": leads, "value": value}
        for stage in alive
        for leads, value in [counted.get(stage.pk, (0, Decimal(0)))]
    ]
