"""The account's ceiling, kept by all processes and hosts together in one table.

The rule is bridge/kommo/throttle.py's: N slots, and a slot is free again one second after the answer to its call came
back. Times are the database's own, so that hosts whose clocks differ still share one second.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

from django.db import models, transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from bridge import heartbeat
from bridge.errors import KommoHeldError
from bridge.kommo.throttle import Lane, Permit
from bridge.models import Account, CallSlot
from bridge.sync import clock
from leads.statements import Select, Update

WINDOW = timedelta(seconds=1)
# After this a call's process is taken for dead: connecting and reading time out before.
LONGEST_CALL = timedelta(seconds=27)
SHORTEST_PAUSE_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 0.25
# How long bulk work stands back after a live call found every slot taken.
LIVE_FIRST = timedelta(seconds=1)
# After this, bulk work waits its turn like everybody.
BULK_WAITS_SECONDS = 10.0
# A slot that nobody uses and that is not free for longer than this is held back.
HELD_SECONDS = 2.0


class DatabasePace:
    """A `Pace` (see bridge/kommo/throttle.py) over the table of call slots.

    `heeds_pause`: no call leaves while the account is paused. People's own commands do not heed it.
    """

    def __init__(self, account: Account, *, heeds_pause: bool = False) -> None:
        self._account_id = account.pk
        self._slots = account.requests_per_second
        self._heeds_pause = heeds_pause

    def acquire(self, lane: Lane = Lane.LIVE) -> Permit:
        """Wait for a slot and take it, for at most as long as a call under way can take.

        Raises KommoHeldError when the wait is of another kind: Kommo asked for it, or a person paused the account.
        """
        waiting_since = time.monotonic()
        while not (permit := self._take(lane)):
            heartbeat.progress()
            self._refuse_while_held()
            time.sleep(min(self._pause(), LONGEST_PAUSE_SECONDS))
            if time.monotonic() - waiting_since > BULK_WAITS_SECONDS:
                # Live calls that never end must not keep comparisons and names from ever being sent.
                lane = Lane.LIVE
        return permit

    def wait(self, lane: Lane = Lane.LIVE, *, ahead: float = 0.0) -> None:
        """Wait until a slot is free, or will be within `ahead` seconds, without taking it.

        Returns at once while calls are held back.
        """
        while not self._is_free():
            heartbeat.progress()
            pause = self._pause()
            if pause <= ahead or (pause > HELD_SECONDS and self._held_for()):
                return
            time.sleep(min(pause - ahead, LONGEST_PAUSE_SECONDS))

    def release(self, permit: Permit) -> None:
        """Give the slot back: it is free one second from now, when Kommo's own second has passed for sure."""
        GIVE_BACK.run(account_id=self._account_id, permit=permit.id)
        # An answer came, whoever asked: the cluster of this process is at work.
        heartbeat.progress()

    def hold_all(self, until: datetime) -> None:
        """Keep every call of the account back until then, in all processes: Kommo asked for a pause."""
        self._ensure_slots()
        until += clock.skew()
        CallSlot.objects.filter(account_id=self._account_id, free_at__lt=until).update(free_at=until, permit="")
        resting = Account.objects.filter(pk=self._account_id).filter(Q(retry_at=None) | Q(retry_at__lt=until))
        resting.update(retry_at=until)

    def _take(self, lane: Lane) -> Permit | None:
        permit = uuid4().hex
        wanted = _wanted(self._slots, heeds_pause=self._heeds_pause, is_bulk=lane is Lane.BULK)
        for (slot_id,) in wanted.all(account_id=self._account_id):
            # Compare-and-set on one row: of two that saw it free, one gets it and the other tries the next.
            if TAKE.run(slot_id=slot_id, permit=permit):
                return Permit(permit)
        self._ensure_slots()
        if lane is Lane.LIVE:
            Account.objects.filter(pk=self._account_id).filter(
                Q(live_waits_until=None) | Q(live_waits_until__lte=Now())
            ).update(live_waits_until=_from_now(LIVE_FIRST))
        return None

    def _is_free(self) -> bool:
        there = _there(self._slots).all(account_id=self._account_id)
        return not there or bool(_free(self._slots).all(account_id=self._account_id))

    def _pause(self) -> float:
        """Return the seconds until a slot may be free: a hint of when to look again."""
        waits = [wait for wait, _ in self._waits()]
        return max(min(waits, default=0.0), SHORTEST_PAUSE_SECONDS)

    def _held_for(self) -> timedelta | None:
        """Return how long all calls are held back; None while slots are merely in use.

        A slot in use has a permit, one that was given back is free within a second; only a hold is neither.
        """
        waits = self._waits()
        soonest = min((wait for wait, _ in waits), default=0.0)
        if soonest <= HELD_SECONDS or any(in_use for _, in_use in waits):
            return None
        return timedelta(seconds=soonest)

    def _waits(self) -> list[tuple[float, bool]]:
        """Return for each slot the seconds until it is free, by the database's clock, and whether a call has it."""
        slots = CallSlot.objects.filter(account_id=self._account_id, number__lt=self._slots)
        rows = slots.annotate(wait=ExpressionWrapper(F("free_at") - Now(), output_field=DurationField()))
        return [(wait.total_seconds(), bool(permit)) for wait, permit in rows.values_list("wait", "permit")]

    def _refuse_while_held(self) -> None:
        account = Account.objects.filter(pk=self._account_id, state=Account.State.PAUSED)
        if self._heeds_pause and (reason := account.values_list("state_reason", flat=True).first()) is not None:
            raise KommoHeldError(f"the account is paused: {reason}", operation="take a slot")
        if held := self._held_for():
            said = f"Kommo asked to wait another {held.total_seconds():.0f} s"
            raise KommoHeldError(said, operation="take a slot", retry_after=held)

    def _ensure_slots(self) -> None:
        if CallSlot.objects.filter(account_id=self._account_id).count() >= self._slots:
            return
        with transaction.atomic():
            CallSlot.objects.bulk_create(
                (CallSlot(account_id=self._account_id, number=number, free_at=Now()) for number in range(self._slots)),
                ignore_conflicts=True,
            )


