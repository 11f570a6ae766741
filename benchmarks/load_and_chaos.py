"""Two web servers and two workers under load, while Kommo fails and processes are killed: is anything lost or doubled?

Fifty interactions a second and bursts between, as agents send them that try again under the same key. BENCH_SECONDS
says how long (120 by default; 600 for a report). Against: what the agents were told was accepted, and a lag of five
seconds within a minute after each fault. With TEST_REDIS_URL, Redis is broker and cache.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import requests
from django.db import connection
from django.db.models import Min
from django.utils import timezone

from benchmarks import cards
from benchmarks.figures import Figure, at_least, at_most, shown
from benchmarks.harness import Bench, Broken, say, wait_until
from benchmarks.processes import own_megabytes
from bridge.api import api_keys
from bridge.demo.stage import free_port
from bridge.models import ApiKey, Card
from leads.models import Event

RATE = 50.0
BURST, BURST_EVERY_SECONDS = 200, 20.0
CLIENTS = 16
KNOWN = 300
LAG_SECONDS = 5.0
BACK_WITHIN_SECONDS = 60.0
RESTARTED_AFTER_SECONDS = 2.0
FAULT_SECONDS = 5.0


def run(bench: Bench) -> Iterator[Figure]:
    seconds = int(os.environ.get("BENCH_SECONDS", bench.size(120, 40)))
    if url := os.environ.get("TEST_REDIS_URL"):
        bench.environment |= {"REDIS_URL": url, "Q_BROKER": "redis", "Q_NAME": f"bench-{uuid4().hex[:8]}"}
    account = cards.connect(bench)
    cards.adjust(bench, account, requests_per_second=cards.KOMMO_CEILING)
    load = Load([bench.web_url, _start(bench)], api_keys.issue(ApiKey(name="chaos")))
    lag, since = Lag(), bench.journal_end()
    load.start(seconds)
    lag.start()
    try:
        yield from _under_load(bench, load, lag, since, seconds)
    finally:
        # However it ends: threads that go on would keep the process alive.
        load.stop()
        lag.stop()


def _under_load(bench: Bench, load: Load, lag: Lag, since: int, seconds: int) -> Iterator[Figure]:
    memory = [_memory(bench)] if seconds < 60 else []
    for when, name, fault in _faults(bench):
        load.until(when * seconds)
        if not memory:
            memory.append(_memory(bench))
        say(f"    {name}")
        fault()
        # "After each fault" counts from its end: while Kommo answers nobody, nothing can arrive there.
        lag.mark(name)
    load.finish()
    accepted = len(load.accepted)
    say(f"    {accepted:,} interactions accepted; waiting until all of it is in Kommo")
    wait_until(lambda: not cards.pending(), within_seconds=120, what="the end of the backlog")
    lag.stop()
    memory.append(_memory(bench))
    yield from _figures(bench, load, lag, memory, since, seconds)


def _start(bench: Bench) -> str:
    """Start the second web server by hand, and both workers; return its address."""
    bench.start_web(workers=1)
    port = free_port(0)
    bench.second_port = port  # type: ignore[attr-defined]
    _second_web(bench)
    url = f"http://127.0.0.1:{port}"
    bench.wait_for("web-2", f"{url}/readyz")
    for name in ("worker", "worker-2"):
        bench.start_worker(name)
    return url


def _second_web(bench: Bench) -> None:
    port = bench.second_port  # type: ignore[attr-defined]
    gunicorn = [sys.executable, "-m", "gunicorn", "bridge.wsgi:application", "--bind", f"127.0.0.1:{port}"]
    sizes = ["--workers", "1", "--worker-class", "gthread", "--threads", "4", "--log-level", "critical"]
    bench.start("web-2", [*gunicorn, *sizes])


def _faults(bench: Bench) -> list[tuple[float, str, Callable[[], None]]]:
    """Return when (as a share of the time), what, and how: three of Kommo's, three of ours."""

    def kommo(mode: str) -> Callable[[], None]:
        def strike() -> None:
            faults = f"{bench.sandbox_url}/_sandbox/faults"
            requests.post(faults, json={"mode": mode, "count": 100_000}, timeout=10).raise_for_status()
            time.sleep(FAULT_SECONDS)
            requests.delete(faults, timeout=10).raise_for_status()

        return strike

    def kill(name: str, again: Callable[[], None]) -> Callable[[], None]:
        def strike() -> None:
            process = bench.processes.pop(name)
            # The whole service, as when its host's memory ran out.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(RESTARTED_AFTER_SECONDS)
            again()

        return strike

    return [
        (0.15, f"{FAULT_SECONDS:g} s of 429", kommo("429")),
        (0.30, f"{FAULT_SECONDS:g} s of writes applied, answers lost", kommo("drop_after")),
        (0.45, "a worker is killed", kill("worker", lambda: bench.start_worker("worker"))),
        (0.60, f"{FAULT_SECONDS:g} s of 500", kommo("500")),
        (0.70, "a web server is killed", kill("web-2", lambda: _second_web(bench))),
        (0.80, "both workers are killed", lambda: _kill_both(bench)),
    ]


