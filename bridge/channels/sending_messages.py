"""Carrying messages out: what is due is claimed, asked for at the gate, handed over part by part, and noted.

Every part is stored as `sending` before it leaves, so a process may die anywhere: what it left so may have been said,
and on a way that would say it twice it is not said again. A lead's messages leave one after the other, in their order.
Between the parts of a message a person may have taken over: the gate is asked before each.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from bridge.channels import proof_of_arrival
from bridge.channels.after_a_part import note
from bridge.channels.claiming_messages import claim, has_work
from bridge.channels.leaving_part import Task
from bridge.channels.part_values import Outcome, Sent
from bridge.models import Channel

log = structlog.get_logger(__name__)

AT_ONCE = 8
# A task that has nothing to do stays so long: asking for another one takes longer than looking again.
STAY_FOR = timedelta(seconds=1)
LOOK_AGAIN_SECONDS = 0.1


class Inline(Executor):
    """Does what it is given at once, in this thread and on its connection: for tests and for commands."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def carry(
    *,
    holder: str,
    until: datetime,
    pool: Executor,
    progress: Callable[[], object] = lambda: None,
    clock: Callable[[], datetime] = timezone.now,
    stay: timedelta = STAY_FOR,
) -> bool:
    """Send what is due, and what falls due within the next moments, until the time is up; True when more may be due."""
    how = say if isinstance(pool, Inline) else in_a_thread
    under_way: dict[Future[tuple[Sent, datetime]], Task] = {}
    idle_since = clock()
    while True:
        progress()
        now, tasks = clock(), None
        if now < until and len(under_way) < AT_ONCE:
            tasks = claim(holder, now, limit=AT_ONCE - len(under_way))
            if tasks is not None:
                idle_since = now
            for task in tasks or ():
                under_way[pool.submit(how, task, clock)] = task
        done = [future for future in under_way if future.done()]
        for future in done:
            _note_safely(under_way.pop(future), future)
            idle_since = clock()
        if done or (tasks is not None and not under_way):
            # What came next of a lead may be due at once.
            continue
        if under_way:
            wait(under_way, timeout=LOOK_AGAIN_SECONDS, return_when=FIRST_COMPLETED)
        elif now >= until:
            return has_work(now)
        elif now - idle_since >= stay:
            return False
        else:
            time.sleep(LOOK_AGAIN_SECONDS)


def _note_safely(task: Task, future: Future[tuple[Sent, datetime]]) -> None:
    """Note what came of a part; what cannot be noted stays held, and is looked at again as if its sender had died."""
    try:
        note(task, *future.result())
    except (InterfaceError, OperationalError):
        raise
    except Exception:
        log.exception("message_not_noted", message=str(task.outgoing.pk))


def say(task: Task, clock: Callable[[], datetime]) -> tuple[Sent, datetime]:
    """Hand a part over. Never raises."""
    try:
        way, route = task.route.way, task.route
        if task.is_look:
            return proof_of_arrival.look(route.account, task.person, task.part, clock()), clock()
        sent = way.say(route.account, route.settings, task.person, task.outgoing_part, clock())
    except Exception as error:
        log.exception("channel_failed", channel=task.route.channel.slug)
        is_safe = task.route.channel.kind == Channel.Kind.AGENT and not task.is_look
        outcome = Outcome.RETRY if is_safe else Outcome.UNCONFIRMED
        sent = Sent(outcome, f"the channel failed: {type(error).__name__}")
    return sent, clock()


def in_a_thread(task: Task, clock: Callable[[], datetime]) -> tuple[Sent, datetime]:
    try:
        return say(task, clock)
    finally:
        # What reads the database here does so on this thread's connection, which nobody else would close.
        connections.close_all()
