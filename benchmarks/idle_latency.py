"""How soon an event reaches Kommo when nothing else is going on: real web, worker and sandbox processes.

An agent reports a new fact over HTTP; the time runs from just before the request leaves until the card's update
arrives at the sandbox, by the machine's own monotonic clock. Samples are spaced at random, so that no phase of the
worker's clock is favoured. Against: one second.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import requests

from benchmarks import cards
from benchmarks.delivery_calls import UPDATE
from benchmarks.figures import Figure, at_most, percentile, shown
from benchmarks.harness import Bench, Broken, Progress, wait_until
from bridge.api import api_keys
from bridge.models import ApiKey

SPACED_SECONDS = (0.8, 2.0)
PATIENCE_SECONDS = 30.0


def run(bench: Bench) -> Iterator[Figure]:
    samples = bench.size(100, 20)
    account = cards.connect(bench)
    cards.add_leads(account, 1)
    cards.deliver(account)
    cards.adjust(bench, account, requests_per_second=cards.KOMMO_CEILING)
    key = api_keys.issue(ApiKey(name="benchmark"))
    bench.start_web()
    bench.start_worker()
    agent = Agent(bench, key)
    # The first one warms every process up.
    agent.seconds_until_kommo_hears(1)
    pauses, progress = random.Random(1), Progress("samples", samples)
    seconds = []
    for number in range(samples):
        time.sleep(pauses.uniform(*SPACED_SECONDS))
        seconds.append(agent.seconds_until_kommo_hears(2 + number))
        progress.at(number + 1)
    yield shown(f"event to Kommo while idle, p50 of {samples} {bench.on}", percentile(seconds, 50), "one second")
    yield at_most(1, f"event to Kommo while idle, p95 of {samples} {bench.on}", percentile(seconds, 95), "one second")
    yield shown(f"event to Kommo while idle, worst of {samples} {bench.on}", max(seconds), "one second")


class Agent:
    """Reports facts about one lead and watches them arrive."""

    def __init__(self, bench: Bench, key: str) -> None:
        self.bench = bench
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Api-Key {key}"

    def seconds_until_kommo_hears(self, bill_value: int) -> float:
        start = self.bench.journal_end()
        started = time.perf_counter()
        body = {"lead": {"phone": cards.phone(0), "bill_value": bill_value}}
        answer = self.session.post(f"{self.bench.web_url}/api/v1/interactions/", json=body, timeout=30)
        if not answer.ok:
            raise Broken(f"the API answered {answer.status_code}: {answer.text[:200]}")
        arrived: list[dict[str, Any]] = []

        def has_arrived() -> bool:
            entries = self.bench.journal(since=start)
            arrived[:] = [entry for entry in entries if (entry["method"], entry["path"]) == UPDATE and entry["status"]]
            return bool(arrived)

        wait_until(has_arrived, within_seconds=PATIENCE_SECONDS, what="the card's update")
        # The journal's clock is perf_counter, which all processes of a machine share.
        return float(arrived[0]["monotonic"]) - started
