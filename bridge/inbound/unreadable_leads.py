"""Leads of Kommo's that could not be taken in: told to staff, and read again with growing waits until they can be.

Nobody changes such a lead only because we could not read it, so no poll would ever come by it again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.db.models import QuerySet

from bridge.cards import backoff
from bridge.models import Account, UnreadLead

FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=1)
MOST_TRIES = 1_000_000


def note(account: Account, errors: Mapping[int, str], *, now: datetime) -> None:
    """Keep what was wrong with each lead, by Kommo's id."""
    if not errors:
        return
    known = {row.kommo_lead_id: row for row in _rows(account, errors)}
    new = [
        UnreadLead(account=account, kommo_lead_id=kommo_id, error=error[:500], since=now, next_at=now + FIRST_WAIT)
        for kommo_id, error in errors.items()
        if kommo_id not in known
    ]
    if new:
        UnreadLead.objects.bulk_create(new, ignore_conflicts=True)
    for row in known.values():
        row.error, row.tries = errors[row.kommo_lead_id][:500], min(row.tries + 1, MOST_TRIES)
        row.next_at = now + backoff.doubled(FIRST_WAIT, row.tries - 1, cap=LONGEST_WAIT)
    UnreadLead.objects.bulk_update(known.values(), ["error", "tries", "next_at"])


def over(account: Account, kommo_ids: Collection[int]) -> None:
    """Note that nothing is wrong with these leads, or that they are not there any more."""
    if kommo_ids:
        _rows(account, kommo_ids).delete()


def noted(account: Account, kommo_ids: Collection[int]) -> set[int]:
    """Return those of the leads that wait to be read again."""
    return set(_rows(account, kommo_ids).values_list("kommo_lead_id", flat=True)) if kommo_ids else set()


def due(account: Account, *, now: datetime, most: int) -> list[int]:
    """Return the ids of leads that are to be read again now, at most so many."""
    rows = UnreadLead.objects.filter(account=account, next_at__lte=now).order_by("next_at")
    return list(rows.values_list("kommo_lead_id", flat=True)[:most])


def hurry(account: Account, error: str, *, now: datetime) -> None:
    """Let the leads that waited for one thing be read again with the next poll: it is there."""
    UnreadLead.objects.filter(account=account, error=error, next_at__gt=now).update(next_at=now)


def to_tell() -> QuerySet[UnreadLead]:
    """Return what staff have to know, the longest unread first."""
    return UnreadLead.objects.exclude(account__state=Account.State.PAUSED).order_by("since", "pk")


def _rows(account: Account, kommo_ids: Collection[int]) -> QuerySet[UnreadLead]:
    return UnreadLead.objects.filter(account=account, kommo_lead_id__in=list(kommo_ids))
