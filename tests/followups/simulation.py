"""A worker in miniature for properties: it claims, hands over and records as the real one does, and may die."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction

from followups import claiming, dispatch
from followups.channels import Outcome, Outgoing, Result
from followups.models import Attempt


class Died(Exception):
    """The process ended right after the message had left, before anything could be recorded."""


class Noted:
    """A channel that keeps what it is given and answers as it is told."""

    acts_once = True

    def __init__(self, look: Callable[[Outgoing, datetime], None] = lambda message, now: None) -> None:
        self.given: list[tuple[Outgoing, datetime]] = []
        self.outcome = Outcome.SENT
        self._look = look
        self.complaints: list[AssertionError] = []

    def send(self, message: Outgoing, *, now: datetime) -> Result:
        self.given.append((message, now))
        try:
            self._look(message, now)
        except AssertionError as complaint:
            # Whoever sends takes an exception for a channel's fault and goes on.
            self.complaints.append(complaint)
        return Result(self.outcome, "as told" if self.outcome is not Outcome.SENT else "")


class Worker:
    """Looks at what is due when it is told to."""

    def __init__(self, channel: Noted) -> None:
        self.channel = channel
        self._lives = 0

    def look(self, now: datetime) -> None:
        while (attempts := self.claim(now)) is not None:
            self.send(attempts, now)

    def claim(self, now: datetime) -> list[Attempt] | None:
        holder = f"worker:{self._lives}"
        return claiming.claim_retries(holder, now, acts_once=self.channel.acts_once) or claiming.claim(holder, now)

    def send(self, attempts: list[Attempt], now: datetime, *, dies: bool = False) -> None:
        with ThreadPoolExecutor(1) as pool:
            if not dies:
                dispatch.send(attempts, self.channel, pool, lambda: now)
                return
            # What left is not recorded: all that a killed process leaves behind is the attempt's row.
            with transaction.atomic():
                dispatch.send(attempts, self.channel, pool, lambda: now)
                transaction.set_rollback(True)
        self.die(now)

    def die(self, now: datetime) -> None:
        claiming.free([f"worker:{self._lives}"], now=now)
        self._lives += 1


@contextmanager
def forgotten() -> Iterator[None]:
    """Undo everything that is stored inside, so that each example starts from the shipped rows."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)
