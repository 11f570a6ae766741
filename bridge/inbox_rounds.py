"""How much of an inbox is read at once, and when is a row parked? The same for Kommo's webhooks and for the ways in.

Attempts are counted before the work, so that a body that kills its worker is set aside in the end. Until then it holds
nobody up: what was begun and did not end goes behind what was never begun, for as long as nobody waits too long for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Length

ROWS_PER_ROUND = 500
BYTES_PER_ROUND = 8 * 1024 * 1024
# A round whose worker died is tried again in parts so much smaller, until the body that kills is alone.
SMALLER = 8
# What failed this often is left for a person to look at.
MOST_ATTEMPTS = 5
PARKED = f"parked: {MOST_ATTEMPTS} attempts ended without any outcome"

# Where mail never ends, what was begun goes on after so long; each time costs one attempt, and there are few.
PASSED_FOR = timedelta(minutes=10)

# id, attempts and size.
Size = tuple[int, int, int | None]


def in_turn(rows: QuerySet[Any], *order: str, since: str, now: datetime) -> list[Size]:
    """Return the next rows in this order, at most ROWS_PER_ROUND; those that were begun before come behind all others.

    since: the column that says from when on a row could be read.
    """
    begun, by_attempts = rows.filter(attempts__gt=0), ("attempts", *order)
    for some in (
        begun.filter(**{f"{since}__lte": now - PASSED_FOR}).order_by(*by_attempts),
        rows.filter(attempts=0).order_by(*order),
        begun.order_by(*by_attempts),
    ):
        sized = some.annotate(size=Length("body")).values_list("pk", "attempts", "size")
        if found := list(sized[:ROWS_PER_ROUND]):
            return found
    return []


def take(
    oldest: Callable[[], Sequence[Size]],
    *,
    count: Callable[[list[int], int], object],
    park: Callable[[list[int]], object],
) -> list[int]:
    """Return the ids of the next rows, a bounded number of bytes; those before them that always fail are parked.

    oldest: what is unread, as `in_turn` has it. count: notes attempt number so many. park: sets rows aside.
    """
    while sizes := oldest():
        attempts = sizes[0][1]
        wanted: list[int] = []
        total = 0
        for pk, tried, size in sizes[: max(1, ROWS_PER_ROUND // SMALLER**attempts)]:
            total += size or 0
            if tried != attempts or (wanted and total > BYTES_PER_ROUND):
                break
            wanted.append(pk)
        if attempts < MOST_ATTEMPTS:
            count(wanted, attempts + 1)
            return wanted
        park(wanted)
    return []
