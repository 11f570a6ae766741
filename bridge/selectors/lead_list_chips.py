"""Which leads does a seller ask for? Each question has a shelf, which costs what it shows, however many there are.

A shelf of which a company has a handful at a time (who waits, who is met today) is shown whole, in the order in which
it is worked. The others come in pages, the last touched first, by an index that begins with what they ask for; where
that is the stage, one stage after the other is looked into, and the newest of all are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet

from bridge.models import Card
from bridge.selectors.morning import TAKES_PLACE
from bridge.selectors.results import Period
from bridge.selectors.stuck_cards import STUCK
from followups.models import Enrollment
from leads import waiting_for_people
from leads.models import Lead, Meeting, Pipeline, Stage
from leads.models.lead import UNANSWERED

# Of a shelf that is shown whole.
MOST_SHOWN = 200
TALKING = timedelta(hours=1)
# Whoever was written to less than this ago is still reading.
PATIENCE = timedelta(hours=1)

Narrow = Callable[[QuerySet[Lead], datetime], QuerySet[Lead]]


class Order(StrEnum):
    """By what a list of leads is sorted: `keyset` is the column."""

    TOUCHED = ""
    NEW = "new"
    WORTH = "worth"

    @property
    def keyset(self) -> str:
        return {Order.TOUCHED: "updated_at", Order.NEW: "created_at", Order.WORTH: "bill_value"}[self]


@dataclass(frozen=True)
class Shelf:
    """Leads that one question finds.

    stages: it looks into these stages, one after the other. in_order: a handful, shown whole in this order.
    orders: by what else it may be sorted and still be found by an index.
    """

    narrow: Narrow
    stages: Callable[[Stage], bool] | None = None
    in_order: tuple[str, ...] = ()
    orders: tuple[Order, ...] = (Order.TOUCHED, Order.NEW, Order.WORTH)


def _waits(leads: QuerySet[Lead], now: datetime) -> QuerySet[Lead]:
    found: QuerySet[Any] = waiting_for_people.with_people(leads)
    return found.filter(is_served=False)


def _talks(leads: QuerySet[Lead], now: datetime) -> QuerySet[Lead]:
    # What was said touched the lead: by that it is found.
    return leads.filter(updated_at__gte=now - TALKING, last_inbound_at__gte=now - TALKING)


def _meets(day: int) -> Narrow:
    def narrow(leads: QuerySet[Lead], now: datetime) -> QuerySet[Lead]:
        """Narrow leads to those that are met on a day of their pipeline's calendar."""
        met: set[UUID] = set()
        for pipeline in Pipeline.objects.order_by("pk"):
            date = now.astimezone(ZoneInfo(pipeline.time_zone)).date() + timedelta(days=day)
            of_day = Period(date, date, pipeline.time_zone).of("starts_at")
            rows = Meeting.objects.filter(of_day, status__in=TAKES_PLACE, lead__pipeline=pipeline)
            met.update(rows.order_by("starts_at").values_list("lead_id", flat=True)[:MOST_SHOWN])
        # Asked apart, so that they are found by their index whatever else is asked for.
        return leads.filter(pk__in=met)

    return narrow


def _is_silent(leads: QuerySet[Lead], now: datetime) -> QuerySet[Lead]:
    reading = Q(last_outbound_at__gt=now - PATIENCE) | Q(last_staff_at__gt=now - PATIENCE)
    return leads.filter(UNANSWERED, stage__in=_those(_is_alive)).exclude(reading)


def _is_followed(leads: QuerySet[Lead], now: datetime) -> QuerySet[Lead]:
    running = Enrollment.objects.filter(state=Enrollment.State.WAITING)
    return leads.filter(pk__in=running.values("lead_id"))


def _is_in_trouble(leads: QuerySet[Lead], now: datetime) -> QuerySet[Lead]:
    return leads.filter(pk__in=Card.objects.filter(state__in=STUCK).values("lead_id"))


def _is_lost(leads: QuerySet[Lead], now: datetime) -> QuerySet[Lead]:
    return leads.filter(stage__in=_those(_is_given_up))


def _is_alive(stage: Stage) -> bool:
    return stage.is_alive


def _is_given_up(stage: Stage) -> bool:
    return not stage.is_alive and stage.kind != Stage.Kind.WON


def _those(stages: Callable[[Stage], bool]) -> list[int]:
    return [stage.pk for stage in Stage.objects.all() if stages(stage)]


SHELVES = {
    "waiting": Shelf(_waits, in_order=("waits_since", "pk")),
    "talking": Shelf(_talks, orders=(Order.TOUCHED,)),
    "today": Shelf(_meets(0), in_order=("meeting_starts_at", "pk")),
    "tomorrow": Shelf(_meets(1), in_order=("meeting_starts_at", "pk")),
    "silent": Shelf(_is_silent, stages=_is_alive, orders=(Order.TOUCHED,)),
    "followed": Shelf(_is_followed),
    "trouble": Shelf(_is_in_trouble),
    "lost": Shelf(_is_lost, stages=_is_given_up, orders=(Order.TOUCHED, Order.WORTH)),
}


def parts(leads: QuerySet[Lead], shelf: Shelf | None, order: Order, among: Iterable[Stage]) -> list[QuerySet[Lead]]:
    """Return leads in parts of which each is in order by an index: those of all parts, merged, are the list.

    among: the stages that are asked for, of all pipelines.
    """
    stages = [stage for stage in among if shelf is None or shelf.stages is None or shelf.stages(stage)]
    if order is Order.WORTH and (shelf is None or shelf.stages):
        # Leads that stand where no stage of ours is bound are in none of them.
        elsewhere = (
            []
            if shelf
            else [{"pipeline": pipeline_id, "stage": None} for pipeline_id in {stage.pipeline_id for stage in stages}]
        )
        places = [{"pipeline": stage.pipeline_id, "stage": stage} for stage in stages] + elsewhere
        return [leads.filter(bill_value__isnull=False, **place) for place in places]
    if order is Order.WORTH:
        return [leads.filter(bill_value__isnull=False)]
    return [leads.filter(stage=stage) for stage in stages] if shelf and shelf.stages else [leads]
