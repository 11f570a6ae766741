"""Leads that vanished because somebody merged them: followed to where they went, when that can be proven.

Kommo tells of no merge. A merged lead's fields go over where the other had none, so a lead that now carries our own id
in “Bridge ID” is the one ours was merged into. Without that proof the card is gone; where its contact has another lead,
staff are told which, and decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from bridge.accounts.refusals import aside
from bridge.errors import KommoError
from bridge.inbound import adoption, unreadable_cards
from bridge.inbound.card_look_up import LOOK_UP_SIZE, find_by_bridge_id
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.kommo.throttle import Lane
from bridge.kommo.what_an_error_stops import Purpose
from bridge.models import Account, Card, Catalogue
from common.reasons import Reason
from common.reasons.columns import either
from leads.models import Event, Lead

log = structlog.get_logger(__name__)

CONTACTS_PER_READ = 250


def follow(
    account: Account, client: KommoClient, cards: Sequence[Card], catalogue: Catalogue | None, *, now: datetime
) -> set[int]:
    """Re-link the cards whose vanished lead lives on in another; return their ids. Raises KommoError.

    One that lives on outside its pipeline is somebody else's by now: staff are told, and nothing is touched.
    """
    if account.bridge_id_field_id is None:
        return set()
    followed: set[int] = set()
    for start in range(0, len(cards), LOOK_UP_SIZE):
        part = cards[start : start + LOOK_UP_SIZE]
        for pk, reply in find_by_bridge_id(account, client, part).leads.items():
            card = next(candidate for candidate in part if candidate.pk == pk)
            lives = not reply.unreadable and not reply.is_deleted and reply.id != card.kommo_lead_id
            if lives and relink(card, reply, catalogue, now=now):
                followed.add(pk)
    return followed


def relink(card: Card, reply: LeadReply, catalogue: Catalogue | None, *, now: datetime) -> bool:
    """Let a card show the lead its own was merged into; False if that is another person's, or outside its pipeline."""
    before = card.kommo_lead_id
    lead = Lead.objects.select_related("pipeline").get(pk=card.lead_id)
    if reply.pipeline_id != lead.pipeline.kommo_pipeline_id:
        reason = Reason("lead_seems_to_live_on", a=before, number=reply.id)
        if not lead.events.filter(kind=Event.Kind.STAFF_TOLD, reason__in=either(reason)).exists():
            lead.events.create(at=now, kind=Event.Kind.STAFF_TOLD, actor=Lead.Actor.BRIDGE, reason=reason)
        return False
    reason = Reason("lead_merged_into", number=before, a=reply.id)
    linked = False
    with unreadable_cards.each_by_itself("merge", reply.id) as failure:
        linked = adoption.link(card.pk, reply, catalogue, read_at=now, now=now, found_by="merge", reason=reason)
    if failure.error:
        unreadable_cards.note_unreadable(card.pk, failure.error)
    return linked


def hints(account: Account, client: KommoClient, cards: Sequence[Card], *, now: datetime) -> dict[int, str]:
    """Return card id -> where the vanished lead may have gone, as a further reason; nothing waits for them."""
    try:
        return aside(account, client, Purpose.CONTACTS, lambda: _hints(client, cards), now=now) or {}
    except KommoError as error:
        log.info("no_hints", account=account.pk, error=error.in_log)
        return {}


def _hints(client: KommoClient, cards: Sequence[Card]) -> dict[int, str]:
    cards_by_contact = {card.kommo_contact_id: card for card in cards if card.kommo_contact_id}
    found: dict[int, str] = {}
    ids = list(cards_by_contact)
    for start in range(0, len(ids), CONTACTS_PER_READ):
        part = ids[start : start + CONTACTS_PER_READ]
        for contact in client.contacts(ids=part, with_leads=True, lane=Lane.BULK):
            card = cards_by_contact.get(contact.id)
            others = [lead_id for lead_id in contact.lead_ids if card and lead_id != card.kommo_lead_id]
            if card and others:
                found[card.pk] = Reason("contact_has_lead", a=", ".join(map(str, others[:3])))
    return found
