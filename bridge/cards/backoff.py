"""How long to wait after a failure. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

BASE = timedelta(seconds=2)
CAP = timedelta(minutes=10)
# An account rests no longer than this: one card that makes Kommo fail must not keep the next person waiting.
REST_CAP = timedelta(seconds=30)
# 2 ** 20 * BASE is far above CAP; stopping there keeps attempt 10 000 from overflowing a float.
LARGEST_EXPONENT = 20


def delay(attempt: int, *, jitter: float, retry_after: timedelta = timedelta(0), cap: timedelta = CAP) -> timedelta:
    """Return the wait after attempt number `attempt` (from 1) failed.

    BASE * 2 ** (attempt - 1), at most `cap`, plus up to 20 % for `jitter` in 0..1; never less than `retry_after`.
    The first wait is 2 to 2.4 s, the fourth 16 to 19.2 s; from the tenth on it stays at 10 to 12 minutes, for as
    long as an outage lasts.
    """
    wait = doubled(BASE, attempt - 1, cap=cap)
    return max(wait * (1 + 0.2 * jitter), retry_after)


def doubled(first: timedelta, times: int, *, cap: timedelta) -> timedelta:
    """Return a wait doubled so many times, at most `cap`."""
    wait: timedelta = min(first * 2 ** min(max(times, 0), LARGEST_EXPONENT), cap)
    return wait


def batch_limit(size: int, trouble: int) -> int:
    """Return how many cards may travel together after so much trouble: half as many for each piece of it.

    So a card that makes Kommo fail without being named ends up alone, and delays nobody else.
    """
    return max(1, size >> min(trouble, LARGEST_EXPONENT))


def batches(troubles: Sequence[int], size: int) -> list[list[int]]:
    """Return the places of cards that may travel together, those without trouble first and never with others.

    Every batch keeps the limit of its most troubled card.
    """
    found: list[list[int]] = []
    for place in sorted(range(len(troubles)), key=lambda place: troubles[place]):
        last = found[-1] if found else []
        mixes = bool(last) and (troubles[last[0]] == 0) != (troubles[place] == 0)
        if not last or mixes or len(last) >= batch_limit(size, troubles[place]):
            found.append([place])
        else:
            last.append(place)
    return found
