"""Threads of one worker process that see to several accounts side by side: one that Kommo lets wait delays no other.

A task of the queue that hands its work to the crew ends at once, so that the process takes the next. Who has nothing to
do goes after a while, and takes its connection to the database along. When the process is told to end, everybody ends
what they are at first: `is_over` tells them.
"""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import cast

import structlog
from django.conf import settings
from django.db import close_old_connections, connections
from django_q.brokers import Broker, get_broker

log = structlog.get_logger(__name__)

# Most of the time each of them waits for Kommo. On PostgreSQL everybody holds a connection.
SIZE = 12
GOES_AFTER_SECONDS = 60.0
LOOKS_UP_EVERY_SECONDS = 0.5
LOOKS_AT_QUEUE_EVERY_SECONDS = 1.0

Job = Callable[[], None]


class Crew:
    """Up to `size` threads, as many as have been needed lately."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._busy = self._there = 0

    def take(self, job: Job) -> bool:
        """Let somebody do a job; False when everybody is busy, or this is no process of the queue."""
        if not is_there() or is_over():
            return False
        with self._lock:
            if self._busy >= self._size:
                return False
            self._busy += 1
            is_needed = self._busy > self._there
            self._there += is_needed
        self._jobs.put(job)
        if is_needed:
            # No daemon: a process that ends waits for what it is at.
            threading.Thread(target=self._work, name="crew").start()
        return True

    def _work(self) -> None:
        try:
            while job := self._next():
                try:
                    close_old_connections()
                    job()
                except Exception:
                    # As of a task that fails: what it was about is still due, and asked for again.
                    log.exception("job_failed")
                finally:
                    with self._lock:
                        self._busy -= 1
        finally:
            connections.close_all()

    def _next(self) -> Job | None:
        """Wait for a job; None when there has been none for long, or none will come."""
        waited = 0.0
        while True:
            try:
                return self._jobs.get(timeout=LOOKS_UP_EVERY_SECONDS)
            except queue.Empty:
                waited += LOOKS_UP_EVERY_SECONDS
            if waited >= GOES_AFTER_SECONDS or is_over():
                with self._lock:
                    if self._jobs.empty():
                        self._there -= 1
                        return None


def is_over() -> bool:
    """Say whether this process is about to end: its first thread has."""
    return not threading.main_thread().is_alive()


def is_aside() -> bool:
    """Say whether whoever asks keeps no task of the queue waiting."""
    return threading.current_thread() is not threading.main_thread()


def is_there() -> bool:
    """Say whether this is a process of the queue, which has a crew."""
    return multiprocessing.parent_process() is not None


def others_wait() -> bool:
    """Say whether more tasks wait in the queue than its processes take at their next look: too few are free."""
    try:
        waiting: int = _broker().queue_size()
        return waiting > cast(int, settings.Q_CLUSTER["workers"])
    except Exception as error:
        log.info("queue_not_counted", error=type(error).__name__)
        return False


class Handover:
    """Says whether a task that takes its time is to go on aside: after so long, or once others have waited a while.

    The queue is looked at once a second, and one that is empty at the next look has been waiting for nobody.
    """

    LOOKS = 2

    def __init__(self, *, after: timedelta) -> None:
        self._ends_at = time.monotonic() + after.total_seconds()
        self._look_at = time.monotonic() + LOOKS_AT_QUEUE_EVERY_SECONDS
        self._seen = 0

    def __call__(self) -> bool:
        now = time.monotonic()
        if not is_there() or now < self._look_at:
            return False
        self._look_at = now + LOOKS_AT_QUEUE_EVERY_SECONDS
        self._seen = self._seen + 1 if others_wait() else 0
        return now >= self._ends_at or self._seen >= self.LOOKS


@cache
def _broker() -> Broker:
    return get_broker()


_crew = Crew()
take = _crew.take
