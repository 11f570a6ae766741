"""How late follow-ups go out when ten thousand fall due within one minute: one worker, an agent that answers at once.

The lateness of a message is the time from its due moment to its arrival at the agent, which notes the time of each
call; all on this machine, whose processes share one clock. Against: five seconds at the 99th percentile.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from benchmarks import followups_rows
from benchmarks.figures import Figure, at_most, percentile, shown
from benchmarks.harness import Bench, Broken, wait_until
from bridge.demo.stage import free_port
from bridge.models import Heartbeat
from followups.models import Attempt, Enrollment

WITHIN = timedelta(minutes=1)
# From here to the first that is due: long enough to write ten thousand due moments.
HEAD_START = timedelta(seconds=20)
PATIENCE_SECONDS = 300.0
WANTED_SECONDS = 5.0
AGENT = Path(__file__).with_name("agent.py")


def run(bench: Bench) -> Iterator[Figure]:
    count, within = bench.size(10_000, 500), WITHIN * (1 if not bench.quick else 0.05)
    heard = bench.directory / "heard"
    port = free_port(followups_rows.AGENT_PORT)
    bench.start("agent", [sys.executable, str(AGENT), str(port), str(heard)])
    bench.environment |= {"AGENT_WEBHOOK_URL": f"http://127.0.0.1:{port}/", "AGENT_WEBHOOK_SECRET": "a secret"}
    followups_rows.add(count, due=lambda number: timezone.now() + timedelta(days=1))
    bench.start_worker()
    wait_until(Heartbeat.objects.exists, within_seconds=60, what="the worker's first heartbeat")
    start = timezone.now() + HEAD_START
    followups_rows.set_due(start, within)
    wait_until(lambda: _all_recorded(count), within_seconds=PATIENCE_SECONDS, what="every message")
    due = {str(pk): at for pk, at in Attempt.objects.values_list("pk", "due_at")}
    arrived: dict[str, float] = {}
    for line in heard.read_text().splitlines():
        attempt_id, at = line.split()
        arrived.setdefault(attempt_id, float(at))
    if due.keys() != arrived.keys() or Enrollment.objects.filter(step=1).exists():
        raise Broken(f"{len(due)} attempts, {len(arrived)} of them arrived")
    lateness = [at - due[attempt_id].timestamp() for attempt_id, at in arrived.items()]
    name = f"{count:,} steps due within {within.total_seconds():.0f} s"
    yield at_most(1, f"{name}, lateness p99 {bench.on}", percentile(lateness, 99) / WANTED_SECONDS, "five seconds")
    yield shown(f"{name}, lateness p50 {bench.on}", percentile(lateness, 50) / WANTED_SECONDS, "five seconds")
    took = (max(arrived.values()) - start.timestamp()) / within.total_seconds()
    yield shown(f"{name}, from the first due to the last sent {bench.on}", took, "the time they fell due in")


def _all_recorded(count: int) -> bool:
    return Attempt.objects.filter(state=Attempt.State.SENT).count() >= count
