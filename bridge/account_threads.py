"""Threads of one worker process that see to several accounts side by side: one that Kommo lets wait delays no other.

A task of the queue hands its work to the crew and ends at once, so that the process takes the next. Who has nothing to
do goes after a while, and takes its connection to the database along. When the process is told to end, everybody ends
what they are at first: `is_over` tells them.
"""

from __future__ import annotations

import multiprocessing
import queue
import threading
from collections.abc import Callable

import structlog
from django.db import close_old_connections, connections

log = structlog.get_logger(__name__)

# Most of the time each of them waits for Kommo. On PostgreSQL everybody holds a connection.
SIZE = 12
GOES_AFTER_SECONDS = 60.0
LOOKS_UP_EVERY_SECONDS = 0.5

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


_crew = Crew()
take = _crew.take
