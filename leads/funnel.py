"""The funnel: how many leads stand in each stage, how many came that far lately, and how long they stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F
from django.db.models.functions import TruncDate

from leads.models import Lead, Pipeline, Stage, Stay

# What "lately" is: long enough for most leads to reach the end of the way, short enough to notice a change.
LATELY = timedelta(days=30)


@dataclass(frozen=True)
class Lately:
    """What the last weeks saw, by stage id: entries, and the average stay of those that left; and all leads that moved.

    Counted over every stay of that time, so whoever shows it often keeps it for a while.
    """

    entered: dict[int, int]
    usual_stay: dict[int, timedelta]
    moved: int


@dataclass(frozen=True)
class Place:
    """A stage with its figures. `conversion`: the entries here for each lead that went anywhere lately, at most 1."""

    stage: Stage
    standing: int
    entered: int
    conversion: float | None
    usual_stay: timedelta | None


def lately(pipeline: Pipeline, *, now: datetime) -> Lately:
    """Return what the last weeks saw. Four queries, each answered by an index alone."""
    since = now - LATELY
    ids = list(pipeline.stages.values_list("pk", flat=True))
    stays = Stay.objects.filter(entered_at__gte=since, stage__in=ids)
    spent = ExpressionWrapper(F("left_at") - F("entered_at"), output_field=DurationField())
    left = Stay.objects.filter(left_at__gte=since, stage__in=ids)
    return Lately(
        entered=dict(stays.values_list("stage").annotate(number=Count("*")).order_by()),
        usual_stay=dict(left.values_list("stage").annotate(usual=Avg(spent)).order_by()),
        # Not the entries of the first stage: a first message may take a lead further at once.
        moved=stays.aggregate(leads=Count("lead", distinct=True))["leads"],
    )


def places(pipeline: Pipeline, seen: Lately) -> list[Place]:
    """Return the pipeline's stages in their order, with how many leads stand there now. Two queries."""
    standing = dict(Lead.objects.filter(pipeline=pipeline).values_list("stage").annotate(number=Count("*")).order_by())
    return [
        Place(
            stage=stage,
            standing=standing.get(stage.pk, 0),
            entered=(number := seen.entered.get(stage.pk, 0)),
            conversion=min(1.0, number / seen.moved) if seen.moved else None,
            usual_stay=seen.usual_stay.get(stage.pk),
        )
        for stage in pipeline.stages.order_by("rank", "id")
    ]


def daily_entries(pipeline: Pipeline, *, days: int, now: datetime) -> tuple[list[date], dict[int, list[int]]]:
    """Return the last days, oldest first, and for each stage that was entered how often on each. Two queries."""
    zone = ZoneInfo(pipeline.time_zone)
    today = now.astimezone(zone).date()
    dates = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    start = datetime.combine(dates[0], datetime.min.time(), zone)
    ids = list(pipeline.stages.values_list("pk", flat=True))
    rows = (
        Stay.objects.filter(entered_at__gte=start, stage__in=ids)
        .annotate(day=TruncDate("entered_at", tzinfo=zone))
        .values_list("stage", "day")
        .annotate(number=Count("*"))
        .order_by()
    )
    found: dict[int, list[int]] = {}
    position = {day: index for index, day in enumerate(dates)}
    for stage_id, day, number in rows:
        if day in position:
            found.setdefault(stage_id, [0] * days)[position[day]] += number
    return dates, found
