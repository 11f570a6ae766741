"""Whether the process that drains keeps its size over many deliveries.

One process delivers the same cards again and again, each with a new fact, in batches of 250 with all ceilings lifted.
Against: itself, when it was warm. The figure is the mean size during the last fifth of the deliveries, relative to the
second fifth. What counts is the memory of its own; pages of a database file that are mapped into it are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from benchmarks import cards
from benchmarks.figures import Figure, at_most, shown
from benchmarks.harness import Bench, Broken, Progress
from bridge.models import Delivery

STATUS = Path("/proc/self/status")
BATCH_SIZE = 250
ROUNDS = 50


def run(bench: Bench) -> Iterator[Figure]:
    name = f"memory of the draining process {bench.on}"
    if not STATUS.exists():
        yield Figure(name, None, "", skipped="needs Linux: reads /proc/self/status")
        return
    deliveries = bench.size(100_000, 10_000)
    count = deliveries // ROUNDS
    account = cards.connect(bench)
    cards.adjust(bench, account, requests_per_second=cards.NO_CEILING, batch_size=BATCH_SIZE)
    cards.add_leads(account, count)
    cards.deliver(account)
    before = Delivery.objects.filter(outcome=Delivery.Outcome.DELIVERED).count()
    progress, sizes = Progress("deliveries", deliveries), []
    for number in range(ROUNDS):
        cards.change_all(1_000 + number)
        cards.deliver(account)
        sizes.append(_own_kilobytes())
        progress.at((number + 1) * count)
    made = Delivery.objects.filter(outcome=Delivery.Outcome.DELIVERED).count() - before
    if made < deliveries:
        raise Broken(f"{made} deliveries instead of {deliveries}")
    fifth = ROUNDS // 5
    second, last = fmean(sizes[fifth : 2 * fifth]), fmean(sizes[-fifth:])
    yield at_most(
        1.05,
        f"{name}, last fifth of {deliveries:,} deliveries",
        last / second,
        f"its second fifth ({second / 1024:.1f} MB)",
    )
    yield shown(f"{name}, grown by MB", (last - second) / 1024, f"over {3 * deliveries // 5:,} deliveries")


def _own_kilobytes() -> int:
    """Return the resident memory that is the process's own, in KB."""
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(fields["RssAnon"].split()[0])
