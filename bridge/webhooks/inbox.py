"""The inbox: webhooks that are stored and not read yet, a bounded part at a time, and what is put back into it.

Received is not processed: an event leaves the inbox once everything in it has an outcome, or with the cause that kept
it. Whatever became of it, staff can put it back: reading the same body twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from bridge import inbox_rounds
from bridge.models import Account, WebhookEvent, WebhookItem


def accounts_with_mail() -> list[int]:
    """Return the accounts that have unread webhooks."""
    return list(_received().order_by("account_id").values_list("account_id", flat=True).distinct())


def take(account: Account, *, besides: Collection[int] = ()) -> list[WebhookEvent]:
    """Return the next unread events, a bounded number of bytes; those before them that always fail are parked.

    besides: ids of events that the caller holds already.
    """
    unread = _received().filter(account=account).exclude(pk__in=besides)
    taken = inbox_rounds.take(
        lambda: inbox_rounds.in_turn(unread, "id", since="received_at", now=timezone.now()),
        count=lambda ids, attempts: WebhookEvent.objects.filter(pk__in=ids).update(attempts=attempts),
        park=_park,
    )
    return list(WebhookEvent.objects.filter(pk__in=taken).order_by("id"))


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
        error=inbox_rounds.PARKED,
    )
