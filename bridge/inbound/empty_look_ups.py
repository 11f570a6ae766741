"""When may an empty look-up be believed, after a create that got no answer? Every doubt speaks for waiting.

Kommo's lists and searches lag behind its writes; rights hide leads from our user, its own as well once somebody else is
responsible for them; and where no list shows a lead, a webhook may have told of it. A second card costs more than a
late one.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from bridge.kommo.client import KommoClient
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, WebhookEvent
from common.reasons import Reason

# Lists show what was made within this, from when the create has surely ended: Kommo speaks of seconds.
SHOWS_WITHIN = timedelta(seconds=15)
# Meanwhile it is looked for so often, for most often it was made.
LOOKED_FOR_EVERY = timedelta(seconds=5)
# What only people can end is looked at so often.
HIDDEN_FOR = timedelta(minutes=5)
WITNESSES = 10
LEADS_PER_READ = 250
# A body that tells of a new lead, whatever else it tells of.
NEW_LEAD = re.compile(rb"leads(\[|%5b)add", re.IGNORECASE)
UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Doubt:
    """Why a create may have been applied although nothing was found, and when to look again."""

    reason: str
    look_at: datetime


def doubts(
    account: Account, client: KommoClient, cards: Sequence[Card], *, asked_at: datetime, unread: Container[int] = ()
) -> dict[int, Doubt]:
    """Return card id -> doubt, for those of the cards whose empty look-up of `asked_at` proves nothing.

    unread: cards whose lead may be one that was returned and cannot be read. One call at most, when all else speaks for
    believing it. Raises KommoError.
    """
    found = {card.pk: doubt for card in cards if (doubt := _too_early(card, asked_at))}
    reason = "an earlier create may have made a lead that cannot be read: look for it in Kommo"
    found |= {card.pk: Doubt(reason, asked_at + HIDDEN_FOR) for card in cards if card.pk in unread}
    rest = [card for card in cards if card.pk not in found]
    for pk in _told_of(account, rest):
        reason = "Kommo told of a lead made with our id, and does not show it: see that our user may see all leads"
        found[pk] = Doubt(reason, asked_at + HIDDEN_FOR)
    rest = [card for card in rest if card.pk not in found]
    if rest and not _shows_leads(account, client):
        reason = "an earlier create may have been applied, and Kommo shows none of our leads: see that our user may"
        found |= {card.pk: Doubt(reason, asked_at + HIDDEN_FOR) for card in rest}
    return found


def believed_from(card: Card) -> datetime | None:
    """Return from when on an empty look-up tells something of a create; None: at once, for Kommo has said no."""
    return card.write_settles_at + SHOWS_WITHIN if card.write_settles_at else None


def _too_early(card: Card, asked_at: datetime) -> Doubt | None:
    sure_from = believed_from(card)
    if sure_from is None or sure_from <= asked_at:
        return None
    reason = Reason("earlier_create_may_arrive")
    return Doubt(reason, min(sure_from, asked_at + LOOKED_FOR_EVERY))


def _told_of(account: Account, cards: Sequence[Card]) -> set[int]:
    """Return those of the cards whose id a webhook about a new lead has carried since their create left."""
    named = {str(card.lead_id).encode(): card.pk for card in cards}
    left = [card.create_intent_at for card in cards if card.create_intent_at]
    events = WebhookEvent.objects.filter(account=account, received_at__gte=min(left)) if left else ()
    told_of: set[int] = set()
    for event in events.only("body").iterator() if events else ():
        body = bytes(event.body)
        if NEW_LEAD.search(body):
            told_of |= {named[uuid.lower()] for uuid in UUID.findall(body) if uuid.lower() in named}
    return told_of


def _shows_leads(account: Account, client: KommoClient) -> bool:
    """Say whether our user sees leads as it should: one of our newest cards; any at all, where none stands any more."""
    cards = Card.objects.filter(account=account, kommo_lead_id__isnull=False)
    standing = cards.exclude(state__in=[Card.State.GONE, Card.State.CLOSED]).order_by("-pk")
    ids = [
        kommo_lead_id for kommo_lead_id in standing.values_list("kommo_lead_id", flat=True)[:WITNESSES] if kommo_lead_id
    ]
    if ids:
        shown = islice(client.iterate_leads(ids=ids, lane=Lane.LIVE), LEADS_PER_READ)
        return any(reply.id in ids for reply in shown)
    if not cards.exists():
        # The first lead ever: nobody can be asked.
        return True
    replies, _ = client.list_leads(page=1, limit=1, lane=Lane.LIVE)
    return bool(replies)
