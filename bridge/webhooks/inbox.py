"""The inbox: webhooks that are stored and not read yet, a bounded part at a time, and what is put back into it.

Received is not processed: an event leaves the inbox once everything in it has an outcome, or with the cause that kept
it. Whatever became of it, staff can put it back: reading the same body twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Length

from bridge.models import Account, WebhookEvent, WebhookItem

EVENTS_PER_ROUND = 500
BYTES_PER_ROUND = 8 * 1024 * 1024
# A round whose worker died is tried again in parts so much smaller, until the body that kills is alone.
SMALLER = 8
# An event that failed this often is left for a person to look at.
MOST_ATTEMPTS = 5


def accounts_with_mail() -> list[int]:
    """Return the accounts that have unread webhooks."""
    return list(_received().order_by("account_id").values_list("account_id", flat=True).distinct())


def take(account: Account, *, besides: Collection[int] = ()) -> list[WebhookEvent]:
    """Return the oldest unread events, a bounded number of bytes; those before them that always fail are parked.

    besides: ids of events that the caller holds already. Attempts are counted before the work, so that an event that
    kills its worker is set aside in the end.
    """
    while sizes := _oldest(account, besides):
        attempts = sizes[0][1]
        wanted: list[int] = []
        total = 0
        for pk, tried, size in sizes[: max(1, EVENTS_PER_ROUND // SMALLER**attempts)]:
            total += size or 0
            if tried != attempts or (wanted and total > BYTES_PER_ROUND):
                break
            wanted.append(pk)
        if attempts < MOST_ATTEMPTS:
            WebhookEvent.objects.filter(pk__in=wanted).update(attempts=attempts + 1)
            return list(WebhookEvent.objects.filter(pk__in=wanted).order_by("id"))
        _park(wanted)
    return []


def _oldest(account: Account, besides: Collection[int]) -> list[tuple[int, int, int | None]]:
    """Return id, attempts and size of the oldest unread events."""
    rows = _received().filter(account=account).exclude(pk__in=besides).order_by("id").annotate(size=Length("body"))
    return list(rows.values_list("pk", "attempts", "size")[:EVENTS_PER_ROUND])


def put_back(events: Iterable[WebhookEvent], *, why: str) -> None:
    """Leave events in the inbox because Kommo could not be asked: that is nobody's fault and counts as no attempt."""
    WebhookEvent.objects.filter(pk__in=[event.pk for event in events]).update(error=why[:1000], attempts=0)


@transaction.atomic
def reprocess(events: Iterable[WebhookEvent]) -> int:
    """Put stored events back into the inbox, whatever became of them; return how many."""
    ids = [event.pk for event in events]
    WebhookItem.objects.filter(event_id__in=ids).delete()
    back = WebhookEvent.objects.filter(pk__in=ids)
    return back.update(state=WebhookEvent.State.RECEIVED, attempts=0, cause="", error="", processed_at=None)


def _received() -> QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(state=WebhookEvent.State.RECEIVED)


def _park(ids: list[int]) -> None:
    WebhookEvent.objects.filter(pk__in=ids).update(
        state=WebhookEvent.State.FAILED,
        cause=WebhookEvent.Cause.PARKED,
        error=f"parked: {MOST_ATTEMPTS} attempts ended without any outcome",
    )