def _kill_both(bench: Bench) -> None:
    for name in ("worker", "worker-2"):
        process = bench.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(RESTARTED_AFTER_SECONDS)
    for name in ("worker", "worker-2"):
        bench.start_worker(name)


class Load:
    """Agents that report at a steady rate and in bursts, and ask another server when one does not answer."""

    def __init__(self, urls: list[str], key: str) -> None:
        self._urls, self._headers = urls, {"Authorization": f"Api-Key {key}"}
        self.accepted: dict[str, tuple[str, int]] = {}
        self.tries = 0
        self._lock, self._local = threading.Lock(), threading.local()
        self._pool, self._enough = ThreadPoolExecutor(CLIENTS), threading.Event()

    def start(self, seconds: int) -> None:
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._schedule, args=(seconds,))
        self._thread.start()

    def until(self, seconds: float) -> None:
        time.sleep(max(0.0, self._started + seconds - time.monotonic()))

    def finish(self) -> None:
        self._thread.join()
        self._pool.shutdown()

    def stop(self) -> None:
        self._enough.set()
        self.finish()

    def _schedule(self, seconds: int) -> None:
        chance, number, steady, burst_at = random.Random(7), 0, 0, BURST_EVERY_SECONDS / 2
        while (now := time.monotonic() - self._started) < seconds and not self._enough.is_set():
            due = int(now * RATE) - steady
            steady += due
            if now >= burst_at:
                due, burst_at = due + BURST, burst_at + BURST_EVERY_SECONDS
            for _ in range(due):
                number += 1
                known = chance.random() < 0.6
                person = chance.randrange(KNOWN) if known else KNOWN + number
                self._pool.submit(self._report, f"m-{number}", cards.phone(person), number)
            time.sleep(0.02)

    def _report(self, message: str, phone: str, number: int) -> None:
        """Send one interaction until somebody has accepted it."""
        body = {
            "lead": {"phone": phone, "bill_value": number},
            "message": {"id": message, "direction": "inbound", "text": "Oi"},
            "occurred_at": timezone.now().isoformat(),
        }
        session = getattr(self._local, "session", None) or requests.Session()
        self._local.session = session
        for attempt in range(600):
            if self._enough.is_set():
                return
            url = self._urls[(number + attempt) % len(self._urls)]
            with self._lock:
                self.tries += 1
            try:
                answer = session.post(f"{url}/api/v1/interactions/", json=body, headers=self._headers, timeout=10)
            except requests.RequestException:
                time.sleep(0.1)
                continue
            if answer.ok:
                with self._lock:
                    self.accepted[message] = (phone, number)
                return
            if answer.status_code not in (429, 502, 503):
                raise Broken(f"the API answered {answer.status_code}: {answer.text[:200]}")
            time.sleep(0.2)


