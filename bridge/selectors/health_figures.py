"""Is the bridge healthy now? A few figures, each from an index or from its newest rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, Count, Min, Q, When
from django.db.models.functions import TruncMinute

from bridge.accounts import room_for_leads
from bridge.doctor.workers_and_queue import WORKER_SILENT_AFTER
from bridge.models import Account, CallSlot, Card, Delivery, Heartbeat
from bridge.selectors.backlog import MANY, Backlog, backlog
from bridge.selectors.stuck_cards import STUCK
from common.reasons.columns import either

# The lag is that of the newest deliveries, and of none older than this.
LAG_OF_NEWEST = 200
LAG_WITHIN = timedelta(hours=1)
# Not sent, and rightly so: newer news had overtaken it, or the account only observes.
ASIDE = (Delivery.Outcome.DROPPED, Delivery.Outcome.WOULD_SEND)


@dataclass(frozen=True)
class Pulse:
    """lag_ms and slow_ms: half and 95 % of the newest deliveries took less. None: nothing was delivered lately."""

    lag_ms: int | None
    slow_ms: int | None
    backlog: Backlog
    pending: int
    pending_since: datetime | None
    # Cards that nothing moves on by itself: what is known of them is not in Kommo.
    stuck: int
    calls: int
    ceiling: int
    webhook_heard_at: datetime | None
    workers: list[tuple[str, datetime]]

    @property
    def worker_heard_at(self) -> datetime | None:
        return max((at for _, at in self.workers), default=None)

    def worker_is_silent(self, now: datetime) -> bool:
        heard_at = self.worker_heard_at
        return heard_at is None or now - heard_at > WORKER_SILENT_AFTER


def pulse(accounts: list[Account], *, now: datetime) -> Pulse:
    """Return the figures of now. Five queries, and two more while many cards wait."""
    newest = Delivery.objects.filter(at__gte=now - LAG_WITHIN).order_by("-at").values_list("outcome", "lag_ms")
    lags = sorted(
        lag for outcome, lag in newest[:LAG_OF_NEWEST] if outcome == Delivery.Outcome.DELIVERED and lag is not None
    )
    pending = Card.objects.filter(state__in=Card.PENDING).exclude(waiting_reason__in=either(room_for_leads.NO_ROOM))
    waiting = pending.aggregate(count=Count("pk"), since=Min("pending_since"))
    heard = [account.webhook_heard_at for account in accounts if account.webhook_heard_at]
    return Pulse(
        lag_ms=_quantile(lags, 0.5),
        slow_ms=_quantile(lags, 0.95),
        # How fast few leave nobody reads.
        backlog=backlog(now=now) if waiting["count"] >= MANY else Backlog(waiting["count"], 0.0),
        pending=waiting["count"],
        pending_since=waiting["since"],
        stuck=Card.objects.filter(state__in=STUCK).count(),
        # A slot is taken from the call until the next one may use it.
        calls=CallSlot.objects.filter(free_at__gt=now).count(),
        ceiling=_ceiling(accounts),
        webhook_heard_at=max(heard, default=None),
        workers=list(Heartbeat.objects.order_by("worker").values_list("worker", "at")),
    )


def _ceiling(accounts: list[Account]) -> int:
    ceilings = [account.requests_per_second for account in accounts]
    return max(ceilings, default=0) if settings.KOMMO_SHARED_CEILING else sum(ceilings)


def deliveries_per_minute(*, minutes: int, now: datetime) -> list[dict[str, Any]]:
    """Return {"at", "delivered", "aside", "other"} for each of the last minutes, oldest first. One query."""
    this_minute = now.replace(second=0, microsecond=0)
    start = this_minute - timedelta(minutes=minutes - 1)
    kinds = {
        "delivered": Q(outcome=Delivery.Outcome.DELIVERED),
        "aside": Q(outcome__in=ASIDE),
        "other": ~Q(outcome__in=[Delivery.Outcome.DELIVERED, *ASIDE]),
    }
    rows = (
        Delivery.objects.filter(at__gte=start)
        .annotate(minute=TruncMinute("at"))
        .values("minute")
        .annotate(**{name: Count(Case(When(kind, then=1))) for name, kind in kinds.items()})
        .order_by()
    )
    counts: dict[datetime, dict[str, Any]] = {row["minute"]: dict(row) for row in rows}
    nothing: dict[str, Any] = dict.fromkeys(kinds, 0)
    moments = [start + timedelta(minutes=back) for back in range(minutes)]
    return [{"at": at} | {name: counts.get(at, nothing)[name] for name in kinds} for at in moments]


def _quantile(values: list[int], share: float) -> int | None:
    """Return the value that `share` of the sorted values do not exceed."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else None
