"""Leads that vanished because somebody merged them: followed to where they went, when that can be proven.

Kommo tells of no merge. A merged lead's fields go over where the other had none, so a lead that now carries our own id
in “Bridge ID” is the one ours was merged into. Without that proof the card is gone; where its contact has another lead,
staff are told which, and decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction

from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card
from bridge.sync.creation import LOOK_UP_SIZE, find_by_bridge_id
from bridge.sync.observe import link
from bridge.sync.outbox import requeue
from followups import enrollment
from leads.models import Event, Lead

CONTACTS_PER_READ = 250


def follow(account: Account, client: KommoClient, cards: Sequence[Card], *, now: datetime) -> set[int]:
    """Re-link the cards whose vanished lead lives on in another; return their ids. Raises KommoError."""
    if account.bridge_id_field_id is None:
        return set()
    followed: set[int] = set()
    for start in range(0, len(cards), LOOK_UP_SIZE):
        part = cards[start : start + LOOK_UP_SIZE]
        for pk, reply in find_by_bridge_id(account, client, part).items():
            card = next(one for one in part if one.pk == pk)
            if not reply.is_deleted and reply.id != card.kommo_lead_id and relink(card, reply, now=now):
                followed.add(pk)
    return followed


def relink(card: Card, reply: LeadReply, *, now: datetime) -> bool:
    """Let a card show the lead its own was merged into; False when that is the card of another person of ours."""
    before = card.kommo_lead_id
    try:
        with transaction.atomic():
            row = Card.objects.select_for_update(no_key=True).get(pk=card.pk)
            if row.state == Card.State.CLOSED:
                # Let go while Kommo was asked.
                return False
            gone_because = row.waiting_reason if row.state == Card.State.GONE else None
            link(row, reply)
            row.observed_at = now
            if row.state == Card.State.GONE:
                row.state = Card.State.IN_SYNC
            row.save()
            requeue(Card.objects.filter(pk=card.pk), now=now, lane=Card.Lane.LIVE)
            reason = f"lead {before} was merged into {reply.id} in Kommo"
            Event.objects.create(
                lead_id=card.lead_id, at=now, kind=Event.Kind.CARD, actor=Lead.Actor.STAFF, reason=reason
            )
            if gone_because is not None:
                enrollment.go_on(row.lead, stopped_for=gone_because, reason="the card is back", now=now)
    except IntegrityError:
        # Two people, one lead, and nothing to prove whose.
        return False
    return True


def hints(account: Account, client: KommoClient, cards: Sequence[Card]) -> dict[int, str]:
    """Return card id -> where the vanished lead may have gone, in words to add to a reason. Raises KommoError."""
    cards_by_contact = {card.kommo_contact_id: card for card in cards if card.kommo_contact_id}
    found: dict[int, str] = {}
    ids = list(cards_by_contact)
    for start in range(0, len(ids), CONTACTS_PER_READ):
        part = ids[start : start + CONTACTS_PER_READ]
        for contact in client.contacts(ids=part, with_leads=True, lane=Lane.BULK):
            card = cards_by_contact.get(contact.id)
            others = [lead_id for lead_id in contact.lead_ids if card and lead_id != card.kommo_lead_id]
            if card and others:
                found[card.pk] = f"; its contact has lead {', '.join(map(str, others[:3]))}"
    return found
