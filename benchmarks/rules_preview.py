"""What a new threshold would change, over 200 000 stored leads: no slice keeps its page waiting, the last as the first.

The preview goes through the leads by key, a slice per request. So a slice late in the table takes what an early one
takes, and what a process holds does not grow with the table.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from time import perf_counter

from django.utils import timezone

from benchmarks.figures import Figure, at_most, percentile, shown
from benchmarks.harness import Bench, Broken, say
from bridge.configuration import compiling, exporting, whatif
from bridge.configuration.whatif import Outlook
from leads import reconsideration
from leads.models import Lead, Pipeline, Stage

SLICE_SECONDS = 0.7


def run(bench: Bench) -> Iterator[Figure]:
    count = bench.size(200_000, 10_000)
    pipeline = Pipeline.objects.get(slug="solar")
    _add_qualified(pipeline, count)
    live = exporting.read_pipeline(pipeline)
    assert live.qualification
    wanted = replace(live, qualification=replace(live.qualification, min_score=Decimal(80)))
    former, would = compiling.rules(live), compiling.rules(wanted)

    say(f"    {count:,} leads")
    outlook = whatif.begin(pipeline)
    starts, slices, rates = [outlook.after], [], []
    while not outlook.is_complete:
        before, started = outlook.looked, perf_counter()
        whatif.go_on(outlook, pipeline, former=former, wanted=would, may_go_on=_for_a_slice(started))
        slices.append(perf_counter() - started)
        rates.append((outlook.looked - before) / slices[-1])
        starts.append(outlook.after)
    if outlook.looked != count or not 0 < outlook.moving < count:
        raise Broken(f"{outlook.looked} of {count} leads were looked at, {outlook.moving} would move")
    full = [rate for rate, seconds in zip(rates, slices, strict=True) if seconds >= SLICE_SECONDS] or rates

    def most_bytes(after: str) -> int:
        """Return the most bytes a page of leads takes from here."""
        tracemalloc.start()
        whatif.go_on(Outlook(after=after), pipeline, former=former, wanted=would, may_go_on=lambda: False)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    early, late = most_bytes(starts[0]), most_bytes(starts[len(starts) // 2])
    yield at_most(
        2, "preview: longest slice", max(slices) / SLICE_SECONDS, f"over what it may take ({SLICE_SECONDS} s)"
    )
    yield at_most(
        2, "preview: early rate", percentile(full[: len(full) // 2 + 1], 50) / full[-1], "over the last one's"
    )
    yield at_most(2, "preview: memory, halfway", late / early, "over the first page's")
    yield shown("preview: slices", len(slices), f"over {count:,} leads, pages of {reconsideration.PAGE}")


def _for_a_slice(started: float) -> Callable[[], bool]:
    return lambda: perf_counter() < started + SLICE_SECONDS


def _add_qualified(pipeline: Pipeline, count: int) -> None:
    """Add leads that qualified with scores from 70 to 99: every third would fail at 80."""
    stage, now = Stage.objects.get(pipeline=pipeline, key="qualified"), timezone.now()
    rows = (
        Lead(
            pipeline=pipeline,
            phone=f"+5581{900_000_000 + number}",
            phone_key=f"5581{900_000_000 + number}",
            name=f"Pessoa {number}",
            stage=stage,
            stage_set_at=now,
            qualification_score=70 + number % 30,
            bill_value=4500,
            conversation_stage="qualificação",
            created_at=now,
            updated_at=now,
        )
        for number in range(count)
    )
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == 2_000:
            Lead.objects.bulk_create(batch)
            batch = []
    Lead.objects.bulk_create(batch)
