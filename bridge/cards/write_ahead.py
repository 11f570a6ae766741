"""What is about to be sent is stored first: from then on it may have happened without our hearing of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from bridge.cards.batch_entry import Entry
from bridge.cards.ledger import Call, delivery_of, locked, settle_each
from bridge.cards.ownership import said_before_write
from bridge.cards.plan import Operation, combine_doubts
from bridge.models import Card, Delivery
from common.reasons import Reason
from common.statements import update
from leads.rulebook import rulebook

# From the moment a write leaves until it surely is over, heard of or not: connecting, reading, and a margin.
LONGEST_WRITE = timedelta(seconds=30)
# Kommo may go on with a write after we stopped listening, or after a gateway's 504; this long after it, it has ended.
LINGERS_FOR = timedelta(seconds=10)

DECLARED_COLUMNS = (
    "state",
    "due_at",
    "waiting_reason",
    "in_doubt",
    "said_tags",
    "tries_without_outcome",
    "create_intent_at",
    "write_settles_at",
)


def declare(entries: Sequence[Entry], *, now: datetime) -> list[Entry]:
    """Write down what is about to be sent, before it is: from here on it may have happened without our knowing.

    Returns what may leave. A plan that was overtaken, because its lead or its card has moved on since it was made, is
    dropped with that reason; the card stays due and is planned afresh. An update waits while an earlier write may still
    be under way: that one could arrive after it, and would pass for a person's edit.
    """
    with transaction.atomic():
        cards = locked(entries)
        fresh = [entry for entry in entries if entry.card.pk in cards and _is_current(cards[entry.card.pk], entry)]
        leaving: list[Entry] = []
        for entry in fresh:
            card = cards[entry.card.pk]
            if _may_be_overtaken(card, entry, now):
                _put_off(card)
                continue
            leaving.append(entry)
            card.in_doubt = combine_doubts(card.in_doubt, entry.plan.effect)
            card.said_tags = said_before_write(card, entry.plan.effect, rulebook(entry.card.lead.pipeline).tag_rules)
            card.tries_without_outcome += 1
            card.write_settles_at = now + LONGEST_WRITE
            if entry.plan.operation is Operation.CREATE:
                card.create_intent_at = now
        update([cards[entry.card.pk] for entry in fresh], DECLARED_COLUMNS)
    current = {entry.card.pk for entry in fresh}
    overtaken = [entry for entry in entries if entry.card.pk not in current]
    settle_each(overtaken, lambda card, entry: _dropped(card, entry, now), now)
    return leaving


def was_declared_after(card: Card, moment: datetime) -> bool:
    """Say whether the write that is under way to a card was declared after a moment.

    A reading asked for before that may show an earlier write that nobody had heard of, and what was in doubt of that
    one stands on the card no more.
    """
    return card.write_settles_at is not None and card.write_settles_at - LONGEST_WRITE > moment


def cut_off(account_id: int, *, now: datetime) -> int:
    """Shorten the wait for writes whose sender has died: its connections died with it. Returns how many."""
    under_way = Card.objects.filter(account_id=account_id, write_settles_at__gt=now + LINGERS_FOR)
    return under_way.update(write_settles_at=now + LINGERS_FOR)


def _may_be_overtaken(card: Card, entry: Entry, now: datetime) -> bool:
    # A create was looked up first, under a rule of its own (bridge/delivery/create_guard.py).
    is_under_way = card.write_settles_at is not None and card.write_settles_at > now
    return entry.plan.operation is Operation.UPDATE and is_under_way


def _put_off(card: Card) -> None:
    card.state, card.due_at = Card.State.RETRYING, card.write_settles_at
    card.waiting_reason = Reason("earlier_change_may_arrive")


def _is_current(card: Card, entry: Entry) -> bool:
    """Say whether a plan still fits: neither the lead nor what Kommo is known to hold has changed since."""
    before = entry.card
    return card.wanted_version == entry.version and all(
        getattr(card, name) == getattr(before, name)
        for name in ("state", "kommo_lead_id", "observed", "in_doubt", "stages_to_visit")
    )


def _dropped(card: Card, entry: Entry, now: datetime) -> Delivery:
    delivery = delivery_of(card, entry, Delivery.Outcome.DROPPED, Call(), now)
    delivery.error = Reason("moved_on_since")
    return delivery
