"""Cards whose lead Kommo does not show any more: followed when it was merged, else gone, and what staff decide then.

Nothing is written to a card that is gone. It comes back by itself when the lead is restored in Kommo; staff may have it
made anew, or close it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from bridge.kommo.client import KommoClient
from bridge.models import Account, Card
from bridge.sync import merges, nudge, outbox
from followups import enrollment
from leads.models import Event, Lead

GONE = (Card.State.GONE, Card.State.CLOSED)


@dataclass
class Settled:
    """Ids of the cards that live on in another lead, and of those that are gone from now on."""

    followed: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)


def settle(account: Account, client: KommoClient, cards: Sequence[Card], *, reason: str, now: datetime) -> Settled:
    """Say what became of cards whose lead is not there any more; those gone before are left alone. Raises KommoError.

    The cards' leads are loaded.
    """
    lost = [card for card in cards if card.state not in GONE]
    if not lost:
        return Settled()
    followed = merges.follow(account, client, lost, now=now)
    rest = [card for card in lost if card.pk not in followed]
    hints = merges.hints(account, client, rest)
    return Settled(followed, {card.pk for card in rest if _mark_gone(card, reason + hints.get(card.pk, ""), now)})


def mark_gone(cards: Iterable[Card], *, reason: str, now: datetime) -> set[int]:
    """Stop writing to cards whose lead is not there, without asking where it went; return those not gone before."""
    return {card.pk for card in cards if _mark_gone(card, reason, now)}


def recreate(cards: Iterable[Card], *, who: str, now: datetime) -> int:
    """Have a new lead made in Kommo for cards that are gone or closed: staff's decision; return how many."""
    return _decided(cards, f"{who} had the card made anew", now, create=True)


def close(cards: Iterable[Card], *, who: str, now: datetime) -> int:
    """Let cards go for good, whatever their leads become: staff's decision; return how many."""
    return _decided(cards, f"closed by {who}", now, create=False)


@transaction.atomic
def _decided(cards: Iterable[Card], reason: str, now: datetime, *, create: bool) -> int:
    count = 0
    for card in cards:
        row = Card.objects.filter(pk=card.pk)
        standing = row.exclude(state=Card.State.CLOSED)
        if outbox.recreate(row, now=now) if create else outbox.close(standing, reason=reason):
            count += 1
            _tell(card, reason, now)
            if create:
                nudge.send_on_commit(card.account_id)
    return count


@transaction.atomic
def _mark_gone(card: Card, reason: str, now: datetime) -> bool:
    standing = Card.objects.filter(pk=card.pk, kommo_lead_id=card.kommo_lead_id).exclude(state__in=GONE)
    if not standing.update(state=Card.State.GONE, due_at=None, pending_since=None, waiting_reason=reason[:500]):
        return False
    enrollment.stop(card.lead, reason, now=now)
    _tell(card, reason, now)
    return True


def _tell(card: Card, reason: str, now: datetime) -> None:
    Event.objects.create(
        lead_id=card.lead_id, at=now, kind=Event.Kind.CARD, actor=Lead.Actor.STAFF, reason=reason[:500]
    )
