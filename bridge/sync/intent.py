"""What is about to be sent is stored first: from then on it may have happened without our hearing of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from bridge.models import Card, Delivery
from bridge.sync.entry import Entry
from bridge.sync.ledger import Call, delivery_of, locked, settle_each, store
from bridge.sync.plan import Operation, combine_doubts

# From the moment a create leaves until it surely is over, heard of or not: connecting, reading, and a margin.
LONGEST_CREATE = timedelta(seconds=30)


def declare(entries: Sequence[Entry], *, now: datetime) -> list[Entry]:
    """Write down what is about to be sent, before it is: from here on it may have happened without our knowing.

    Returns what may leave. A plan that was overtaken, because its lead or its card has moved on since it was made, is
    dropped with that reason; the card stays due and is planned afresh.
    """
    with transaction.atomic():
        cards = locked(entries)
        fresh = [entry for entry in entries if entry.card.pk in cards and _is_current(cards[entry.card.pk], entry)]
        for entry in fresh:
            card = cards[entry.card.pk]
            card.in_doubt = combine_doubts(card.in_doubt, entry.plan.effect)
            card.tries_without_outcome += 1
            if entry.plan.operation is Operation.CREATE:
                card.create_intent_at, card.create_settles_at = now, now + LONGEST_CREATE
        columns = ["in_doubt", "tries_without_outcome", "create_intent_at", "create_settles_at"]
        store([cards[entry.card.pk] for entry in fresh], columns)
    overtaken = [entry for entry in entries if entry not in fresh]
    settle_each(overtaken, lambda card, entry: _dropped(card, entry, now), now)
    return fresh


def _is_current(card: Card, entry: Entry) -> bool:
    """Say whether a plan still fits: neither the lead nor what Kommo is known to hold has changed since."""
    before = entry.card
    return card.wanted_version == entry.version and all(
        getattr(card, name) == getattr(before, name)
        for name in ("state", "kommo_lead_id", "observed", "in_doubt", "stages_to_visit")
    )


def _dropped(card: Card, entry: Entry, now: datetime) -> Delivery:
    delivery = delivery_of(card, entry, Delivery.Outcome.DROPPED, Call(), now)
    delivery.error = "not sent: the lead or its card had moved on since this was computed"
    return delivery
