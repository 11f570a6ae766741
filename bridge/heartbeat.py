"""Signs of life from inside a cluster, and a cluster that does not outlive its supervisor.

`qcluster` can hang for ever while its main process looks alive: a worker killed while it holds the queue's lock leaves
all others waiting. Only a task that ran proves that tasks run. So every task marks progress, at most once a second, and
the supervisor sends small tasks that do nothing else.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from django.utils import timezone

from bridge.models.heartbeat import Heartbeat

# Set by the supervisor for its cluster: the worker's name, and a pipe that ends when the supervisor does.
WORKER_VARIABLE = "BRIDGE_WORKER"
PIPE_VARIABLE = "BRIDGE_SUPERVISOR_PIPE"
GRAIN_SECONDS = 1.0

_marked_at = 0.0


def progress() -> None:
    """Mark that this process's cluster is at work."""
    global _marked_at
    worker = os.environ.get(WORKER_VARIABLE)
    if worker is None or time.monotonic() - _marked_at < GRAIN_SECONDS:
        return
    _marked_at = time.monotonic()
    Heartbeat.objects.filter(worker=worker).update(at=timezone.now())


def end_with_supervisor() -> None:
    """Let this process, and every process forked from it, end as soon as the supervisor is gone."""
    if PIPE_VARIABLE in os.environ:
        _watch()
        os.register_at_fork(after_in_child=_watch)


def _watch() -> None:
    pipe = int(os.environ[PIPE_VARIABLE])

    def wait_for_the_end() -> None:
        # Nobody ever writes: the read returns when the last holder of the other end, the supervisor, is gone.
        try:
            os.read(pipe, 1)
        except OSError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait_for_the_end, name="end-with-supervisor", daemon=True).start()
