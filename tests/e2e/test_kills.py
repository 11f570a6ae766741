"""Processes that end at any moment: nothing is lost or created twice, somebody goes on, and what hangs is replaced."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import requests

from tests.e2e.stack import Stack, eventually, kinds, new_phone, running

SEED = 20_261
MOMENTS = 50
WORKERS = ("worker", "worker-1")
TAKEN_OVER_WITHIN_SECONDS = 30.0
HEALED_WITHIN_SECONDS = 60.0
STOPPED_WITHIN_SECONDS = 30.0
# Whoever sends a text with the word "veneno" dies of it.
POISON = str(Path(__file__).with_name("poison"))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two workers on one database, and on one broker where there is one."""
    with running(kinds()[0], tmp_path_factory.mktemp("crowd"), workers=len(WORKERS), PYTHONPATH=POISON) as stack:
        yield stack


def children(pid: int) -> list[int]:
    """Return the processes a process has started and that live, oldest first."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return sorted(found)


def descendants(pid: int) -> set[int]:
    below = set(children(pid))
    return below.union(*(descendants(child) for child in below)) if below else below


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def start(stack: Stack, name: str) -> None:
    if name == "web":
        stack.start_web()
    else:
        stack.start_worker(name)


def lease_holder(stack: Stack) -> int | None:
    """Return the process that drains the account just now."""
    query = "SELECT lease_holder FROM bridge_account WHERE lease_holder <> ''"
    url = stack.environment["DATABASE_URL"]
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)
        try:
            row = connection.execute(query).fetchone()
        finally:
            connection.close()
    else:
        with psycopg.connect(url, autocommit=True) as server:
            row = server.execute(query).fetchone()
    return int(row[0].split(":")[1]) if row else None


class Agents:
    """Conversations that go on whatever happens: an interaction that was not answered is told again, word by word."""

    LANES = 3

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.told: dict[str, str] = {}
        self.lead_ids: dict[str, str] = {}
        self.failures: list[str] = []
        self._over = threading.Event()
        self._patient_until = float("inf")
        self._threads = [threading.Thread(target=self._talk, args=(number,)) for number in range(self.LANES)]

    def __enter__(self) -> Agents:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patient_until = time.monotonic() + 60
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _talk(self, lane: int) -> None:
        luck = random.Random(lane)
        phones: list[str] = []
        while not self._over.is_set():
            if not phones or luck.random() < 0.4:
                phones.append(new_phone())
            phone, name = luck.choice(phones[-20:]), f"Lead {uuid4().hex[:8]}"
            self._tell(phone, name)
            if phone in self.lead_ids:
                self.told[phone] = name
            self._over.wait(0.05)

    def _tell(self, phone: str, name: str) -> None:
        message = {"id": uuid4().hex, "direction": "inbound", "text": "Oi"}
        while time.monotonic() < self._patient_until:
            try:
                answer = self.stack.call(
                    "POST", "interactions/", {"lead": {"phone": phone, "name": name}, "message": message}
                )
            except requests.RequestException:
                time.sleep(0.1)
                continue
            if answer.ok:
                self.lead_ids[phone] = answer.json()["lead"]["id"]
                return
            if answer.status_code not in (500, 502, 503, 504):
                self.failures.append(f"{answer.status_code} {answer.text[:200]}")
                return
            time.sleep(0.1)
        self.failures.append(f"{phone} was never answered")


@pytest.mark.served
def test_whatever_is_killed_nothing_is_lost_and_nothing_is_created_twice(crowd: Stack):
    luck = random.Random(SEED)
    crowd.kommo.fault("slow", probability=0.2, path="/api/v4/leads", seconds=0.4)
    with Agents(crowd) as agents:
        for _ in range(MOMENTS):
            time.sleep(luck.uniform(0.1, 1.4))
            victim = luck.choice(("web", "web's child", *WORKERS, *WORKERS, "cluster"))
            if victim == "web's child":
                for pid in children(crowd.processes["web"].pid):
                    kill(pid)
            elif victim == "cluster":
                # Its main process alone: the rest of it must not go on without a guard.
                for pid in children(crowd.processes[luck.choice(WORKERS)].pid):
                    kill(pid)
            else:
                if victim == "web":
                    # As a service manager does: what the master leaves behind would keep the port.
                    os.killpg(crowd.processes[victim].pid, signal.SIGKILL)
                crowd.kill(victim)
                start(crowd, victim)
        crowd.clear_faults()

    assert agents.failures == []
    assert len(agents.told) > MOMENTS / 2

    def all_right() -> None:
        leads = crowd.kommo.leads()
        by_phone: dict[str, list[str]] = {}
        for lead in leads:
            for contact in lead["contacts"]:
                for phone in contact["phones"]:
                    by_phone.setdefault(phone, []).append(lead["name"])
        assert {phone: by_phone.get(phone) for phone in agents.told} == {
            phone: [name] for phone, name in agents.told.items()
        }

    eventually(all_right, within_seconds=150)
    for lead_id in agents.lead_ids.values():
        crowd.synced(lead_id)
    entries = crowd.kommo.journal()
    assert not [entry for entry in entries if entry["over_ceiling"]]


def busy_worker(stack: Stack, phones: list[str]) -> str:
    """Give every card of these people a new name, while Kommo is slow; return the worker that is delivering them."""
    leads = [stack.tell(phone)["lead"]["id"] for phone in phones]
    for lead_id in leads:
        stack.synced(lead_id)
    stack.kommo.fault("slow", path="/api/v4/leads", method="PATCH", seconds=2)
    for phone in phones:
        stack.tell(phone, name=f"Lead {phone}")

    def somebody_delivers() -> str:
        holder = lease_holder(stack)
        assert holder
        return next(name for name in WORKERS if holder in descendants(stack.processes[name].pid))

    return eventually(somebody_delivers)


def names_written(stack: Stack) -> list[str]:
    return [change["name"] for entry in stack.card_writes() for change in entry["body"] or () if "name" in change]


def all_named(stack: Stack, phones: list[str]) -> None:
    assert {stack.card(phone)["name"] for phone in phones} == {f"Lead {phone}" for phone in phones}


@pytest.mark.served
def test_a_second_worker_takes_over_from_one_that_is_killed_while_it_delivers(crowd: Stack):
    phones = [new_phone() for _ in range(20)]
    victim = busy_worker(crowd, phones)

    crowd.kill(victim)
    crowd.clear_faults()

    try:
        eventually(lambda: all_named(crowd, phones), within_seconds=TAKEN_OVER_WITHIN_SECONDS)
    finally:
        start(crowd, victim)


@pytest.mark.served
def test_a_worker_that_is_asked_to_stop_finishes_what_it_is_at_and_ends_in_time(crowd: Stack):
    phones = [new_phone() for _ in range(20)]
    name = busy_worker(crowd, phones)
    worker = crowd.processes.pop(name)
    below = descendants(worker.pid)

    worker.send_signal(signal.SIGTERM)

    try:
        assert worker.wait(STOPPED_WITHIN_SECONDS) == 0
        assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
        crowd.clear_faults()
        eventually(lambda: all_named(crowd, phones))
        # What it was at was answered, and settled: nobody wrote it once more.
        names = {f"Lead {phone}" for phone in phones}
        assert sorted(name for name in names_written(crowd) if name in names) == sorted(names)
    finally:
        crowd.clear_faults()
        start(crowd, name)


@pytest.mark.served
def test_a_card_that_kills_whoever_delivers_it_is_parked_and_no_other_waits(crowd: Stack):
    poisoned, others = new_phone(), [new_phone() for _ in range(5)]
    leads = {phone: crowd.tell(phone)["lead"]["id"] for phone in (poisoned, *others)}
    for lead_id in leads.values():
        crowd.synced(lead_id)

    for phone in leads:
        objections = ["veneno"] if phone == poisoned else []
        crowd.tell(phone, name=f"Lead {phone}", context={"objections_raised": objections})

    eventually(lambda: all_named(crowd, others))

    def parked() -> None:
        lead = crowd.lead(leads[poisoned])
        assert (lead["sync"], "parked" in str(lead["waiting"])) == ("dead", True), lead

    eventually(parked, within_seconds=120)
    assert crowd.card(poisoned)["name"] != f"Lead {poisoned}"
    # Only the processes that did the work died of it; the workers replaced them.
    assert all(crowd.processes[name].poll() is None for name in WORKERS)
    crowd.tell(after := new_phone())
    eventually(lambda: crowd.card(after))


def idle_workers(cluster: int) -> list[int]:
    """Return the task processes of a cluster that wait for work; django-q2 says so in their titles."""
    found = [
        pid for pid in descendants(cluster) if Path(f"/proc/{pid}/cmdline").read_text().strip("\0 ").endswith("idle")
    ]
    assert len(found) == 2, found
    return found


@pytest.mark.served
def test_a_cluster_that_hangs_while_it_looks_alive_is_replaced(tmp_path: Path):
    with running("sqlite", tmp_path) as stack:
        lead_id = stack.tell(new_phone())["lead"]["id"]
        stack.synced(lead_id)
        [cluster] = children(stack.processes["worker"].pid)
        # Idle, one of them waits for work while it holds the queue's lock, and takes it to its grave.
        for pid in eventually(lambda: idle_workers(cluster)):
            kill(pid)
        killed_at = time.monotonic()

        stack.tell(phone := new_phone(), name="After the hang")
        eventually(lambda: stack.card(phone), within_seconds=HEALED_WITHIN_SECONDS + 20)

        assert time.monotonic() - killed_at <= HEALED_WITHIN_SECONDS
        assert "no task has shown progress" in stack.log_of("worker")
        assert children(stack.processes["worker"].pid) != [cluster]
