"""The account's ceiling, kept by all processes and hosts together in one table.

The rule is bridge/kommo/throttle.py's: N slots, and a slot is free again when the next call that uses it arrives for
sure a second later. Times are the database's own, so that hosts whose clocks differ still share one second. A call has
its slot until its answer is there, so the slots in use are the calls under way: no more than so many of an account.

How far Kommo is away each process measures for itself, keeps from one drain to the next, and tells the others of its
machine: drains come to now one process, now another, and none need begin with what holds while nothing is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import models, transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from bridge import heartbeat, process_identity
from bridge.accounts import database_clock
from bridge.errors import KommoHeldError
from bridge.kommo.arrival_times import Distance, Trip
from bridge.kommo.throttle import Lane, Permit
from bridge.models import Account, CallSlot
from common.statements import Select, Update

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
# What a machine knows of its way to Kommo is taken for true so long: it may stand elsewhere tomorrow.
KNOWN_FOR = timedelta(hours=1)
# As bridge/kommo/client.py calls them.
LEAD_WRITES = ("create leads", "update leads")


# By account and address: what this process knows of the way there.
_distances: dict[tuple[int, str], Distance] = {}


def _distance_of(account: Account) -> Distance:
    """Return what this process knows of the way to an account, and what others of its machine have told of it."""
    distance = _distances.setdefault((account.pk, account.base_url), Distance())
    known = account.distances.get(process_identity.machine())
    if known and known["address"] == account.base_url and _is_young(known):
        distance.learn(known["kinds"])
    return distance


def tell_distance(account: Account) -> None:
    """Tell the other processes of this machine how far the account is, once there is news. For who holds its lease."""
    if kinds := _distance_of(account).news():
        account.refresh_from_db(fields=["distances"])
        known = {machine: distance for machine, distance in account.distances.items() if _is_young(distance)}
        known[process_identity.machine()] = {"address": account.base_url, "at": time.time(), "kinds": kinds}
        Account.objects.filter(pk=account.pk).update(distances=known)


def usual_seconds(account: Account) -> float:
    """Return how long a write of leads usually took in the last hour, from wherever it took longest; 0: not known."""
    known_kinds = [distance["kinds"] for distance in account.distances.values() if _is_young(distance)]
    return max((kinds[kind][2] for kinds in known_kinds for kind in LEAD_WRITES if kind in kinds), default=0.0)


def _is_young(distance: dict[str, Any]) -> bool:
    return bool(time.time() - distance["at"] < KNOWN_FOR.total_seconds())


@dataclass(frozen=True)
class Slot:
    """A slot as it stands: in how many seconds it is free by itself, and which account's call has it, if any does."""

    pk: int
    free_in: float
    user: str

    @property
    def is_free(self) -> bool:
        return self.free_in <= 0

    @property
    def is_in_use(self) -> bool:
        return bool(self.user) and not self.is_free


