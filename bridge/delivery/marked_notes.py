"""By what a note or a task of ours is found again in Kommo, and what of writing it goes on record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bridge.cards import ledger
from bridge.models import Briefing, Card, Delivery
from common.reasons import Reason, about
from leads.models import Event, Lead

# So long after a call that failed it is tried again.
RETRY_AFTER = timedelta(seconds=30)


def mark_of(row: Briefing) -> str:
    """Return the mark by which its note and its task are found again."""
    return f"[#{'m' if row.asks_result else ''}{int(row.since.timestamp()):x}]"


def find(entries: Iterable[Any], mark: str) -> int | None:
    return next((int(entry.id) for entry in entries if mark in entry.text), None)


WHAT = {
    ("note", False): "note_at_handoff",
    ("task", False): "task_at_handoff",
    ("note", True): "note_at_handoff_given_up",
    ("task", True): "task_at_handoff_given_up",
}
WHAT_OF_CALL = {
    ("note", False): "note_about_call",
    ("task", False): "task_about_call",
    ("note", True): "note_about_call_given_up",
    ("task", True): "task_about_call_given_up",
}


def _what(row: Briefing, operation: Delivery.Operation, *, is_given_up: bool) -> Reason:
    if row.asks_result:
        return Reason("task_about_meeting_given_up" if is_given_up else "task_about_meeting")
    if row.call:
        return Reason(WHAT_OF_CALL[operation.value, is_given_up])
    return Reason(WHAT[operation.value, is_given_up])


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
    what = _what(row, operation, is_given_up=bool(error))
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
        reason=(about(what, error) if error else what)[:500],
        data={"operation": operation.value, "outcome": outcome.value},
    )
