"""What web and worker cost while nobody says anything: processor time and transactions.

An account is connected and one card delivered, then nothing happens. Against: one core, and one transaction a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.db import connection

from benchmarks import cards
from benchmarks.figures import Figure, at_most, shown
from benchmarks.harness import POSTGRES, Bench, wait_until
from benchmarks.processes import cpu_seconds, own_megabytes
from bridge.models import Account, Heartbeat

SETTLES_SECONDS = 8.0


def run(bench: Bench) -> Iterator[Figure]:
    span = bench.size(60, 15)
    account = cards.connect(bench)
    cards.add_leads(account, 1)
    bench.start_web(workers=2)
    bench.start_worker()
    wait_until(lambda: Heartbeat.objects.exists() and not cards.pending(), within_seconds=60, what="the first delivery")
    wait_until(lambda: not Account.objects.filter(compared_at=None).exists(), within_seconds=60, what="the comparison")
    time.sleep(SETTLES_SECONDS)
    pids = {name: [bench.processes[name].pid] for name in ("web", "worker")}
    before = {name: cpu_seconds(of) for name, of in pids.items()}
    transactions, started = _transactions(bench), time.monotonic()
    time.sleep(span)
    seconds = time.monotonic() - started
    done = _transactions(bench) - transactions
    for name, of in pids.items():
        share = (cpu_seconds(of) - before[name]) / seconds
        bound = 0.01 if name == "web" else 0.05
        yield at_most(bound, f"{name} at rest, share of a core {bench.on}", share, f"one core, over {span} s")
        yield shown(f"{name} at rest, own MB {bench.on}", own_megabytes(of), "its processes together")
    if bench.database == POSTGRES:
        yield at_most(40, f"transactions at rest {bench.on}", done / seconds, "one a second")


def _transactions(bench: Bench) -> int:
    if bench.database != POSTGRES:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
