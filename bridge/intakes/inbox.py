"""The inbox of all ways in: calls that are stored and not read yet, a bounded part at a time.

Whatever became of a call, it can be put back: what it tells is known by the ids of its messages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from bridge import inbox_rounds
from bridge.models import Intake, IntakeCall, IntakeItem

REFUSALS_ARE_NOTED_EVERY = timedelta(minutes=1)


def has_mail(now: datetime) -> bool:
    return _received(now).exists()


def take(now: datetime) -> list[IntakeCall]:
    """Return the next calls that are due, a bounded number of bytes; those that always fail are parked before."""
    taken = inbox_rounds.take(
        lambda: inbox_rounds.in_turn(_received(now), "due_at", "id", since="due_at", now=now),
        count=lambda ids, attempts: IntakeCall.objects.filter(pk__in=ids).update(attempts=attempts),
        park=lambda ids: IntakeCall.objects.filter(pk__in=ids).update(
            state=IntakeCall.State.FAILED, error=inbox_rounds.PARKED, processed_at=now
        ),
    )
    return list(IntakeCall.objects.filter(pk__in=taken).select_related("intake__pipeline").order_by("id"))


def wait(calls: Collection[IntakeCall], why: str, *, until: datetime) -> None:
    """Leave calls in the inbox until then, because what they are about may still come; that counts as no attempt."""
    ids = [call.pk for call in calls]
    IntakeCall.objects.filter(pk__in=ids).update(error=why[:1000], due_at=until, attempts=0)


@transaction.atomic
def reprocess(calls: Iterable[IntakeCall], *, now: datetime) -> int:
    """Put stored calls back into the inbox, whatever became of them; return how many."""
    ids = [call.pk for call in calls]
    IntakeItem.objects.filter(call_id__in=ids).delete()
    rows = IntakeCall.objects.filter(pk__in=ids).exclude(body=b"")
    return rows.update(state=IntakeCall.State.RECEIVED, attempts=0, error="", processed_at=None, due_at=now)


def note_refused(intake_id: int, *, now: datetime) -> None:
    """Note that a call was turned away; not more often than anybody would look, whoever hammers at the door."""
    stale = Q(refused_at=None) | Q(refused_at__lt=now - REFUSALS_ARE_NOTED_EVERY)
    Intake.objects.filter(stale, pk=intake_id).update(refused_at=now)


def _received(now: datetime) -> QuerySet[IntakeCall]:
    return IntakeCall.objects.filter(state=IntakeCall.State.RECEIVED, due_at__lte=now)
