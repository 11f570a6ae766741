"""Which lead in Kommo is a card's? Found by our own id in its field “Bridge ID”, and without that field by phone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from bridge import account_traits
from bridge.account_traits import Trait
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card
from leads.phone import PhoneError, parse

# One look-up names this many leads: well inside what fits into a URL.
LOOK_UP_SIZE = 40
# Kommo's clock and ours may differ by this much when we compare a lead's age with our intent.
CLOCK_SLACK = timedelta(minutes=5)
LEADS_PER_READ = 250
# What a number ends with is written alike with and without country code, area code and ninth digit.
SEARCHED_DIGITS = 8


@dataclass
class LookedUp:
    """Card id -> the lead that a look-up found; and the cards whose lead may be one it returned and nobody can read."""

    leads: dict[int, LeadReply] = field(default_factory=dict)
    unsure: set[int] = field(default_factory=set)

    def __or__(self, other: LookedUp) -> LookedUp:
        return LookedUp(self.leads | other.leads, self.unsure | other.unsure)


def find(account: Account, client: KommoClient, cards: Sequence[Card]) -> LookedUp:
    """Look for the leads of cards: by the proof they were sent with, else by phone. Raises KommoError."""
    field_id = str(account.bridge_id_field_id)
    without = [card for card in cards if card.in_doubt and field_id not in card.in_doubt.get("fields", {})]
    proven = [] if account.bridge_id_field_id is None else [card for card in cards if card not in without]
    found = find_by_bridge_id(account, client, proven) if proven else LookedUp()
    return found | _find_by_phone(account, client, [card for card in cards if card not in proven])


def find_by_bridge_id(account: Account, client: KommoClient, cards: Sequence[Card]) -> LookedUp:
    """Look for the leads that carry our ids; the account has the field “Bridge ID”. Raises KommoError."""
    assert account.bridge_id_field_id is not None
    field_id = account.bridge_id_field_id
    card_by_lead = {str(card.lead_id): card for card in cards}
    found, is_odd = LookedUp(), False
    if account.traits.get(Trait.VALUE_FILTER) == "ignored":
        return _search_bridge_ids(client, field_id, cards)
    replies = client.iterate_leads(custom_field=(field_id, list(card_by_lead)), with_=("contacts",), lane=Lane.LIVE)
    for reply in replies:
        card = card_by_lead.get(str(reply.field_value(field_id)))
        if card is None and reply.unreadable:
            # Its fields are what cannot be read of it: it may be anybody's of these.
            is_odd = True
        elif card is None:
            # A filter that Kommo does not know it ignores: going on would read the whole account.
            account_traits.remember(account, Trait.VALUE_FILTER, "ignored")
            return found | _search_bridge_ids(
                client, field_id, [candidate for candidate in cards if candidate.pk not in found.leads]
            )
        else:
            found.leads.setdefault(card.pk, reply)
    found.unsure |= {card.pk for card in cards if is_odd and card.pk not in found.leads}
    return found


def _search_bridge_ids(client: KommoClient, field_id: int, cards: Sequence[Card]) -> LookedUp:
    """Search for each card's id as a text: one call each."""
    found = LookedUp()
    for card in cards:
        query = str(card.lead_id)
        replies = client.iterate_leads(query=query, with_=("contacts",), limit=LEADS_PER_READ, lane=Lane.LIVE)
        for reply in islice(replies, LEADS_PER_READ):
            if str(reply.field_value(field_id)) == query:
                found.leads.setdefault(card.pk, reply)
            elif reply.unreadable:
                found.unsure.add(card.pk)
    return found


def _find_by_phone(account: Account, client: KommoClient, cards: Sequence[Card]) -> LookedUp:
    found = LookedUp()
    for card in cards:
        if not card.lead.phone:
            continue
        contacts = client.find_contacts(card.lead.phone[-SEARCHED_DIGITS:])
        ids = [lead_id for contact in contacts if has_phone(card, contact.phones) for lead_id in contact.lead_ids]
        taken = set(Card.objects.filter(account=account, kommo_lead_id__in=ids).values_list("kommo_lead_id", flat=True))
        free = [lead_id for lead_id in ids if lead_id not in taken]
        since = (card.create_intent_at or card.lead.created_at) - CLOCK_SLACK
        for reply in client.iterate_leads(ids=free, with_=("contacts",)) if free else ():
            ours = reply.pipeline_id == card.lead.pipeline.kommo_pipeline_id and reply.created_at >= since.timestamp()
            if reply.id in free and ours:
                found.leads[card.pk] = reply
            elif reply.id in free and reply.unreadable:
                found.unsure.add(card.pk)
    return found


def has_phone(card: Card, phones: Iterable[str]) -> bool:
    """Say whether the person's own number is among them, however it is written."""
    for phone in phones:
        try:
            if parse(phone, region=card.lead.pipeline.phone_region).key == card.lead.phone_key:
                return True
        except PhoneError:
            continue
    return False
