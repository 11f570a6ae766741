"""When has a call arrived at Kommo? Estimated from how long calls take, so that the ceiling counts arrivals.

A call arrives after it left and before its answer is here; nobody tells when. Let a share of its time lie before Kommo
counts it, the same for the calls of one account: nearly nothing where the time is Kommo's work, half where it is the
network, all of it in the worst case. Two calls that use one slot then arrive a second apart, whatever that share is,
when the second leaves a second after the first did, and by so much later as the first took longer than the quickest
call ever does. So that is when a slot is free; with N slots no second sees more than N arrivals. It costs how much the
calls of an account differ, and not how far Kommo is away.

What makes a connection is taken off: a call leaves when its connection stands and its first byte is sent. Each kind of
call has a quickest of its own, because a write of fifty leads takes longer than a read; the quickest of a few may not
be the quickest there is, so that the fewer were seen, the lower it is taken to be. Until enough are known it is zero:
then a slot is free a second after the answer, which needs no estimate.

What is more than SPREAD longer is taken for Kommo's work: it counts calls at its door, before it works on them. Where
that estimate is wrong Kommo says so: after a 429 the slot is free a second after the answer again, and later with each
further one, until WIDENED_SECONDS have passed without any.

What is known can be told in a few numbers, so that a process begins with what another of its machine has measured.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

WINDOW_SECONDS = 1.0
# So many of a kind are remembered, and so many have to be known.
REMEMBERED, ENOUGH = 400, 6
# How far below the quickest of n seen the quickest of all may lie: so many times what separates them on average, with
# which it lies lower once in fifty times; and, because a few may be alike by chance, this part of its time, by n.
CAREFUL, ALIKE = 4, 2
# Processes of a busy machine are late by themselves; and an account far away may differ by more than half of its time.
LEAST_SPREAD_SECONDS = 0.25
SPREAD = 0.6
# The times of two machines, and of two threads of one, are no better known than this.
GRAIN_SECONDS = 0.002
WIDENED_SECONDS = 600.0
WIDER_SECONDS = 0.25
WIDEST_SECONDS = 0.75


@dataclass(frozen=True)
class Trip:
    """A call that was answered: what for, the seconds from when it could leave until then, and when that was."""

    operation: str
    seconds: float
    answered_at: float  # of the monotonic clock


class Distance:
    """What is known of the way to one account's Kommo and back, from this process. For several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[float]] = {}
        self._news = 0
        self._refusals = 0
        self._refused_at = 0.0
        self._lock = threading.Lock()

    def note(self, trip: Trip) -> None:
        """Remember how long a call took that was answered."""
        with self._lock:
            self._seen.setdefault(trip.operation, deque(maxlen=REMEMBERED)).append(trip.seconds)
            self._news += 1

    def news(self) -> dict[str, tuple[int, float, float]]:
        """Return of each kind how many calls are known, the quickest and the one in the middle; empty for no news.

        Once a few more have been noted, and then not again until there are more.
        """
        with self._lock:
            if self._news < ENOUGH:
                return {}
            self._news = 0
            return {kind: (len(seen), min(seen), statistics.median(seen)) for kind, seen in self._seen.items()}

    def learn(self, news: Mapping[str, Sequence[float]]) -> None:
        """Go on from another's news, where it has seen more calls of a kind than were seen here."""
        with self._lock:
            for kind, (count, quickest, middle) in news.items():
                own = self._seen.get(kind, ())
                if count > len(own):
                    # The quickest last: the oldest are forgotten first.
                    theirs = [*[middle] * (int(count) - 1), quickest]
                    self._seen[kind] = deque([*theirs, *own], maxlen=REMEMBERED)

    def refused(self) -> None:
        """Widen the margin: Kommo has counted too many."""
        with self._lock:
            self._refusals = self._widened() + 1
            self._refused_at = self._clock()

    def frees_in(self, trip: Trip) -> float:
        """Return in how many seconds from now the slot of a call is free."""
        return max(0.0, self._frees_after(trip) - trip.seconds - (self._clock() - trip.answered_at))

    def _frees_after(self, trip: Trip) -> float:
        """Return the seconds after a call left from which on its slot is free."""
        with self._lock:
            if widened := self._widened():
                wider: float = min(WIDER_SECONDS * 2 ** (widened - 1), WIDEST_SECONDS)
                return trip.seconds + WINDOW_SECONDS + wider
            seen = self._known(trip.operation)
            beyond = trip.seconds
            if seen:
                # The quickest that was seen: how low a guess is for want of calls makes nobody's work of the way. And
                # of the last ones, because Kommo may be farther than it was.
                spread = max(LEAST_SPREAD_SECONDS, SPREAD * min(list(seen)[-ENOUGH:]))
                beyond = min(max(0.0, trip.seconds - _least(seen)), spread)
        return WINDOW_SECONDS + beyond + GRAIN_SECONDS

    def _known(self, operation: str) -> deque[float] | None:
        """Return how long calls of a kind take; for a kind that is new, the kind that is quickest; None for too few."""
        seen = self._seen.get(operation)
        if seen and len(seen) >= ENOUGH:
            return seen
        return min((times for times in self._seen.values() if len(times) >= ENOUGH), key=_least, default=None)

    def _widened(self) -> int:
        return self._refusals if self._clock() - self._refused_at < WIDENED_SECONDS else 0


def _least(seen: deque[float]) -> float:
    """Return what no call falls below, from those that were seen: they lie as close as those below the middle do."""
    quickest = min(seen)
    apart = 2 * (statistics.median(seen) - quickest) / len(seen)
    return max(0.0, quickest * (1 - ALIKE / len(seen)) - CAREFUL * apart)
