"""The first comparison of a large account, killed five times: resumed, nothing twice, and its process keeps its size.

`kommo_connect --wait` compares an account with many leads; its process is killed with SIGKILL at five places and begun
again. Against: itself, in the second of the six runs. With SQLite each run fills the connection's page cache as it
goes, 20 MB at most (bridge/settings.py), so it is the peaks of two runs that are compared, not two moments of them.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import requests
from django.db.models import Count

from benchmarks import cards
from benchmarks.figures import Figure, at_most, shown
from benchmarks.harness import Bench, Broken, Progress
from bridge.installed_paths import MANAGE
from bridge.models import Account, Card

AT_ONCE = 50
KILLS = 5


def run(bench: Bench) -> Iterator[Figure]:
    count = bench.size(100_000, 5_000)
    account = cards.connect(bench)
    Account.objects.update(compared_at=None)
    _fill(bench, account, count)
    since, started = bench.journal_end(), time.monotonic()
    runs: list[list[tuple[int, int]]] = []
    progress = Progress("leads compared", count)
    for kill in range(KILLS + 1):
        until = count * (kill + 1) // (KILLS + 1) if kill < KILLS else None
        runs.append(_compare(bench, until, progress))
    took = time.monotonic() - started
    account.refresh_from_db()
    _check(bench, account, count, since)
    peaks = [max(size for _, size in run) for run in runs if run]
    warm, last = peaks[min(1, len(peaks) - 1)], peaks[-1]
    name = f"memory of the first comparison {bench.on}"
    yield at_most(
        1.1, f"{name}, last of {len(runs)} runs over {count:,} leads", last / warm, f"its second ({warm / 1024:.1f} MB)"
    )
    again = account.first_comparison["read"] - count
    # The page under way at each kill, and leads made in one second with others, where the next page begins.
    yield shown(f"leads read again after {KILLS} kills {bench.on}", float(again), f"{count:,} leads")
    yield shown(f"first comparison of {count:,} leads, s {bench.on}", took, f"with {KILLS} kills")


def _fill(bench: Bench, account: Account, count: int) -> None:
    """Let so many leads with a contact each stand in Kommo, made by somebody else."""
    headers = {"Authorization": "Bearer sandbox-token"}
    pipeline = account.pipeline_links.first()
    assert pipeline is not None
    place = pipeline.pipeline.kommo_pipeline_id
    for start in range(0, count, AT_ONCE):
        body = [
            {
                "name": f"Lead {number}",
                "pipeline_id": place,
                "_embedded": {
                    "contacts": [
                        {
                            "first_name": f"Lead {number}",
                            "custom_fields_values": [
                                {"field_code": "PHONE", "values": [{"value": cards.phone(number), "enum_code": "MOB"}]}
                            ],
                        }
                    ]
                },
            }
            for number in range(start, min(start + AT_ONCE, count))
        ]
        requests.post(
            f"{bench.sandbox_url}/api/v4/leads/complex", json=body, headers=headers, timeout=60
        ).raise_for_status()


def _compare(bench: Bench, until: int | None, progress: Progress) -> list[tuple[int, int]]:
    """Compare in a process of its own, killed once so many leads were read; return (leads read, KB) on the way."""
    command = [*MANAGE, "kommo_connect", "--wait"]
    found: list[tuple[int, int]] = []
    process = subprocess.Popen(
        command, env=bench.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    sentence = ""
    for line in process.stdout:
        sentence = line
        if "leads read" not in line or "comparing" not in line:
            continue
        read = int(line.split()[1].replace(",", ""))
        progress.at(read)
        if size := _kilobytes(process.pid):
            found.append((read, size))
        if until is not None and read >= until:
            process.kill()
            break
    code = process.wait()
    process.stdout.close()
    if until is None and code:
        raise Broken(f"kommo_connect --wait ended with {code}: {sentence.strip()}")
    return found


def _kilobytes(pid: int) -> int:
    """Return the resident memory that is a process's own, in KB; 0 when it has ended."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(fields["RssAnon"].split()[0])
    except (OSError, KeyError):
        return 0


def _check(bench: Bench, account: Account, count: int, since: int) -> None:
    if account.compared_at is None:
        raise Broken("the first comparison did not end")
    there = Card.objects.count()
    twice = Card.objects.values("kommo_lead_id").annotate(number=Count("pk")).filter(number__gt=1).count()
    if there != count or twice:
        raise Broken(f"{there} cards for {count} leads, {twice} of them twice")
    writes = [call for call in bench.journal(since=since) if call["write"]]
    if writes:
        raise Broken(f"{len(writes)} writes, the first to {writes[0]['path']}")
