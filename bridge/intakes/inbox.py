"""The inbox of all ways in: calls that are stored and not read yet, a bounded part at a time.

Whatever became of a call, it can be put back: what it tells is known by the ids of its messages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Length

from bridge.models import Intake, IntakeCall, IntakeItem

CALLS_PER_ROUND = 500
BYTES_PER_ROUND = 8 * 1024 * 1024
# A round whose worker died is tried again in parts so much smaller, until the body that kills is alone.
SMALLER = 8
# A call that failed this often is left for a person to look at.
MOST_ATTEMPTS = 5
PARKED = f"parked: {MOST_ATTEMPTS} attempts ended without any outcome"
REFUSALS_ARE_NOTED_EVERY = timedelta(minutes=1)


def has_mail(now: datetime) -> bool:
    return _received(now).exists()


def take(now: datetime) -> list[IntakeCall]:
    """Return the oldest calls that are due, a bounded number of bytes; those before them that always fail are parked.

    Attempts are counted before the work, so that a call that kills its worker is set aside in the end.
    """
    while sizes := _oldest(now):
        attempts = sizes[0][1]
        wanted: list[int] = []
        total = 0
        for pk, tried, size in sizes[: max(1, CALLS_PER_ROUND // SMALLER**attempts)]:
            total += size or 0
            if tried != attempts or (wanted and total > BYTES_PER_ROUND):
                break
            wanted.append(pk)
        rows = IntakeCall.objects.filter(pk__in=wanted)
        if attempts < MOST_ATTEMPTS:
            rows.update(attempts=attempts + 1)
            return list(rows.select_related("intake__pipeline").order_by("id"))
        rows.update(state=IntakeCall.State.FAILED, error=PARKED, processed_at=now)
    return []


def _oldest(now: datetime) -> list[tuple[int, int, int | None]]:
    """Return id, attempts and size of the oldest calls that are due."""
    rows = _received(now).order_by("due_at", "id").annotate(size=Length("body"))
    return list(rows.values_list("pk", "attempts", "size")[:CALLS_PER_ROUND])


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
