"""The contact's name follows the lead's: its own entity in Kommo, so its own call, in batches.

A name is sent a moment after the card, so that corrections that come in quick succession travel once. The contact is
read before it is written: a name a person gave it stands.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from bridge.errors import KommoError
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import ContactReply
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, Delivery
from leads.models import Event, Lead

COLLECT_FOR = timedelta(seconds=2)
RETRY_AFTER = timedelta(minutes=1)
BATCH_SIZE = 50
# What a contact, and a lead, is called whose person asked to be forgotten.
FORGOTTEN = "Dados apagados (LGPD)"


def deliver_due(account: Account, client: KommoClient, *, now: datetime) -> bool:
    """Bring the names of due contacts up to date, one batch; True when more may be due."""
    if account.state != Account.State.ACTIVE:
        return False
    due = Card.objects.filter(account=account, contact_due_at__lte=now - COLLECT_FOR, kommo_contact_id__isnull=False)
    cards = list(due.select_related("lead").order_by("contact_due_at", "id")[:BATCH_SIZE])
    if not cards:
        return False
    try:
        held = {
            reply.id: reply for reply in client.contacts(ids=[card.kommo_contact_id for card in cards], lane=Lane.BULK)
        }
        forgotten = [card for card in cards if card.contact_to_forget]
        _forget([card for card in forgotten if card.kommo_contact_id in held], client)
        renamed = [card for card in cards if not card.contact_to_forget and _needs_our_name(card, held)]
        if renamed:
            client.update_contacts(
                [{"id": card.kommo_contact_id, "name": card.lead.name} for card in renamed], lane=Lane.BULK
            )
    except KommoError as error:
        later = now + max(RETRY_AFTER, error.retry_after or RETRY_AFTER)
        Card.objects.filter(pk__in=[card.pk for card in cards]).update(contact_due_at=later)
        return False
    _settle([card for card in cards if not card.contact_to_forget], renamed, held, now)
    _settle_forgotten(forgotten, now)
    return len(cards) == BATCH_SIZE


def _forget(cards: list[Card], client: KommoClient) -> None:
    """Empty what the contacts say of people who asked to be forgotten, and the names of their leads."""
    if not cards:
        return
    empty = [{"field_code": code, "values": None} for code in ("PHONE", "EMAIL")]
    client.update_contacts(
        [{"id": card.kommo_contact_id, "name": FORGOTTEN, "custom_fields_values": empty} for card in cards],
        lane=Lane.BULK,
    )
    client.update_leads([{"id": card.kommo_lead_id, "name": FORGOTTEN} for card in cards], lane=Lane.BULK)


@transaction.atomic
def _settle_forgotten(cards: list[Card], now: datetime) -> None:
    """Keep the proof, and nothing of the person."""
    Card.objects.filter(pk__in=[card.pk for card in cards]).update(contact_due_at=None, contact_to_forget=False)
    reason = "personal data erased in Kommo: name, phone and e-mail of the contact"
    Event.objects.bulk_create(
        Event(lead_id=card.lead_id, at=now, kind=Event.Kind.ERASED, actor=Lead.Actor.BRIDGE, reason=reason)
        for card in cards
    )


def _needs_our_name(card: Card, held: dict[int, ContactReply]) -> bool:
    reply = held.get(card.kommo_contact_id or 0)
    if reply is None or not card.lead.name:
        return False
    # Ours when it is what we last wrote; anything else is a person's.
    return reply.name != card.lead.name and reply.name in (card.observed_contact.get("name"), "", card.lead.phone)


@transaction.atomic
def _settle(cards: list[Card], renamed: list[Card], held: dict[int, ContactReply], now: datetime) -> None:
    sent_to = {card.pk for card in renamed}
    for card in cards:
        reply = held.get(card.kommo_contact_id or 0)
        read = reply.name if reply else ""
        card.observed_contact = {"name": card.lead.name if card.pk in sent_to else read}
        # Due again only if the name has changed once more since it was read.
        Card.objects.filter(pk=card.pk, contact_due_at=card.contact_due_at).update(contact_due_at=None)
    Card.objects.bulk_update(cards, ["observed_contact"])
    sent = [(card, {"id": card.kommo_contact_id, "name": card.lead.name}) for card in renamed]
    Delivery.objects.bulk_create(
        Delivery(
            account_id=card.account_id,
            card=card,
            at=now,
            operation=Delivery.Operation.CONTACT,
            outcome=Delivery.Outcome.DELIVERED,
            sent=body,
        )
        for card, body in sent
    )
    Event.objects.bulk_create(
        Event(
            lead_id=card.lead_id,
            at=now,
            kind=Event.Kind.DELIVERY,
            actor=Lead.Actor.BRIDGE,
            reason="the contact got the lead's name",
            data={"operation": "contact", "outcome": "delivered", "sent": body},
        )
        for card, body in sent
    )