class DatabasePace:
    """A `Pace` (see bridge/kommo/throttle.py) over the table of call slots.

    `heeds_pause`: no call leaves while the account is paused. People's own commands do not heed it.
    """

    rest: Callable[[float], object]

    def __init__(self, account: Account, *, heeds_pause: bool = False) -> None:
        self._account_id = account.pk
        # Whose rows the slots are: the account's own, or one account's for all.
        self._ceiling_id = _shared_ceiling() or account.pk
        self._slots = account.requests_per_second
        self._at_once = settings.KOMMO_CALLS_AT_ONCE
        self._heeds_pause = heeds_pause
        self._distance = _distance_of(account)
        self.rest = time.sleep

    def acquire(self, lane: Lane = Lane.LIVE, *, ahead: float = 0.0) -> Permit:
        """Wait for a slot and take it, for at most as long as a call under way can take.

        With `ahead`, it is taken up to so many seconds before it is free; the call leaves when it is.
        Raises KommoHeldError when the wait is of another kind: Kommo asked for it, or a person paused the account.
        """
        waiting_since = time.monotonic()
        while not (permit := self._take(lane, ahead)):
            heartbeat.progress()
            self._refuse_while_held()
            self.rest(min(max(self._pause() - ahead, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))
            if time.monotonic() - waiting_since > BULK_WAITS_SECONDS:
                # Live calls that never end must not keep comparisons and names from ever being sent.
                lane = Lane.LIVE
        return permit

    def wait(self, lane: Lane = Lane.LIVE, *, ahead: float = 0.0) -> None:
        """Wait until a slot is free, or will be within `ahead` seconds, without taking it.

        Returns at once while calls are held back.
        """
        while (slots := self._look()) and not self._free(slots):
            heartbeat.progress()
            pause = self._pause(slots)
            if pause <= ahead or (pause > HELD_SECONDS and self._held_for(slots)):
                return
            self.rest(min(pause - ahead, LONGEST_PAUSE_SECONDS))

    def has_slot(self, *, ahead: float = 0.0) -> bool:
        """Say whether a slot is free, or will be within `ahead` seconds."""
        return self._free(self._look(), ahead) is not None

    def release(self, permit: Permit, trip: Trip | None = None) -> None:
        """Give the slot back: it is free when its next call arrives for sure a second after this one did.

        A call without an answer may arrive until now.
        """
        if trip:
            self._distance.note(trip)
        free_in = timedelta(seconds=self._distance.frees_in(trip)) if trip else WINDOW
        mine = CallSlot.objects.filter(account_id=self._ceiling_id, permit=permit.id)
        mine.update(free_at=_from_now(free_in), permit="")
        # An answer came, whoever asked: the cluster of this process is at work.
        heartbeat.progress()

    def refused(self) -> None:
        """Let calls keep a wider distance for a while: Kommo has counted too many."""
        self._distance.refused()

    def hold_all(self, until: datetime) -> None:
        """Keep every call of the account back until then, in all processes: Kommo asked for a pause."""
        self._ensure_slots()
        until += database_clock.skew()
        with transaction.atomic():
            self._look(locked=True)
            CallSlot.objects.filter(account_id=self._ceiling_id, free_at__lt=until).update(free_at=until, permit="")
        resting = Account.objects.filter(pk=self._account_id).filter(Q(retry_at=None) | Q(retry_at__lt=until))
        resting.update(retry_at=until)

    def _take(self, lane: Lane, ahead: float = 0.0) -> Permit | None:
        # Looked at first: whoever waits locks nobody out.
        if self._free(self._look(), ahead) and self._may_leave(lane):
            with transaction.atomic():
                # Locked: of two that saw it free, one takes it, and neither is one call too many under way.
                if slot := self._free(self._look(locked=True), ahead):
                    # Counted from now, which is after the database looked at its clock: rather late than early.
                    leaves_at = time.monotonic() + max(0.0, slot.free_in)
                    permit = Permit(f"{self._account_id}:{uuid4().hex[:20]}", leaves_at)
                    TAKE.run(slot_id=slot.pk, permit=permit.id)
                    return permit
        self._ensure_slots()
        if lane is Lane.LIVE:
            Account.objects.filter(pk=self._account_id).filter(
                Q(live_waits_until=None) | Q(live_waits_until__lte=Now())
            ).update(live_waits_until=_from_now(LIVE_FIRST))
        return None

    def _may_leave(self, lane: Lane) -> bool:
        statement = _may_leave(heeds_pause=self._heeds_pause, is_bulk=lane is Lane.BULK)
        return bool(statement.all(account_id=self._account_id))

    def _look(self, *, locked: bool = False) -> list[Slot]:
        """Return the slots as they are by the database's clock; none before the first call."""
        found = _slots_as_they_are(self._slots, locked=locked).all(account_id=self._ceiling_id)
        return [Slot(pk, wait.total_seconds(), permit.partition(":")[0]) for pk, wait, permit in found]

    def _free(self, slots: list[Slot], ahead: float = 0.0) -> Slot | None:
        """Return the slot that has been free longest, or will be first within `ahead` seconds.

        None while there is none, or enough calls of ours are under way.
        """
        free = [slot for slot in slots if slot.free_in <= ahead and not slot.is_in_use]
        return min(free, key=lambda slot: slot.free_in, default=None) if self._has_place(slots) else None

    def _has_place(self, slots: list[Slot]) -> bool:
        ours = sum(slot.is_in_use and slot.user == str(self._account_id) for slot in slots)
        return ours < self._at_once

    def _pause(self, slots: list[Slot] | None = None) -> float:
        """Return the seconds until a slot may be free: a hint of when to look again."""
        slots = self._look() if slots is None else slots
        if not self._has_place(slots):
            return LONGEST_PAUSE_SECONDS
        return max(min((slot.free_in for slot in slots), default=0.0), SHORTEST_PAUSE_SECONDS)

    def _held_for(self, slots: list[Slot] | None = None) -> timedelta | None:
        """Return how long all calls are held back; None while slots are merely in use.

        A slot in use has a permit, one that was given back is free within seconds; only a hold is neither.
        """
        slots = self._look() if slots is None else slots
        soonest = min((slot.free_in for slot in slots), default=0.0)
        if soonest <= HELD_SECONDS or any(slot.user for slot in slots):
            return None
        return timedelta(seconds=soonest)

    def _refuse_while_held(self) -> None:
        account = Account.objects.filter(pk=self._account_id, state=Account.State.PAUSED)
        if self._heeds_pause and (reason := account.values_list("state_reason", flat=True).first()) is not None:
            raise KommoHeldError(f"the account is paused: {reason}", operation="take a slot")
        if wait := self._held_for():
            refusal = f"Kommo asked to wait another {wait.total_seconds():.0f} s"
            raise KommoHeldError(refusal, operation="take a slot", retry_after=wait)

    def _ensure_slots(self) -> None:
        if CallSlot.objects.filter(account_id=self._ceiling_id).count() >= self._slots:
            return
        with transaction.atomic():
            CallSlot.objects.bulk_create(
                (CallSlot(account_id=self._ceiling_id, number=number, free_at=Now()) for number in range(self._slots)),
                ignore_conflicts=True,
            )


# Every call of every process makes these. How many slots there are is part of the statement.
@cache
def _slots_as_they_are(slots: int, *, locked: bool) -> Select:
    def build(account_id: int) -> models.QuerySet[Any, Any]:
        rows = CallSlot.objects.filter(account_id=account_id, number__lt=slots).order_by("number")
        rows = rows.select_for_update() if locked else rows
        waits = rows.annotate(wait=ExpressionWrapper(F("free_at") - Now(), output_field=DurationField()))
        return waits.values_list("pk", "wait", "permit")

    return Select(build)


@cache
def _may_leave(*, heeds_pause: bool, is_bulk: bool) -> Select:
    def build(account_id: int) -> models.QuerySet[Any, Any]:
        rows = Account.objects.filter(pk=account_id)
        if heeds_pause:
            rows = rows.exclude(state=Account.State.PAUSED)
        if is_bulk:
            rows = rows.exclude(live_waits_until__gt=Now())
        return rows.values_list("pk")

    return Select(build)


TAKE = Update(
    lambda slot_id, permit: (
        CallSlot.objects.filter(pk=slot_id),
        {"free_at": _from_now(LONGEST_CALL), "permit": permit},
    ),
    returning=("id",),
)


def _shared_ceiling() -> int | None:
    """Return the account whose slots all accounts use; None while each has its own."""
    if not settings.KOMMO_SHARED_CEILING:
        return None
    return Account.objects.order_by("pk").values_list("pk", flat=True).first()


def _from_now(span: timedelta) -> Combinable:
    return ExpressionWrapper(Now() + span, output_field=DateTimeField())
