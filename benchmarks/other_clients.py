"""What public clients of Kommo's API get at 400 ms a call, doing what our backlog does: many leads to be created.

Each creates its leads by the means its own documentation names for many, once and without anything around it: no rows,
no look for who is there already, nothing that survives its process. Kommo's journal says what it got. Against: the
calls that the ceiling allows, 50 leads each.

They are no part of this project. BENCH_CLIENTS_PYTHON names a Python that has some of them (`pip install aioamocrm
amochka amocrm-api`, in an environment of their own); a client that is not there is told as left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import cards
from benchmarks.far_away import JITTER
from benchmarks.figures import Figure, shown
from benchmarks.harness import Bench, Broken, say

WORK = Path(__file__).with_name("client_work.py")
MILLISECONDS = 400
LONGEST_SECONDS = 300
# Client -> so many leads: those that send one a call get fewer to send.
CLIENTS = {"aioamocrm": 1_000, "amochka": 1_000, "amocrm-api": 50}
NOT_THERE = 3


def run(bench: Bench) -> Iterator[Figure]:
    python = os.environ.get("BENCH_CLIENTS_PYTHON", sys.executable)
    bench.start_sandbox()
    bench.options(
        requests_per_second=cards.KOMMO_CEILING,
        latency=MILLISECONDS / 1000,
        latency_jitter=JITTER,
        latency_before=0.5,
    )
    for client, count in CLIENTS.items():
        yield _created_by(bench, python, client, count)


def _created_by(bench: Bench, python: str, client: str, count: int) -> Figure:
    say(f"    {count} leads by {client}")
    name, start = f"{count:,} leads created by {client} at {MILLISECONDS} ms", bench.journal_end()
    done = subprocess.run(
        [python, str(WORK), client, bench.sandbox_url, str(count)],
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if done.returncode == NOT_THERE:
        return Figure(name, None, "", skipped="not installed: see benchmarks/other_clients.py")
    calls = [entry for entry in bench.journal(since=start) if entry["counted"] and entry["method"] == "POST"]
    made = sum(len(entry["body"]) for entry in calls if entry["status"] == 200)
    if made < count:
        raise Broken(f"{client} created {made} of {count} leads: {done.stderr.strip()[-300:]}")
    seconds = calls[-1]["monotonic"] + calls[-1]["duration_seconds"] - calls[0]["monotonic"]
    refused = sum(entry["status"] == 429 for entry in calls)
    allowed = seconds * cards.KOMMO_CEILING * 50
    return shown(name, made / allowed, f"7 calls a second × 50 leads ({len(calls)} calls, {refused} times 429)")
