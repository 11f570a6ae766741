"""How much waits to be sent, how fast does it leave, and when will it be done?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min

from bridge.accounts import room_for_leads
from bridge.models import Account, Card, Delivery
from common.reasons.columns import either

# The rate is that of the last minute, or of as much of it as anything has left in.
LATELY = timedelta(minutes=1)
# So many cards are a backlog; fewer leave before anybody has read of them.
MANY = 100


@dataclass(frozen=True)
class Backlog:
    """Cards that wait, and how many leave a second."""

    left: int
    a_second: float

    @property
    def is_many(self) -> bool:
        return self.left >= MANY

    @property
    def takes(self) -> timedelta | None:
        """Return how long it takes at this rate; None while nothing leaves."""
        return timedelta(seconds=round(self.left / self.a_second)) if self.a_second else None


def backlog(*, now: datetime, account: Account | None = None) -> Backlog:
    """Return what waits for Kommo, of one account or of all. Two queries.

    What waits for room in Kommo leaves at no rate, and is told by itself.
    """
    cards = Card.objects.filter(state__in=Card.PENDING).exclude(waiting_reason__in=either(room_for_leads.NO_ROOM))
    deliveries = Delivery.objects.filter(at__gt=now - LATELY, at__lte=now, outcome=Delivery.Outcome.DELIVERED)
    if account is not None:
        cards, deliveries = cards.filter(account=account), deliveries.filter(account=account)
    left = cards.count()
    sent = deliveries.aggregate(count=Count("pk"), since=Min("at"))
    seconds = max(1.0, (now - sent["since"]).total_seconds()) if sent["since"] else 0.0
    return Backlog(left, sent["count"] / seconds if seconds else 0.0)
