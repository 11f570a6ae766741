"""The clock and the supervisor: with stand-ins for a cluster, each a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from bridge import process_identity, worker
from bridge.cards import nudge
from bridge.installed_paths import CODE
from bridge.models import Account, Heartbeat, WorkLease
from bridge.worker import Cluster, Pulse, Worker
from tests.conftest import record

SLEEPS = "import time; time.sleep(60)"
DEAD_PROCESS = f"{process_identity.machine()}:99999999"


def eventually(is_so):
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends[0]
    os.close(ends[0])
    os.close(ends[1])


@pytest.fixture
def supervisor(db, monkeypatch):
    """A worker whose cluster is a process that does nothing."""
    # The one connection of the test is not the worker's to close.
    monkeypatch.setattr(worker, "close_old_connections", lambda: None)
    clerk = Worker(command=[sys.executable, "-c", SLEEPS])
    yield clerk
    if clerk._cluster:
        clerk._cluster.kill()


def test_a_cluster_ends_with_all_its_processes(pipe, tmp_path):
    spawns = f"""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", {SLEEPS!r}])
        open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
        time.sleep(60)
    """
    cluster = Cluster([sys.executable, "-c", textwrap.dedent(spawns)], "w", pipe)
    eventually(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())

    cluster.kill()

    assert cluster.has_ended
    eventually(lambda: not alive(child))


def test_a_cluster_that_ignores_the_request_to_end_is_killed(pipe, tmp_path):
    ignores = f"""
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open({str(tmp_path / "ready")!r}, "w").close()
        time.sleep(60)
    """
    cluster = Cluster([sys.executable, "-c", textwrap.dedent(ignores)], "w", pipe)
    eventually((tmp_path / "ready").exists)
    cluster.stop(within_seconds=0.2)
    assert cluster.has_ended


def test_processes_whose_supervisor_was_killed_end_by_themselves(tmp_path):
    """A real supervisor is killed; what it started watches the pipe that only it held."""
    child = f"""
        import django, os, time
        django.setup()
        from bridge import heartbeat
        heartbeat.end_with_supervisor()
        if not os.fork():
            open({str(tmp_path / "grandchild")!r}, "w").write(str(os.getpid()))
        time.sleep(60)
    """
    parent = f"""
        import django, os, time
        django.setup()
        from bridge.worker import Cluster
        held, end = os.pipe()
        cluster = Cluster([{sys.executable!r}, "-c", {textwrap.dedent(child)!r}], "w", held)
        open({str(tmp_path / "child")!r}, "w").write(str(cluster.pid))
        time.sleep(60)
    """
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(CODE)}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(parent)], env=environment)
    eventually(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text())
    pids = [int((tmp_path / name).read_text()) for name in ("child", "grandchild")]
    assert all(map(alive, pids))

    process.send_signal(signal.SIGKILL)
    process.wait()

    eventually(lambda: not any(map(alive, pids)))


def test_silence_counts_only_while_somebody_looks():
    pulse, mark = Pulse(), timezone.now()
    assert pulse.look(mark, 100.0) == 0
    assert pulse.look(mark, 101.0) == 1
    # The machine slept, or the database was away, for an hour.
    assert pulse.look(mark, 3701.0) == 1 + 3 * worker.TICK_SECONDS
    assert pulse.look(mark + timedelta(seconds=1), 3702.0) == 0


def test_a_silent_cluster_is_asked_for_a_beat_and_then_replaced(supervisor):
    supervisor._look_after_cluster()
    first = supervisor._cluster
    first.pulse = Pulse(Heartbeat.objects.get().at, time.monotonic(), worker.BEAT_EVERY_SECONDS)
    supervisor._look_after_cluster()
    assert OrmQ.objects.count() == 1

    first.pulse.silent_seconds = worker.STALE_AFTER_SECONDS + 1
    supervisor._look_after_cluster()
    assert first.has_ended
    supervisor._start_not_before = 0
    supervisor._look_after_cluster()
    assert supervisor._cluster.pid != first.pid


def test_clusters_that_keep_ending_soon_are_started_ever_more_slowly(supervisor):
    supervisor._command = [sys.executable, "-c", ""]
    pauses = []
    for _ in range(8):
        supervisor._start_not_before = 0
        supervisor._look_after_cluster()
        eventually(lambda: supervisor._cluster.has_ended)
        supervisor._look_after_cluster()
        pauses.append(round(supervisor._start_not_before - time.monotonic()))
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (1, 30)


def test_what_dead_processes_of_this_machine_held_is_free_at_once(db):
    now = timezone.now()
    later = now + timedelta(seconds=20)
    account = Account.objects.create(name="a", base_url="https://a.kommo.com", lease_until=later)
    for holder, is_freed in (
        (f"{DEAD_PROCESS}:x", True), (f"{process_identity.process()}:x", False), ("elsewhere/1:99999999:x", False)
    ):  # fmt: skip
        Account.objects.update(lease_holder=holder, lease_until=later)
        WorkLease.objects.update_or_create(name="w", defaults={"holder": holder, "until": later})
        worker.free_dead_leases(now)
        account.refresh_from_db()
        assert (account.lease_holder == "") is is_freed
        assert (WorkLease.objects.get().holder == "") is is_freed


def test_messages_a_dead_cluster_had_taken_come_back_only_if_no_other_shares_the_queue(db):
    now = timezone.now()
    OrmQ.objects.create(key="bridge", payload="x", lock=now + timedelta(minutes=5))
    Heartbeat.objects.create(worker="other", at=now)
    worker.hand_back_messages("mine", now)
    assert OrmQ.objects.filter(lock__gt=now).exists()
    worker.hand_back_messages("mine", now + timedelta(seconds=worker.STALE_AFTER_SECONDS + 1))
    assert not OrmQ.objects.filter(lock__gt=now).exists()


def test_workers_that_were_killed_are_forgotten(db):
    now = timezone.now()
    for name, at in (
        (DEAD_PROCESS, now), (process_identity.process(), now), ("elsewhere/1:7", now), ("elsewhere/1:8", now -
        timedelta(days=2))
    ):  # fmt: skip
        Heartbeat.objects.create(worker=name, at=at)
    worker.forget_dead_workers(now)
    assert set(Heartbeat.objects.values_list("worker", flat=True)) == {process_identity.process(), "elsewhere/1:7"}


def test_a_duty_that_stumbles_keeps_no_other_from_being_done(supervisor, monkeypatch):
    def stumbles(now):
        raise ValueError("a mistake")

    monkeypatch.setattr(worker, "TICKS", [stumbles, lambda now: [("bridge.tasks.beat", ())]])
    supervisor._tick()
    assert OrmQ.objects.count() == 1
    # Asked for already: not again within seconds.
    supervisor._tick()
    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize(
    ("call", "is_soon"),
    [
        (("bridge.tasks.read_inbox", (1,)), True),
        (("bridge.tasks.read_intakes", ()), True),
        (("bridge.tasks.tell_agent", ()), True),
        (("bridge.tasks.poll", (1,)), False),
    ],
)
def test_what_people_have_just_said_is_asked_for_at_every_tick(supervisor, monkeypatch, call, is_soon):
    monkeypatch.setattr(worker, "async_task", lambda function, *arguments, **_: asked.append((function, arguments)))
    asked: list[object] = []
    for moment in (100.0, 101.0, 102.0):
        supervisor._ask_for(lambda now: [call], timezone.now(), moment)
    assert asked == [call] * (3 if is_soon else 1)


@pytest.mark.parametrize("names", [worker.ASK_SOON_AGAIN, worker.PATIENT])
def test_each_of_them_is_a_task(names):
    from bridge import tasks

    assert all(callable(getattr(tasks, name.removeprefix("bridge.tasks."))) for name in names)


@pytest.fixture
def asked(supervisor, monkeypatch):
    """Ask for calls at a moment, with so many waiting in the queue; return those that were asked for, sorted."""
    found: list[object] = []
    monkeypatch.setattr(worker, "async_task", lambda function, *arguments, **_: found.append((function, arguments)))

    def ask(calls, *, moment, waiting):
        monkeypatch.setattr(worker, "room_in_queue", lambda: worker.WAITING_FOR_EACH * 2 - waiting)
        supervisor._room = None
        found.clear()
        supervisor._ask_for(lambda now: calls, timezone.now(), moment)
        return sorted(found)

    return ask


def test_what_nobody_waits_for_is_asked_for_while_the_queue_is_short(asked):
    looks = [("bridge.tasks.notice_takeovers", (number,)) for number in range(200)]
    urgent = [("bridge.tasks.read_inbox", (number,)) for number in range(20)]

    assert len(asked(looks, moment=100.0, waiting=3)) == 5
    assert len(asked(looks, moment=101.0, waiting=0)) == 8
    assert asked([*looks, *urgent], moment=102.0, waiting=8) == urgent


def test_what_waits_in_a_long_queue_is_not_asked_for_every_few_seconds(asked):
    call = ("bridge.tasks.end_waits", ())
    assert asked([call], moment=100.0, waiting=0) == [call]
    assert asked([call], moment=106.0, waiting=20) == []
    assert asked([call], moment=131.0, waiting=20) == [call]
    assert asked([call], moment=137.0, waiting=0) == [call]


def test_several_clocks_ask_for_others_first(asked):
    looks = [("bridge.tasks.notice_takeovers", (number,)) for number in range(200)]
    assert asked(looks, moment=100.0, waiting=0) != asked(looks, moment=106.0, waiting=0)


def test_two_clocks_ask_once_for_one_drain(supervisor, account, pipeline):
    record(pipeline, "+5581999990001")
    OrmQ.objects.all().delete()
    Account.objects.update(nudged_at=None)
    for each in (supervisor, worker.Worker()):
        each._ask_for(lambda now: [(nudge.TASK, (account.pk,))], timezone.now(), 100.0)
    assert [message.func() for message in OrmQ.objects.all()] == [nudge.TASK]


def test_a_queue_that_cannot_be_counted_keeps_nobody(monkeypatch):
    def away():
        raise ConnectionError

    monkeypatch.setattr(worker, "_broker", away)
    assert worker.room_in_queue() > 0
