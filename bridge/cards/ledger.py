"""The ledger: cards, deliveries and events of an outcome are written together, under the cards' locks.

Whoever settles works on rows that were read afresh: while a call was under way the lead may have changed again, and
somebody may have let go of the card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models import JSONField

from bridge import metrics
from bridge.cards.batch_entry import Entry
from bridge.models import Card, Delivery
from common.statements import Select, insert, update
from leads.models import Event, Lead

log = structlog.get_logger(__name__)

# Nothing is written to these any more, whatever a call that was under way brings.
AWAY = (Card.State.GONE, Card.State.CLOSED)

SETTLED_COLUMNS = (
    "kommo_lead_id",
    "kommo_contact_id",
    "state",
    "due_at",
    "pending_since",
    "waiting_reason",
    "attempts",
    "tries_without_outcome",
    "last_error",
    "refused_plan",
    "observed",
    "observed_at",
    "observed_contact",
    "agreed",
    "in_doubt",
    "unread",
    "kept_forms",
    "refused_parts",
    "ownership",
    "said_tags",
    "create_intent_at",
    "write_settles_at",
    "stages_to_visit",
    "contact_due_at",
    "synced_at",
    "loss_reason_after_move",
    "shadow_plan",
)


@dataclass(frozen=True)
class Call:
    """What is known of the call itself: HTTP status, X-Request-Id, and how long it took in milliseconds."""

    status_code: int | None = None
    request_id: str = ""
    duration_ms: int | None = None


def settle_each(entries: Sequence[Entry], settle: Callable[[Card, Entry], Delivery | None], now: datetime) -> None:
    """Apply `settle` to each card under its lock, and store cards, deliveries and events together."""
    if not entries:
        return
    with transaction.atomic():
        cards = locked(entries)
        away = {card.pk: (card.state, card.waiting_reason) for card in cards.values() if card.state in AWAY}
        deliveries = [
            delivery
            for entry in entries
            if entry.card.pk in cards and (delivery := settle(cards[entry.card.pk], entry))
        ]
        for pk, (state, reason) in away.items():
            # Somebody let go of it, or Kommo has lost it, while the call was under way: that stands.
            leave_the_outbox(cards[pk], Card.State(state), reason)
        for pk in erased(away):
            forget(cards[pk])
            for delivery in deliveries:
                if delivery.card_id == pk:
                    delivery.sent, delivery.reason, delivery.error, delivery.correlation_id = {}, "", "", ""
        update(cards.values(), SETTLED_COLUMNS)
        insert(deliveries)
        for delivery in deliveries:
            if delivery.outcome == Delivery.Outcome.DELIVERED and delivery.lag_ms is not None:
                metrics.observe("bridge_delivery_lag_seconds", delivery.lag_ms / 1000)
        insert([_event(delivery) for delivery in deliveries])
    _log(deliveries)


def _log(deliveries: Sequence[Delivery]) -> None:
    """Say what became of a call in one line for all cards alike; each card of many in one of its own for who debugs."""
    alike: dict[tuple[Any, ...], list[Delivery]] = {}
    for delivery in deliveries:
        call = (delivery.operation, delivery.outcome, delivery.status_code, delivery.request_id)
        alike.setdefault(call, []).append(delivery)
    for (operation, outcome, status, request_id), theirs in alike.items():
        details = {"operation": operation, "outcome": outcome, "status": status, "request_id": request_id}
        if len(theirs) > 1:
            log.info("delivery", cards=len(theirs), **details)
        tell = log.info if len(theirs) == 1 else log.debug
        for delivery in theirs:
            about = {"lead": str(delivery.card.lead_id), "card": delivery.card_id}
            tell("delivery", **about, **details, correlation_id=delivery.correlation_id)


def erased(card_ids: Iterable[int]) -> set[int]:
    """Return those of these cards whose person asked to be forgotten. Asked under the cards' locks, it stays true."""
    ids = list(card_ids)
    rows = Card.objects.filter(pk__in=ids, lead__erased_at__isnull=False) if ids else Card.objects.none()
    return set(rows.values_list("pk", flat=True))


# Where the card stands in Kommo tells of nobody.
IMPERSONAL = ("pipeline_id", "status_id", "responsible_user_id", "updated_at")
# Whatever a card holds in JSON is of the person, also in columns of tomorrow; but for the stages on its way.
OF_THE_PERSON = [
    field for field in Card._meta.concrete_fields if isinstance(field, JSONField) and field.name != "stages_to_visit"
]
EMPTIED = ("last_error", "refused_plan", "shadow_plan", "correlation_id")
FORGOTTEN_COLUMNS = (*(field.name for field in OF_THE_PERSON), *EMPTIED, "contact_due_at")


def forget(card: Card) -> None:
    """Keep of a card, in memory, its ids and where it stands; FORGOTTEN_COLUMNS are still to be stored."""
    place = {key: card.observed[key] for key in IMPERSONAL if key in card.observed}
    for field in OF_THE_PERSON:
        setattr(card, field.name, field.get_default())
    card.observed = card.agreed = place
    for name in EMPTIED:
        setattr(card, name, "")
    card.contact_due_at = None


def locked(entries: Iterable[Entry]) -> dict[int, Card]:
    """Return card id -> card for the entries' cards, read afresh and locked, always in the same order."""
    ids = [entry.card.pk for entry in entries]
    return {card.pk: card for card in (LOCKED.all(ids=ids) if ids else ())}


LOCKED = Select(lambda ids: Card.objects.select_for_update().filter(pk__in=ids).order_by("pk"))


def leave_the_outbox(card: Card, state: Card.State, reason: str) -> None:
    """Let a card wait for nothing any more, in a state that is not due; it has still to be stored."""
    card.state, card.waiting_reason = state, reason[:500]
    card.due_at = card.pending_since = None


def delivery_of(card: Card, entry: Entry, outcome: Delivery.Outcome, call: Call, now: datetime) -> Delivery:
    """Return the unsaved row of what became of an entry's plan; its lag runs from when the card began to wait."""
    lag = (now - card.pending_since).total_seconds() * 1000 if card.pending_since else None
    return Delivery(
        account_id=card.account_id,
        card=card,
        at=now,
        operation=entry.plan.operation.value,
        outcome=outcome,
        sent=entry.plan.body,
        reason=entry.card.lead.decision_reason,
        status_code=call.status_code,
        request_id=call.request_id[:100],
        correlation_id=card.correlation_id,
        duration_ms=call.duration_ms,
        lag_ms=None if lag is None else max(0, round(lag)),
    )


def _event(delivery: Delivery) -> Event:
    data: dict[str, Any] = {
        "operation": delivery.operation,
        "outcome": delivery.outcome,
        "sent": delivery.sent,
        "status_code": delivery.status_code,
        "request_id": delivery.request_id,
        "correlation_id": delivery.correlation_id,
    }
    return Event(
        lead_id=delivery.card.lead_id,
        at=delivery.at,
        kind=Event.Kind.DELIVERY,
        actor=Lead.Actor.BRIDGE,
        reason=(delivery.error or delivery.reason)[:500],
        data=data,
    )
