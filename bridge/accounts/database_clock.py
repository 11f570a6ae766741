"""One clock for what processes on several hosts agree about: the database's.

Leases, the end of a write and how old a reading is are compared between hosts. A host whose clock is off by half a
minute would take over a lease that is held, or a write for ended that is under way.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

MEASURE_EVERY_SECONDS = 60.0
# Below this the way to the database and back explains it.
NOTICED = timedelta(milliseconds=500)

_measured: tuple[float, timedelta] | None = None


def now() -> datetime:
    """Return the time as every host of this installation has it."""
    return timezone.now() + skew()


def skew() -> timedelta:
    """Return how far the database's clock is ahead of this host's; zero when nobody could tell. Asked once a minute."""
    global _measured
    if connection.vendor != "postgresql":
        # A file's clock is this host's.
        return timedelta(0)
    if _measured is None or time.monotonic() - _measured[0] > MEASURE_EVERY_SECONDS:
        _measured = (time.monotonic(), measure())
    return _measured[1]


def measure() -> timedelta:
    """Ask the database what time it is, and return how far it is ahead."""
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
    took = timezone.now() - before
    ahead = theirs - (before + took / 2)
    return ahead if abs(ahead) > max(NOTICED, took) else timedelta(0)
