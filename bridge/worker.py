"""The clock and the supervisor behind `manage.py worker`.

The clock looks once a second what is due in our own tables and asks the queue for it; django-q2's own scheduler has a
grain of 30 seconds. The supervisor keeps one `qcluster` in a process group of its own and replaces it when it ends or
when no task in it has shown progress for a while. Several workers may run, on several hosts: everything they ask for is
safe to ask twice.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import cast

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.db.models import F
from django.utils import timezone
from django_q.brokers import Broker, get_broker
from django_q.models import OrmQ
from django_q.tasks import async_task

from bridge import process_identity
from bridge.accounts import database_clock
from bridge.agent import agent_events
from bridge.cards import nudge, write_ahead
from bridge.channels import claiming_messages
from bridge.due_work import TICKS, TaskCall
from bridge.heartbeat import PIPE_VARIABLE, WORKER_VARIABLE
from bridge.installed_paths import MANAGE
from bridge.models import Account, Heartbeat, WorkLease
from followups import dispatch

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
# A call that was asked for and has not shown in the tables yet is asked for again after this: the nudge may be lost.
ASK_AGAIN_SECONDS = 5.0
# Staff who take a lead over must not wait for that, when something else came a second before theirs, by whichever road;
# nor must the agent that is to hear of them. A look at what somebody else is at costs next to nothing.
ASK_SOON_AGAIN_SECONDS = 0.5
# Nor is a nudge lost that waits its turn in a long queue: asked for again and again, a few hundred accounts would make
# the queue longer than it can ever become short.
ASK_AGAIN_BEHIND_SECONDS = 30.0
# The queue is long when more wait for each of its processes: all they do with one is to hand it on.
WAITING_FOR_EACH = 4
ASK_SOON_AGAIN = frozenset({"bridge.tasks.read_inbox", "bridge.tasks.read_intakes", "bridge.tasks.tell_agent"})
# What nobody waits for: asked for only while the queue is short, for whatever comes next waits behind it.
PATIENT = frozenset(
    {
        "bridge.tasks.poll",
        "bridge.tasks.notice_takeovers",
        "bridge.tasks.check_subscription",
        "bridge.tasks.look_at_catalogue",
        "bridge.tasks.look_for_missing",
    }
)
BEAT_EVERY_SECONDS = 5.0
# Above the longest call to Kommo (25 s), during which a busy task shows no progress.
STALE_AFTER_SECONDS = 35.0
# With the end of the drains under way (20 s at most) well inside the 30 s that service managers wait.
STOP_WITHIN_SECONDS = 22.0
# Before the first, second, … restart of a cluster that ended soon after its start.
RESTART_PAUSES_SECONDS = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
# A cluster that lived this long did not crash at once.
SETTLED_AFTER_SECONDS = 60.0
SAY_AGAIN_SECONDS = 30.0
# Rows of workers on other hosts that ended without a word.
FORGET_WORKERS_AFTER = timedelta(days=1)


class Alarm:
    """A stop that a signal handler may ask for at any moment.

    Not a `threading.Event`: its lock may be held by the very code the handler interrupts, and then `set` never returns.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self.is_set = False

    def set(self, *_: object) -> None:
        self.is_set = True
        with contextlib.suppress(OSError):
            os.write(self._writer, b".")

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the alarm is set."""
        if not self.is_set:
            select.select([self._reader], [], [], max(0.0, seconds))


@dataclass
class Pulse:
    """How long a cluster has shown no progress, counted only while somebody looked.

    Measured on this host's monotonic clock from one change of the mark to the next, so neither a database that was
    away, a laptop that slept nor a clock that was set lets a healthy cluster look dead.
    """

    mark: datetime | None = None
    looked_at: float | None = None
    silent_seconds: float = 0.0

    def look(self, mark: datetime | None, moment: float) -> float:
        """Take a look at the cluster's last mark; return the seconds of silence so far."""
        since = 0.0 if self.looked_at is None else moment - self.looked_at
        self.looked_at = moment
        if mark != self.mark:
            self.mark, self.silent_seconds = mark, 0.0
        else:
            self.silent_seconds += min(since, 3 * TICK_SECONDS)
        return self.silent_seconds


