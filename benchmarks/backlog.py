"""How fast a backlog drains through a real worker, against the time Kommo's ceiling allows.

Every card is due at once, first to be created and then to be updated, as after an outage. Against: 7 calls a second
with 50 cards each. The time counts from the nudge until no card is due any more, the worker's own hand-overs between
tasks included.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks import cards
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.harness import Bench, Broken, Progress, say, wait_until
from bridge.cards import nudge
from bridge.models import Account, Card, Heartbeat

BATCH_SIZE = 50
AFTER_A_PAUSE_SECONDS = 3.0
COUNT_EVERY_SECONDS = 3.0
# The worst machine we would call working; slower than this is broken.
SLOWEST = 10


def run(bench: Bench) -> Iterator[Figure]:
    count = bench.size(10_000, 3_000)
    account = cards.connect(bench)
    cards.adjust(bench, account, requests_per_second=cards.KOMMO_CEILING, batch_size=BATCH_SIZE)
    bench.start_worker()
    wait_until(worker_is_idle, within_seconds=60, what="the worker's first heartbeat")
    theory = count / (cards.KOMMO_CEILING * BATCH_SIZE)
    for what in ("created", "updated"):
        time.sleep(AFTER_A_PAUSE_SECONDS)
        say(f"    {count:,} cards to be {what}, at best in {theory:.1f} s")
        # Nothing is sent before the whole backlog is there.
        Account.objects.update(state=Account.State.PAUSED)
        cards.add_leads(account, count) if what == "created" else cards.change_all(200)
        Account.objects.update(state=Account.State.ACTIVE, nudged_at=None)
        start = bench.journal_end()
        seconds = drained(account, count)
        calls = [entry for entry in bench.journal(since=start) if entry["counted"]]
        yield at_least(
            0.9,
            f"{count:,} cards {what} {bench.on}",
            theory / seconds,
            f"{cards.KOMMO_CEILING} calls a second × {BATCH_SIZE} cards ({seconds:.1f} s for {theory:.1f})",
        )
        refused = sum(entry["status"] == 429 for entry in calls)
        yield at_most(0, f"answers of 429 while they were {what} {bench.on}", refused, f"{len(calls)} calls")


def worker_is_idle() -> bool:
    return Heartbeat.objects.exists() and not Account.objects.exclude(lease_holder="").exists()


def drained(account: Account, count: int) -> float:
    """Nudge the worker and return the seconds until nothing is due."""
    progress, started = Progress("delivered", count), time.perf_counter()
    look_again_at = started
    nudge.send(account.pk)
    while cards.pending():
        if time.perf_counter() - started > SLOWEST * count / (cards.KOMMO_CEILING * BATCH_SIZE):
            raise Broken("the backlog does not drain")
        # Seldom: whoever watches shares the processors with what is watched.
        if time.perf_counter() >= look_again_at:
            progress.at(count - cards.waiting())
            look_again_at = time.perf_counter() + COUNT_EVERY_SECONDS
        time.sleep(0.1)
    seconds = time.perf_counter() - started
    if left := Card.objects.exclude(state=Card.State.IN_SYNC).count():
        raise Broken(f"{left} cards are not in sync")
    return seconds
