"""Never more than N calls in any second, as Kommo sees them arrive.

There are N slots. A call takes one before it leaves, and has it until its answer is there. The slot is free again when
the next call to use it arrives for sure later than one second after this one did: bridge/kommo/arrival_times.py says
when that is. So with N slots, any second sees at most N arrivals.

A slot whose call never comes back (its process was killed) is free again after the longest a call can take.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol
from uuid import uuid4

from bridge.kommo.arrival_times import WINDOW_SECONDS, Distance, Trip


class Lane(Enum):
    """Conversations that are live go before bulk work: imports, comparisons, repairs."""

    LIVE = 0
    BULK = 1


@dataclass(frozen=True)
class Permit:
    """The right to make one call, from `leaves_at` of the monotonic clock on; given back when its answer is there."""

    id: str = field(default_factory=lambda: uuid4().hex)
    leaves_at: float = 0.0


class Pace(Protocol):
    """Who may call now. Shared by everybody who calls one account.

    `rest`: how whoever waits for a slot spends the time; it takes so many seconds at most.
    """

    rest: Callable[[float], object]

    def acquire(self, lane: Lane, *, ahead: float = 0.0) -> Permit:
        """Wait for a slot and take it; with `ahead`, up to so many seconds before its call may leave."""

    def release(self, permit: Permit, trip: Trip | None = None) -> None:
        """Say that the call's answer is there; or, without a trip, that it will never be."""

    def hold_all(self, until: datetime) -> None:
        """Let nobody call before then: Kommo asked for it."""

    def refused(self) -> None:
        """Hear that Kommo has counted too many calls: fewer leave from now on."""

    def wait(self, lane: Lane, *, ahead: float = 0.0) -> None:
        """Wait until a slot is probably free, or will be within `ahead` seconds, without taking it."""

    def has_slot(self, *, ahead: float = 0.0) -> bool:
        """Say whether a slot is probably free, or will be within `ahead` seconds."""


class LocalPace:
    """A pace for the threads of one process: tools and tests. Whoever waits is woken by whoever gives a slot back."""

    rest: Callable[[float], object] = time.sleep

    def __init__(
        self,
        calls_per_second: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._free_at = [0.0] * calls_per_second
        self._taken: dict[str, int] = {}
        self._clock, self._now = clock, now
        self._distance = Distance(clock)
        self._condition = threading.Condition()
        self._live_waiting = 0

    def acquire(self, lane: Lane, *, ahead: float = 0.0) -> Permit:
        with self._condition:
            self._live_waiting += lane is Lane.LIVE
            try:
                while (wait := self._wait_seconds(lane)) > 0:
                    self._condition.wait(wait)
                slot = min(self._free_slots(), key=lambda index: self._free_at[index])
            finally:
                self._live_waiting -= lane is Lane.LIVE
            permit = Permit()
            self._taken[permit.id] = slot
            return permit

    def release(self, permit: Permit, trip: Trip | None = None) -> None:
        if trip:
            self._distance.note(trip)
        wait = self._distance.frees_in(trip) if trip else WINDOW_SECONDS
        with self._condition:
            slot = self._taken.pop(permit.id, None)
            if slot is not None:
                self._free_at[slot] = max(self._free_at[slot], self._clock() + wait)
            self._condition.notify_all()

    def hold_all(self, until: datetime) -> None:
        with self._condition:
            resume_at = self._clock() + max(0.0, (until - self._now()).total_seconds())
            self._free_at = [max(free_at, resume_at) for free_at in self._free_at]

    def refused(self) -> None:
        self._distance.refused()

    def wait(self, lane: Lane, *, ahead: float = 0.0) -> None:
        with self._condition:
            while (wait := self._wait_seconds(lane) - ahead) > 0:
                self._condition.wait(wait)

    def has_slot(self, *, ahead: float = 0.0) -> bool:
        with self._condition:
            return self._wait_seconds(Lane.LIVE) <= ahead

    def _free_slots(self) -> list[int]:
        taken = set(self._taken.values())
        return [slot for slot in range(len(self._free_at)) if slot not in taken]

    def _wait_seconds(self, lane: Lane) -> float:
        if lane is Lane.BULK and self._live_waiting:
            return WINDOW_SECONDS / len(self._free_at)
        free = self._free_slots()
        if not free:
            return WINDOW_SECONDS
        return min(self._free_at[slot] for slot in free) - self._clock()


class Share:
    """A pace that takes no more than so many of another's calls a second: bulk work that leaves the rest to others."""

    def __init__(
        self,
        whole: Pace,
        calls_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._whole, self._pause = whole, 1 / calls_per_second
        self._clock = clock
        self.rest: Callable[[float], object] = sleep
        self._next_at = 0.0

    def acquire(self, lane: Lane, *, ahead: float = 0.0) -> Permit:
        wait = self._next_at - self._clock()
        if wait > 0:
            self.rest(wait)
        permit = self._whole.acquire(lane, ahead=ahead)
        self._next_at = self._clock() + self._pause
        return permit

    def release(self, permit: Permit, trip: Trip | None = None) -> None:
        self._whole.release(permit, trip)

    def hold_all(self, until: datetime) -> None:
        self._whole.hold_all(until)

    def refused(self) -> None:
        self._whole.refused()

    def wait(self, lane: Lane, *, ahead: float = 0.0) -> None:
        self._whole.wait(lane, ahead=ahead)

    def has_slot(self, *, ahead: float = 0.0) -> bool:
        return self._next_at - self._clock() <= ahead and self._whole.has_slot(ahead=ahead)