class Cluster:
    """One `qcluster` and all its processes, as one group that ends as one."""

    def __init__(self, command: list[str], worker: str, pipe: int) -> None:
        environment = os.environ | {WORKER_VARIABLE: worker, PIPE_VARIABLE: str(pipe)}
        self._process = subprocess.Popen(
            command,
            env=environment,
            # A group of its own: a signal to the group kills the sentinel first and leaves the main process hanging.
            start_new_session=True,
            pass_fds=(pipe,),
        )
        self.started_at = time.monotonic()
        self.pulse = Pulse()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        # Without its sentinel the main process ends with code 0, while its workers go on without a guard.
        return self._process.poll() is not None

    def stop(self, *, within_seconds: float) -> None:
        """End gracefully: the main process is asked, finishes what its workers are at, and only then all are killed."""
        if not self.has_ended:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(within_seconds)
            except subprocess.TimeoutExpired:
                log.warning("cluster_killed", pid=self.pid, reason="it did not end in time")
        self.kill()

    def kill(self) -> None:
        """End every process of the group at once; whatever they were at is picked up from the tables."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        # In a container without an init, the group's orphans are ours to bury.
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-self.pid, 0)


class Worker:
    """A clock and a supervised cluster, until told to stop."""

    def __init__(self, *, clock: Callable[[], datetime] = timezone.now, command: list[str] | None = None) -> None:
        self._name = process_identity.process()
        self._clock = clock
        self._command = command or [*MANAGE, "qcluster", "--skip-checks"]
        self._alarm = Alarm()
        self._asked_at: dict[TaskCall, float] = {}
        # How many more may be asked for until the queue is long; None: not counted yet.
        self._room: int | None = None
        self._said_at: dict[str, float] = {}
        self._cluster: Cluster | None = None
        self._crashes = 0
        self._start_not_before = 0.0
        # Held by this process alone: its end closes the pipe, and every process of the cluster ends with it.
        self._pipe_end, self._pipe_held = os.pipe()

    def stop(self, *_: object) -> None:
        self._alarm.set()

    def run(self) -> None:
        """Tick once a second and keep a cluster alive, until `stop`."""
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        log.info("worker_started", worker=self._name)
        while not self._alarm.is_set:
            started = time.monotonic()
            for duty in (self._look_after_cluster, self._tick):
                self._dare(duty)
            self._alarm.wait(TICK_SECONDS - (time.monotonic() - started))
        log.info("worker_stops", worker=self._name)
        if self._cluster:
            self._cluster.stop(within_seconds=STOP_WITHIN_SECONDS)
        self._dare(lambda: forget_worker(self._name))
        log.info("worker_stopped", worker=self._name)

    def _dare(self, duty: Callable[[], None]) -> None:
        """Do one duty. The clock outlives whatever goes wrong in it: a database or broker away, or a mistake."""
        try:
            close_old_connections()
            duty()
        except (DatabaseError, InterfaceError) as error:
            self._say("database_away", error=str(error).strip().split("\n")[0][:200])
        except Exception:
            self._say("clock_stumbled", exc_info=True)

    def _say(self, what: str, **more: object) -> None:
        """Log a trouble, but not every second."""
        moment = time.monotonic()
        if moment - self._said_at.get(what, -SAY_AGAIN_SECONDS) >= SAY_AGAIN_SECONDS:
            self._said_at[what] = moment
            log.error(what, worker=self._name, **more)

    # --- The clock

    def _tick(self) -> None:
        now, moment = self._clock(), time.monotonic()
        free_dead_leases(now)
        self._room = None
        for tick in TICKS:
            # Each for itself: what one of them stumbles over must not keep the others from being asked.
            self._dare(partial(self._ask_for, tick, now, moment))
        self._asked_at = {
            call: asked_at for call, asked_at in self._asked_at.items() if moment - asked_at < ASK_AGAIN_BEHIND_SECONDS
        }

    def _ask_for(self, tick: Callable[[datetime], Iterable[TaskCall]], now: datetime, moment: float) -> None:
        calls = [call for call in tick(now) if self._is_time_for(call, moment)]
        # The clocks of several workers see the same: each begins elsewhere, and nobody is always the last.
        random.shuffle(calls)
        for call in calls:
            function, arguments = call
            if function in PATIENT and not self._has_room():
                continue
            if function == nudge.TASK:
                # Not where somebody else has just done so.
                nudge.send(cast(int, arguments[0]))
            else:
                async_task(function, *arguments, save=False)
            self._asked_at[call] = moment
            if self._room is not None:
                self._room -= 1

    def _is_time_for(self, call: TaskCall, moment: float) -> bool:
        since = moment - self._asked_at.get(call, -math.inf)
        if call[0] in ASK_SOON_AGAIN:
            return since >= ASK_SOON_AGAIN_SECONDS
        return since >= ASK_AGAIN_BEHIND_SECONDS or (since >= ASK_AGAIN_SECONDS and self._has_room())

    def _has_room(self) -> bool:
        """Say whether the queue is short; counted once a tick, and only in one that asks."""
        if self._room is None:
            self._room = room_in_queue()
        return self._room > 0

    # --- The supervisor

    def _look_after_cluster(self) -> None:
        if self._cluster is None:
            if time.monotonic() >= self._start_not_before:
                self._start()
        elif self._cluster.has_ended:
            self._give_up("it ended")
        else:
            self._feel_pulse(self._cluster)

    def _start(self) -> None:
        now = self._clock()
        forget_dead_workers(now)
        free_dead_leases(now)
        hand_back_messages(self._name, now)
        Heartbeat.objects.update_or_create(worker=self._name, defaults={"at": now})
        self._cluster = Cluster(self._command, self._name, self._pipe_end)
        log.info("cluster_started", worker=self._name, pid=self._cluster.pid)

    def _feel_pulse(self, cluster: Cluster) -> None:
        mark = Heartbeat.objects.filter(worker=self._name).values_list("at", flat=True).first()
        silent = cluster.pulse.look(mark, time.monotonic())
        if silent > STALE_AFTER_SECONDS:
            self._give_up(f"no task has shown progress for {silent:.0f} s")
        elif silent >= BEAT_EVERY_SECONDS:
            # Any cluster of the queue may take it, so it is sent each second until ours has.
            async_task("bridge.tasks.beat", save=False)

    def _give_up(self, reason: str) -> None:
        """End the whole group, and let another cluster start: at once, or after a pause when they keep ending soon."""
        cluster, self._cluster = self._cluster, None
        assert cluster is not None
        moment = time.monotonic()
        lived = moment - cluster.started_at
        self._crashes = 0 if lived >= SETTLED_AFTER_SECONDS else self._crashes + 1
        pause = RESTART_PAUSES_SECONDS[min(self._crashes, len(RESTART_PAUSES_SECONDS) - 1)]
        self._start_not_before = moment + pause
        log.error("cluster_replaced", pid=cluster.pid, reason=reason, lived_seconds=round(lived), pause_seconds=pause)
        cluster.kill()


def room_in_queue() -> int:
    """Return how many more tasks may wait until the queue is long; where nobody can count them, as if none did."""
    long = WAITING_FOR_EACH * cast(int, settings.Q_CLUSTER["workers"])
    try:
        return long - cast(int, _broker().queue_size())
    except Exception as error:
        log.info("queue_not_counted", error=type(error).__name__)
        return long


@cache
def _broker() -> Broker:
    return get_broker()


def free_dead_leases(now: datetime) -> None:
    """Free what processes of this machine held that are no more, so that nobody waits for a lease to run out."""
    machine = f"{process_identity.machine()}:"
    accounts = Account.objects.filter(lease_until__gt=now, lease_holder__startswith=machine)
    for pk, holder in accounts.values_list("pk", "lease_holder"):
        if process_identity.is_dead(holder):
            # First, while the dead one still keeps others away.
            write_ahead.cut_off(pk, now=now + database_clock.skew())
            Account.objects.filter(pk=pk, lease_holder=holder).update(lease_holder="", lease_until=None)
    works = WorkLease.objects.filter(until__gt=now, holder__startswith=machine)
    for pk, holder in works.values_list("pk", "holder"):
        if process_identity.is_dead(holder):
            WorkLease.objects.filter(pk=pk, holder=holder).update(holder="", until=None)
    senders = [
        holder for holder in dispatch.holders() if holder.startswith(machine) and process_identity.is_dead(holder)
    ]
    if senders:
        dispatch.free(senders, now=now)
    carriers = [
        holder
        for holder in claiming_messages.holders()
        if holder.startswith(machine) and process_identity.is_dead(holder)
    ]
    if carriers:
        claiming_messages.free(carriers)
    tellers = [
        holder for holder in agent_events.holders() if holder.startswith(machine) and process_identity.is_dead(holder)
    ]
    if tellers:
        agent_events.free(tellers, now=now)


def hand_back_messages(worker: str, now: datetime) -> None:
    """Make the messages a dead cluster had taken available at once, when no other cluster shares the queue.

    With others it is left alone: their claims look the same, and what a message asks for is asked for again anyway.
    """
    alive = now - timedelta(seconds=STALE_AFTER_SECONDS)
    if not Heartbeat.objects.exclude(worker=worker).filter(at__gt=alive).exists():
        OrmQ.objects.filter(lock__gt=now).update(lock=F("lock") - timedelta(days=1))


def forget_worker(worker: str) -> None:
    Heartbeat.objects.filter(worker=worker).delete()


def forget_dead_workers(now: datetime) -> None:
    """Drop the heartbeats of workers that were killed: of this machine at once, of others after a day."""
    Heartbeat.objects.filter(at__lt=now - FORGET_WORKERS_AFTER).delete()
    for worker in Heartbeat.objects.filter(worker__startswith=f"{process_identity.machine()}:").values_list(
        "worker", flat=True
    ):
        if process_identity.is_dead(worker):
            forget_worker(worker)
