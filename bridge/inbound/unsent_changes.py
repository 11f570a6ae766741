"""What our side still owes Kommo although nothing waits: found by planning a card that should be in agreement.

It takes a mistake, a restored backup or a hand in the database to get there; the outbox repairs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bridge.cards import nudge, outbox
from bridge.cards.desired import desired
from bridge.cards.plan import Observed, Plan, plan
from bridge.inbound import drifts
from bridge.models import Account, Card, Catalogue
from leads.rulebook import rulebook

# Nothing waits in these. One is shown only in shadow, or when a drain was at it while the account left shadow.
AT_REST = (Card.State.IN_SYNC, Card.State.SHOWN)


def settle(
    account: Account,
    card_ids: Sequence[int],
    catalogue: Catalogue | None,
    *,
    found_by: str,
    now: datetime,
    dry_run: bool = False,
) -> list[str]:
    """Make due the cards that are called in sync and are not; return their Kommo ids.

    Cards of an account in shadow are never written to, and owe nothing.
    """
    if account.state == Account.State.SHADOW or not card_ids:
        return []
    rows = Card.objects.filter(pk__in=card_ids, state__in=AT_REST, lead__erased_at=None)
    cards = rows.select_related("lead__pipeline", "lead__stage").prefetch_related("lead__objections")
    found: list[str] = []
    for card in cards:
        book = rulebook(card.lead.pipeline)
        owed = plan(desired(card, book, account, catalogue), Observed(card.kommo_lead_id, card.observed, card.in_doubt))
        if owed.is_empty:
            continue
        found.append(str(card.kommo_lead_id))
        if not dry_run:
            _repair(card, owed, found_by, now)
    if found and not dry_run:
        nudge.send(account.pk)
    return found


def _repair(card: Card, owed: Plan, found_by: str, now: datetime) -> None:
    # Only while it still rests: whatever made it due meanwhile sends this as well.
    if not outbox.requeue(Card.objects.filter(pk=card.pk, state__in=AT_REST), now=now):
        return
    for subject, ours, theirs in _subjects(card, owed.effect):
        drifts.note_repaired(card, subject, ours=ours, theirs=theirs, found_by=found_by, now=now)


def _subjects(card: Card, effect: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (subject, ours, theirs) for everything a write would change."""
    observed = card.observed
    parts = [
        (f"field:{key}", value, observed.get("fields", {}).get(key)) for key, value in effect.get("fields", {}).items()
    ]
    if "name" in effect:
        parts.append(("name", effect["name"], observed.get("name")))
    if "status_id" in effect:
        place = [observed.get("pipeline_id"), observed.get("status_id")]
        parts.append(("stage", [effect["pipeline_id"], effect["status_id"]], place))
    if "tags_to_add" in effect or "tags_to_delete" in effect:
        tags = set(observed.get("tags", ()))
        wanted = (tags | set(effect.get("tags_to_add", ()))) - set(effect.get("tags_to_delete", ()))
        parts.append(("tags", sorted(wanted), sorted(tags)))
    return parts
