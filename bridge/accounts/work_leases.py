"""Doing a kind of work alone, over all processes and hosts: reading an account's inbox, comparing it with Kommo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db.models import Q

from bridge import process_identity
from bridge.accounts import database_clock
from bridge.models import WorkLease


@contextmanager
def alone(name: str, *, now: datetime, longest: timedelta) -> Iterator[bool]:
    """Yield True to the one process that may do the work called `name`, for at most `longest`."""
    holder, now = process_identity.signature(), now + database_clock.skew()
    WorkLease.objects.bulk_create([WorkLease(name=name)], ignore_conflicts=True)
    free = WorkLease.objects.filter(name=name).filter(Q(until=None) | Q(until__lt=now))
    taken = bool(free.update(holder=holder, until=now + longest))
    try:
        yield taken
    finally:
        if taken:
            WorkLease.objects.filter(name=name, holder=holder).update(holder="", until=None)
