"""By what a note or a task of ours is found again in Kommo, and what of writing it goes on record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bridge.cards import ledger
from bridge.models import Briefing, Card, Delivery
from leads.models import Event, Lead

# So long after a call that failed it is tried again.
RETRY_AFTER = timedelta(seconds=30)


def mark_of(row: Briefing) -> str:
    """Return the mark by which its note and its task are found again."""
    return f"[#{'m' if row.asks_result else ''}{int(row.since.timestamp()):x}]"


def find(entries: Iterable[Any], mark: str) -> int | None:
    return next((int(entry.id) for entry in entries if mark in entry.text), None)


@transaction.atomic
def record(
    row: Briefing,
    operation: Delivery.Operation,
    sent: dict[str, Any],
    now: datetime,
    *,
    outcome: Delivery.Outcome = Delivery.Outcome.DELIVERED,
    error: str = "",
) -> None:
    card = Card.objects.select_for_update().get(pk=row.card_id)
    if ledger.erased([card.pk]):
        # While it was written: of what it said nothing is kept.
        sent, error = {}, ""
    about = "about a meeting" if row.asks_result else "about a lead who called" if row.call else "at the handoff"
    what = f"{operation.value} for the seller {about}"
    Delivery.objects.create(
        account_id=card.account_id,
        card=card,
        at=now,
        operation=operation,
        outcome=outcome,
        sent=sent,
        error=error[:1000],
    )
    Event.objects.create(
        lead_id=card.lead_id,
        at=now,
        kind=Event.Kind.DELIVERY,
        actor=Lead.Actor.BRIDGE,
        reason=(f"{what} given up: {error}" if error else what)[:500],
        data={"operation": operation.value, "outcome": outcome.value},
    )
