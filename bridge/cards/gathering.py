"""How long does what is due wait for what is just becoming due, so that all of it travels in one call?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db import models

from bridge.cards.outbox import due_of, left_out
from bridge.models import Card
from common.statements import Select

# Cards that become due together travel together: a burst of messages is one call, and a single one is not delayed.
GATHER_WHILE = timedelta(milliseconds=200)
GATHER_FOR = timedelta(seconds=2)


def gathers_for(account_id: int, *, now: datetime, enough: int, but: Sequence[int] = ()) -> timedelta:
    """Return how long to wait because more cards are just becoming due, so that a moment saves calls; nothing for no.

    Only while fewer than a batch are due, the newest younger than GATHER_WHILE and the oldest than GATHER_FOR.
    """
    statement = _due_times(enough, are_some_under_way=bool(but))
    rows = statement.all(account_id=account_id, now=now, **left_out(but))
    times: list[datetime] = [due_at for (due_at,) in rows]
    if not times or len(times) == enough:
        return timedelta(0)
    return max(timedelta(0), min(max(times) + GATHER_WHILE, min(times) + GATHER_FOR) - now)


@cache
def _due_times(limit: int, *, are_some_under_way: bool) -> Select:
    def build(account_id: int, now: datetime, but: Sequence[int] = ()) -> models.QuerySet[Card, Any]:
        return due_of(account_id, now, but if are_some_under_way else ()).values_list("due_at")[:limit]

    return Select(build)
