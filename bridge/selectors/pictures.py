"""What the results show beside their numbers: cohorts, when people write, how long stages take, who answers, and money.

Each is one query or a few, over what happened in the time asked for.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import (
    BooleanField,
    Case,
    Count,
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import ExtractHour, ExtractIsoWeekDay, TruncDate, TruncWeek

from bridge.selectors import results
from bridge.selectors.results import Period
from common.percentiles import Percentile
from leads.models import Lead, Meeting, Message, Milestone, Pipeline, Stage, Stay

WEEKS = 12
WEEKDAYS, HOURS = 7, 24
PEOPLE_SHOWN = 20
# When people are at work, on weekdays: what leads write outside it the agent alone answers at once.
OFFICE = (8, 18)
SECOND = Value(timedelta(seconds=1), DurationField())


def cohorts(pipeline: Pipeline, *, today: date) -> list[dict[str, Any]]:
    """Return by week of arrival, oldest first, how many came and how many of those qualified, booked and were won.

    Twelve weeks, this one among them; each begins on its Monday. Eight queries.
    """
    monday = today - timedelta(days=today.weekday())
    period = Period(monday - timedelta(weeks=WEEKS - 1), monday + timedelta(days=6), pipeline.time_zone)
    came = results.new_leads(pipeline, period)
    theirs = Q(period.of("lead__created_at"), results.of_pipeline(pipeline, "lead"))
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
    """Return by stage within what time half and nine tenths of those that left it then had done so. Two queries."""
    stages = list(pipeline.stages.values_list("pk", flat=True))
    spent = ExpressionWrapper(F("left_at") - F("entered_at"), output_field=DurationField())
    stays = Stay.objects.filter(period.of("left_at"), stage__in=stages).annotate(spent=spent)
    return {stage: shares for (stage,), shares in _quantiles(stays, by=("stage",), value="spent").items()}


def waits_by_person(pipeline: Pipeline, period: Period) -> list[dict[str, Any]]:
    """Return by who answered how many leads waited for them, and how long; the busiest first. Two queries.

    Who is not known by name stands there without one.
    """
    rows = Milestone.objects.filter(period.of("at"), pipeline=pipeline, kind=Milestone.Kind.HANDOFF_WAIT)
    counts = dict(rows.values_list("detail").annotate(number=Count("pk")).order_by())
    within = _quantiles(rows, by=("detail",), value="seconds")
    found = [{"name": name, "count": number, **_spans(within[name,])} for name, number in counts.items()]
    return sorted(found, key=lambda row: (-row["count"], row["name"]))[:PEOPLE_SHOWN]


def first_replies(pipeline: Pipeline, period: Period) -> dict[bool, dict[str, timedelta]]:
    """Return how long people waited for the first answer: those who first wrote while people are at work, and others.

    One query.
    """
    found = _quantiles(_first_replies(pipeline, period), by=("in_office",), value="seconds")
    return {bool(key): _spans(shares) for (key,), shares in found.items()}


def first_replies_by_week(pipeline: Pipeline, period: Period) -> list[dict[str, Any]]:
    """Return by week, oldest first, within what time half of the first answers came: "in_office" and "outside".

    Weeks begin on their Monday; one in which nobody was first answered is left out. One query.
    """
    zone = ZoneInfo(period.time_zone)
    rows = _first_replies(pipeline, period).annotate(week=TruncWeek("at", tzinfo=zone))
    weeks: dict[date, dict[str, Any]] = {}
    for (monday, in_office), shares in _quantiles(rows, by=("week", "in_office"), value="seconds").items():
        day = monday.astimezone(zone).date()
        row = weeks.setdefault(day, {"week": day, "in_office": None, "outside": None})
        row["in_office" if in_office else "outside"] = timedelta(seconds=shares["p50"])
    return [weeks[day] for day in sorted(weeks)]


def _first_replies(pipeline: Pipeline, period: Period) -> QuerySet[Any]:
    zone = ZoneInfo(period.time_zone)
    rows = Milestone.objects.filter(period.of("at"), pipeline=pipeline, kind=Milestone.Kind.FIRST_REPLY)
    # A number to multiply with is an IntegerField to SQLite, and nothing that comes of it.
    seconds = ExpressionWrapper(F("seconds"), output_field=IntegerField())
    waited = ExpressionWrapper(seconds * SECOND, output_field=DurationField())
    began_at = ExpressionWrapper(F("at") - waited, output_field=DateTimeField())
    at_hours = rows.annotate(began_at=began_at).annotate(
        weekday=ExtractIsoWeekDay("began_at", tzinfo=zone), hour=ExtractHour("began_at", tzinfo=zone)
    )
    at_work = Q(weekday__in=range(1, 6), hour__in=range(*OFFICE))
    return at_hours.annotate(in_office=Case(When(at_work, then=True), default=False, output_field=BooleanField()))


def _spans(shares: dict[str, int]) -> dict[str, timedelta]:
    return {share: timedelta(seconds=value) for share, value in shares.items()}


def _quantiles(rows: QuerySet[Any], *, by: tuple[str, ...], value: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return {group: {"p50", "p90"}}: the values that so large a share of each group do not exceed. One query."""
    shares = {name: Percentile(value, share) for name, share in results.SHARES}
    grouped = rows.order_by().values(*by).annotate(**shares)
    return {tuple(row[name] for name in by): {name: row[name] for name in shares} for row in grouped}


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
