"""Does the reason for a loss follow in a write of its own? Where Kommo refused it together with the move."""

from __future__ import annotations

from bridge.cards.batch_entry import Entry
from bridge.errors import KommoError
from bridge.models import Card


def reason_is_missing(card: Card, entry: Entry) -> bool:
    """The move to lost went without its reason, which follows as a step of its own."""
    return card.loss_reason_after_move and "status_id" in entry.plan.effect


def asks_for_two_steps(card: Card, entry: Entry, error: KommoError) -> bool:
    """Say whether a refusal may be about a reason that came with the move to lost, whatever language it is told in."""
    if card.loss_reason_after_move or not {"loss_reason_id", "status_id"} <= entry.plan.body.keys():
        return False
    return all(item.path in ("", "loss_reason_id") for item in getattr(error, "items", ()))
