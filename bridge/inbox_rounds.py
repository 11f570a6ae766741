"""How much of an inbox is read at once, and when is a row parked? The same for Kommo's webhooks and for the ways in.

Attempts are counted before the work, so that a body that kills its worker is set aside in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

ROWS_PER_ROUND = 500
BYTES_PER_ROUND = 8 * 1024 * 1024
# A round whose worker died is tried again in parts so much smaller, until the body that kills is alone.
SMALLER = 8
# What failed this often is left for a person to look at.
MOST_ATTEMPTS = 5
PARKED = f"parked: {MOST_ATTEMPTS} attempts ended without any outcome"

# id, attempts and size.
Size = tuple[int, int, int | None]


def take(
    oldest: Callable[[], Sequence[Size]],
    *,
    count: Callable[[list[int], int], object],
    park: Callable[[list[int]], object],
) -> list[int]:
    """Return the ids of the oldest rows, a bounded number of bytes; those before them that always fail are parked.

    oldest: what is unread, at most ROWS_PER_ROUND. count: notes attempt number so many. park: sets rows aside.
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
