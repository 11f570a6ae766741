"""What does a card wait for, and until when? In words for people; nothing waits without saying why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bridge.models import Account, Card
from common.reasons import Reason

NOT_COMPARED = Reason("first_comparison_not_through")


@dataclass(frozen=True)
class Wait:
    """`until` None: until a person, or the next free moment, ends it."""

    reason: str
    until: datetime | None


def wait_of(card: Card, *, now: datetime) -> Wait | None:
    """Return what a card waits for; None for one that waits for nothing. Its account is loaded already."""
    account = card.account
    if card.state not in Card.PENDING:
        return Wait(card.waiting_reason, None) if card.waiting_reason else None
    if account.state == Account.State.PAUSED:
        reason = (
            f"deliveries are paused: {account.state_reason}" if account.state_reason else Reason("deliveries_paused")
        )
        return Wait(reason, account.paused_until)
    if card.kommo_lead_id is None and not account.may_create:
        return Wait(NOT_COMPARED, None)
    rests_until = account.retry_at if account.retry_at and account.retry_at > now else None
    if card.due_at and card.due_at > now and (rests_until is None or card.due_at > rests_until):
        return Wait(card.waiting_reason or Reason("time_not_come"), card.due_at)
    if rests_until:
        return Wait(card.waiting_reason or Reason("account_waits"), rests_until)
    return Wait(card.waiting_reason or Reason("turn_in_next_call"), None)
