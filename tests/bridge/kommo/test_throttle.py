from __future__ import annotations

import heapq
import threading
import time
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bridge.kommo.throttle import Lane, LocalPace

LATENCY = st.tuples(st.floats(0, 0.4), st.floats(0, 0.4))


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@given(st.integers(1, 8), st.lists(LATENCY, min_size=1, max_size=60), st.integers(1, 5))
def test_no_second_sees_more_arrivals_than_the_ceiling_whatever_the_latencies(ceiling, latencies, callers):
    """Callers share one pace; each call arrives some time after it left, and its answer some time later."""
    clock = Clock()
    pace = LocalPace(ceiling, clock=clock)
    arrivals: list[float] = []
    under_way: list[tuple[float, int, object]] = []
    for number, (there, back) in enumerate(latencies):
        while True:
            while under_way and under_way[0][0] <= clock.time:
                pace.release(heapq.heappop(under_way)[2])
            if len(under_way) < callers and pace._wait_seconds(Lane.LIVE) <= 0:
                break
            clock.time += 0.01
        permit = pace.acquire(Lane.LIVE)
        arrivals.append(clock.time + there)
        heapq.heappush(under_way, (clock.time + there + back, number, permit))
    arrivals.sort()
    for index, moment in enumerate(arrivals):
        assert sum(moment <= other < moment + 1 for other in arrivals[index:]) <= ceiling


def test_whoever_needs_time_to_prepare_waits_for_so_much_less():
    pace = LocalPace(1)
    pace._free_at = [time.monotonic() + 10]
    pace.wait(Lane.LIVE, ahead=9.9)
    assert 0 < pace._wait_seconds(Lane.LIVE) <= 9.9
    assert (pace.has_slot(ahead=9.99), pace.has_slot(ahead=9.0), pace.has_slot()) == (True, False, False)


def test_a_pause_kommo_asks_for_holds_everybody_back():
    clock = Clock()
    pace = LocalPace(3, clock=clock, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    pace.hold_all(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=300))
    assert pace._wait_seconds(Lane.LIVE) == 300


def test_bulk_work_waits_while_a_live_call_does():
    pace = LocalPace(1)
    wait = pace.acquire(Lane.LIVE)
    order: list[str] = []

    def call(lane: Lane, name: str) -> None:
        permit = pace.acquire(lane)
        order.append(name)
        pace.release(permit)

    live = threading.Thread(target=call, args=(Lane.LIVE, "live"))
    live.start()
    while not pace._live_waiting:
        threading.Event().wait(0.001)
    bulk = threading.Thread(target=call, args=(Lane.BULK, "bulk"))
    bulk.start()
    pace.release(wait)
    live.join()
    bulk.join()
    assert order == ["live", "bulk"]
