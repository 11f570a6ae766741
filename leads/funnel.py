"""The funnel: how many leads stand in each stage, how many came that far lately, and how long they stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Sum

from leads.models import Lead, Pipeline, Stage, Stay

# What "lately" is: long enough for most leads to reach the end of the way, short enough to notice a change. Whole days,
# today among them, so that it counts what the results count.
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
    """A stage with its figures. `conversion`: the entries here for each lead that went anywhere lately, at most 1.

    `value`: the bills of those that stand there, together.
    """

    stage: Stage
    standing: int
    value: Decimal
    entered: int
    conversion: float | None
    usual_stay: timedelta | None


def lately(pipeline: Pipeline, *, now: datetime) -> Lately:
    """Return what the last weeks saw. Four queries, each answered by an index alone."""
    zone = ZoneInfo(pipeline.time_zone)
    first = now.astimezone(zone).date() - LATELY + timedelta(days=1)
    since = datetime.combine(first, time.min, zone)
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
    """Return the pipeline's stages in their order, with how many leads stand there now. Two queries, by index alone."""
    stages = list(pipeline.stages.order_by("rank", "id"))
    # All of them by name: for the pipeline alone PostgreSQL reads the whole table in place of the index.
    rows = Lead.objects.filter(pipeline=pipeline, stage__in=[stage.pk for stage in stages]).order_by()
    counted = rows.values_list("stage").annotate(number=Count("*"), value=Sum("bill_value"))
    standing = {stage: (number, value or Decimal(0)) for stage, number, value in counted}
    nobody = (0, Decimal(0))
    return [
        Place(
            stage=stage,
            standing=standing.get(stage.pk, nobody)[0],
            value=standing.get(stage.pk, nobody)[1],
            entered=(number := seen.entered.get(stage.pk, 0)),
            conversion=min(1.0, number / seen.moved) if seen.moved else None,
            usual_stay=seen.usual_stay.get(stage.pk),
        )
        for stage in stages
    ]