class Lag:
    """Watches the age of the oldest change that is not in Kommo yet."""

    EVERY_SECONDS = 0.25
    # Below the bound for so long, it is over.
    STEADY_SECONDS = 2.0

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []
        self.marks: list[tuple[float, str]] = []
        self._enough = threading.Event()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def mark(self, name: str) -> None:
        self.marks.append((time.monotonic(), name))

    def stop(self) -> None:
        self._enough.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._enough.wait(self.EVERY_SECONDS):
            since = Card.objects.filter(state__in=Card.PENDING).aggregate(since=Min("pending_since"))["since"]
            age = (timezone.now() - since).total_seconds() if since else 0.0
            self.seen.append((time.monotonic(), age))
        connection.close()

    def back_after(self, moment: float) -> float:
        """Return the seconds from a moment until the lag was, and stayed for a while, below the bound."""
        good_since: float | None = None
        worst = 0.0
        for at, age in self.seen:
            if at < moment:
                continue
            worst = max(worst, age)
            good_since = None if age >= LAG_SECONDS else good_since or at
            # A fault needs a moment to show.
            if good_since and at - good_since >= self.STEADY_SECONDS and at - moment > 3:
                return max(0.0, good_since - moment)
        return max(0.0, self.seen[-1][0] - moment)


def _memory(bench: Bench) -> float:
    """Return the memory of the web server that is never killed: what is restarted says nothing of leaks."""
    return own_megabytes([bench.processes["web"].pid])


def _figures(bench: Bench, load: Load, lag: Lag, memory: list[float], since: int, seconds: int) -> Iterator[Figure]:
    leads = requests.get(f"{bench.sandbox_url}/_sandbox/leads", timeout=60).json()["leads"]
    values: dict[str, list[str]] = {}
    for lead in leads:
        for phone in {phone for contact in lead["contacts"] for phone in contact["phones"]}:
            values.setdefault(phone, []).append(str(lead["fields"].get("Valor Conta Energia", "")))
    wanted = {phone for phone, _ in load.accepted.values()}
    newest: dict[str, str] = {
        phone: f"{value:g}" for phone, value in ((card.lead.phone, float(card.lead.bill_value)) for card in _cards())
    }
    wrong = [phone for phone in wanted if values.get(phone, [""])[0] != newest[phone]]
    events = Event.objects.filter(kind=Event.Kind.INTERACTION).count()
    journal = [entry for entry in bench.journal(since=since) if entry["counted"]]
    told_of = f"{len(load.accepted):,} accepted in {seconds} s, {load.tries:,} tries"
    yield at_least(0.9, f"interactions accepted {bench.on}", len(load.accepted) / (RATE * seconds), told_of)
    yield at_most(0, f"people without a card {bench.on}", len(wanted - values.keys()), f"{len(wanted):,} people")
    yield at_most(
        0, f"people with two cards {bench.on}", sum(len(of) > 1 for of in values.values()), f"{len(values):,}"
    )
    yield at_most(0, f"cards with an old value {bench.on}", len(wrong), f"{len(wanted):,} cards")
    yield at_most(0, f"interactions lost {bench.on}", len(load.accepted) - min(events, len(load.accepted)), told_of)
    yield at_most(0, f"interactions recorded twice {bench.on}", max(0, events - len(load.accepted)), told_of)
    over = sum(bool(entry["over_ceiling"]) for entry in journal)
    yield at_most(0, f"calls over Kommo's ceiling {bench.on}", over, f"{len(journal):,} calls")
    for moment, name in lag.marks:
        back = lag.back_after(moment)
        yield at_most(BACK_WITHIN_SECONDS, f"lag below 5 s again, seconds after: {name} {bench.on}", back, "a minute")
    yield shown(f"worst lag, seconds {bench.on}", max(age for _, age in lag.seen), "five seconds at rest")
    yield at_most(1.2, f"memory of a web server at the end {bench.on}", memory[-1] / memory[0], f"{memory[0]:.0f} MB")


def _cards() -> Iterator[Card]:
    return Card.objects.select_related("lead").iterator()