def _slots(account_id: int, slots: int) -> models.QuerySet[CallSlot]:
    return CallSlot.objects.filter(account_id=account_id, number__lt=slots)


# Every call of every process makes these. How many slots there are is part of the statement.
@cache
def _there(slots: int) -> Select:
    return Select(lambda account_id: _slots(account_id, slots).values_list("id")[:1])


@cache
def _free(slots: int) -> Select:
    return Select(lambda account_id: _slots(account_id, slots).filter(free_at__lte=Now()).values_list("id")[:1])


TAKE = Update(
    lambda slot_id, permit: (
        CallSlot.objects.filter(pk=slot_id, free_at__lte=Now()),
        {"free_at": _from_now(LONGEST_CALL), "permit": permit},
    ),
    returning=("id",),
)
GIVE_BACK = Update(
    lambda account_id, permit: (
        CallSlot.objects.filter(account_id=account_id, permit=permit),
        {"free_at": _from_now(WINDOW), "permit": ""},
    ),
    returning=("id",),
)


@cache
def _wanted(slots: int, *, heeds_pause: bool, is_bulk: bool) -> Select:
    """Return what asks for the slots that are free to whoever asks, the one that was given back first first."""

    def build(account_id: int) -> models.QuerySet[Any, Any]:
        rows = _slots(account_id, slots).filter(free_at__lte=Now())
        if heeds_pause:
            rows = rows.exclude(account__state=Account.State.PAUSED)
        if is_bulk:
            rows = rows.exclude(account__live_waits_until__gt=Now())
        return rows.order_by("free_at", "number").values_list("id")[:slots]

    return Select(build)


def _from_now(span: timedelta) -> Combinable:
    return ExpressionWrapper(Now() + span, output_field=DateTimeField())
