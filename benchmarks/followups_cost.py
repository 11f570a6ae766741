"""Whether waiting costs anything, and whether a due step costs more when many wait.

In this process, against the real database: the look the worker's clock takes every second while nothing is due, and
claiming, handing over and recording a batch of due steps, with an agent that answers before it was asked. Against:
one second, and the same with a thousand who wait.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from statistics import fmean

from django.db import connection
from django.utils import timezone

from benchmarks import followups_rows
from benchmarks.figures import Figure, at_most, shown
from benchmarks.harness import POSTGRES, Bench, Broken, Progress
from followups import claiming, dispatch
from followups.channels import Outcome, Outgoing, Result
from followups.models import Attempt, Enrollment

# Fewer than the batches take in all: some are taken on to their third step.
FEW = 1_000
BATCHES = 16
LOOKS = 400


class AtOnce:
    acts_once = True

    def send(self, message: Outgoing, *, now: datetime) -> Result:
        return Result(Outcome.SENT)


def run(bench: Bench) -> Iterator[Figure]:
    _ask_as_a_worker(bench)
    many = bench.size(100_000, 10_000)
    nothing = unhindered(_looks())
    followups_rows.add(FEW, due=_some_day)
    with_few = unhindered(_batches("with few"))
    _wait_for_more(many)
    look = unhindered(_looks())
    yield at_most(0.01, f"the clock's look at {many:,} who wait {bench.on}", look, "one second, once a second")
    yield at_most(1.5, f"the clock's look at {many:,} who wait {bench.on}", look / nothing, "nobody waiting")
    with_many = unhindered(_batches("with many"))
    name = f"a due step while {many:,} wait {bench.on}"
    yield at_most(1.3, name, with_many / with_few, f"while {FEW:,} wait")
    yield shown(f"{name}, ms", 1000 * with_many / claiming.BATCH, "claimed, handed over and recorded")


def _ask_as_a_worker(bench: Bench) -> None:
    """Have no statements prepared in this process either (docs/decisions/0028)."""
    if bench.database == POSTGRES:
        connection.close()
        connection.settings_dict["OPTIONS"] |= {"server_side_binding": False, "prepare_threshold": None}


def unhindered(seconds: list[float]) -> float:
    """Return the mean of the fastest quarter: the cost of the work, without what else the machine was at."""
    return fmean(sorted(seconds)[: max(1, len(seconds) // 4)])


def _some_day(number: int) -> datetime:
    return timezone.now() + timedelta(days=1 + number % 5)


def _wait_for_more(many: int) -> None:
    """Add those who wait, in parts: a hundred thousand rows at once would need their memory at once."""
    progress, part = Progress("who wait", many), 10_000
    for first in range(FEW, many, part):
        followups_rows.add(min(part, many - first), due=_some_day, first=first)
        progress.at(first)


def _looks() -> list[float]:
    seconds = []
    for _ in range(LOOKS):
        started = time.perf_counter()
        if dispatch.has_work(timezone.now()):
            raise Broken("something is due")
        seconds.append(time.perf_counter() - started)
    return seconds


def _batches(what: str) -> list[float]:
    """Return the seconds that batches of due steps take, one after the other."""
    seconds, progress = [], Progress(f"batches {what}", BATCHES)
    with ThreadPoolExecutor(dispatch.THREADS) as pool:
        for number in range(BATCHES):
            _make_due(claiming.BATCH)
            started = time.perf_counter()
            attempts = claiming.claim("benchmark", timezone.now())
            if attempts is None or len(attempts) != claiming.BATCH:
                raise Broken(f"{len(attempts or [])} attempts instead of {claiming.BATCH}")
            dispatch.send(attempts, AtOnce(), pool, timezone.now)
            seconds.append(time.perf_counter() - started)
            progress.at(number)
    if Attempt.objects.exclude(state=Attempt.State.SENT).exists():
        raise Broken("not every message was sent")
    return seconds


def _make_due(count: int) -> None:
    now = timezone.now()
    waiting = Enrollment.objects.filter(state=Enrollment.State.WAITING)
    chosen = waiting.order_by("step", "pk").values_list("pk", flat=True)[:count]
    if not Enrollment.objects.filter(pk__in=list(chosen)).update(next_at=now):
        raise Broken("nobody is left to write to")
