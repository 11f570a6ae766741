"""Who the person on a card is: all numbers of all its contacts, and the one in a field of the lead, are theirs.

Contacts and numbers come later than the lead, and are corrected: a contact that changed is read again, also for people
we know. The contact a card keeps to is the one with the person's number; it may not be the main one of today.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from bridge.accounts import refusals
from bridge.inbound import unreadable_cards, unreadable_leads
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import ContactReply, LeadReply
from bridge.kommo.throttle import Lane
from bridge.kommo.what_an_error_stops import Purpose
from bridge.models import Account, Card, CardContact, Catalogue
from common.name_spellings import name_key
from common.reasons import Reason
from leads import address_owners, erasure
from leads.addresses import Address
from leads.models import Event, Lead, Pipeline
from leads.phone import Phone, PhoneError, parse

# In the event of a card: the id a report named, which Kommo does not have.
ABSENT = "absent_lead"
CONTACTS_PER_READ = 100
FIELD = "field"
NO_CONTACTS = "Kommo lets us read no contacts, so nobody can say whose lead it is, or which numbers are theirs"


@dataclass
class Numbers:
    """The numbers on one lead of Kommo: contact id, or FIELD -> the numbers there; in order, the main contact first."""

    by_place: dict[int | str, list[Phone]] = field(default_factory=dict)

    @property
    def all(self) -> list[Phone]:
        return list({phone.key: phone for phones in self.by_place.values() for phone in phones}.values())

    @property
    def keys(self) -> list[str]:
        return [phone.key for phone in self.all]

    def of(self, *places: int | str | None) -> set[str]:
        """Return the keys of the numbers in these places."""
        return {phone.key for place in places if place for phone in self.by_place.get(place, ())}


def read(client: KommoClient, ids: Iterable[int | None], lane: Lane) -> dict[int, ContactReply]:
    """Return contacts by id. Raises KommoError."""
    wanted = sorted({contact_id for contact_id in ids if contact_id})
    found: dict[int, ContactReply] = {}
    for start in range(0, len(wanted), CONTACTS_PER_READ):
        part = wanted[start : start + CONTACTS_PER_READ]
        # Filters that Kommo does not know it ignores: only what was asked for counts.
        found |= {reply.id: reply for reply in client.contacts(ids=part, lane=lane) if reply.id in part}
    return found


def ask(
    account: Account, client: KommoClient, ids: Iterable[int | None], lane: Lane, *, now: datetime
) -> dict[int, ContactReply] | None:
    """Return contacts by id; None while Kommo refuses us its contacts or keeps failing at them, which is told.

    Raises KommoError for what may pass at the next try.
    """
    wanted = {contact_id for contact_id in ids if contact_id}
    if not wanted:
        return {}
    return refusals.aside(
        account,
        client,
        Purpose.CONTACTS,
        lambda: read(client, wanted, lane),
        now=now,
        may_wait_alone=True,
        answered=lambda: unreadable_leads.hurry(account, NO_CONTACTS, now=now),
    )


def numbers_of(
    reply: LeadReply, contacts: Mapping[int, ContactReply], pipeline: Pipeline, catalogue: Catalogue | None
) -> Numbers:
    """Return the numbers on a lead, of those of its contacts that were read."""
    in_order = sorted(reply.contact_ids, key=lambda contact_id: contact_id != reply.main_contact_id)
    found = Numbers(
        {
            contact_id: phones_of(contacts[contact_id].phones, pipeline)
            for contact_id in in_order
            if contact_id in contacts
        }
    )
    found.by_place[FIELD] = phones_of(_in_field(reply, pipeline, catalogue), pipeline)
    return found


def phones_of(texts: Iterable[str], pipeline: Pipeline) -> list[Phone]:
    found = []
    for text in texts:
        try:
            found.append(parse(text, region=pipeline.phone_region))
        except PhoneError:
            continue
    return found


def keep(card: Card, reply: LeadReply, theirs: Numbers, *, now: datetime) -> bool:
    """Let a person have the numbers that stand on their card, and the card its contacts; say if any is new."""
    known = _proving(card, reply, theirs)
    proven = [
        place for place, phones in theirs.by_place.items() if place != FIELD and known & {phone.key for phone in phones}
    ]
    if proven and not {card.kommo_contact_id, card.own_contact_id} & set(proven):
        # The main contact of today is somebody else.
        card.own_contact_id = int(proven[0])
        Card.objects.filter(pk=card.pk).update(own_contact_id=card.own_contact_id)
    others = set(reply.contact_ids) - {card.own_contact_id or card.kommo_contact_id}
    card.other_contacts.exclude(kommo_contact_id__in=others).delete()
    CardContact.objects.bulk_create(
        [CardContact(card=card, kommo_contact_id=contact_id) for contact_id in others], ignore_conflicts=True
    )
    return _learn(card, theirs, now)


def _proving(card: Card, reply: LeadReply, theirs: Numbers) -> set[str]:
    """Return the key by which a contact of the card is the person's own: their number, or what may become that.

    Who is known by another address keeps to the contact they have: a number beside it may be anybody's.
    """
    lead, own = card.lead, card.own_contact_id or card.kommo_contact_id
    if lead.phone_key and (lead.phone or own in reply.contact_ids):
        return {lead.phone_key}
    first = called_by(theirs, own)
    return {first.key} if first else set()


def called_by(theirs: Numbers, own: int | None) -> Phone | None:
    """Return the number by which somebody of whom their card alone is known is called, `own` being their contact.

    That is the first there; on a contact beside theirs it may be somebody else's, and is where a lead lives by it.
    """
    gone = erasure.unwelcome(theirs.keys)
    first = next((phone for phone in theirs.all if phone.key not in gone), None)
    is_beside = first is not None and first.key not in theirs.of(own, FIELD)
    return None if first and is_beside and address_owners.is_of_a_living_lead(first.key) else first


def meet(
    account: Account,
    client: KommoClient,
    catalogue: Catalogue | None,
    *,
    replies: Sequence[LeadReply] = (),
    contact_ids: Iterable[int] = (),
    now: datetime,
    lane: Lane = Lane.BULK,
) -> set[int]:
    """Learn the numbers of people whose card has other contacts than we knew, or whose contact changed.

    Returns the contacts that told something new. Asks Kommo only for those. While it lets us read none, the leads
    are noted and read again (bridge/inbound/unreadable_leads.py). Raises KommoError.
    """
    changed = set(contact_ids)
    by_lead = {reply.id: reply for reply in replies}
    about = Q(kommo_lead_id__in=by_lead)
    if changed:
        about |= (
            Q(kommo_contact_id__in=changed)
            | Q(own_contact_id__in=changed)
            | Q(other_contacts__kommo_contact_id__in=changed)
        )
    rows = Card.objects.filter(about, account=account, lead__erased_at=None).exclude(state=Card.State.CLOSED)
    cards = list(rows.select_related("lead__pipeline").prefetch_related("other_contacts").distinct())
    # What changed while contacts were refused is asked for with the lead that was noted for it.
    late = unreadable_leads.noted(account, by_lead)
    wanted = {
        card.pk: _to_read(card, by_lead.get(card.kommo_lead_id or 0), changed, all_of_them=card.kommo_lead_id in late)
        for card in cards
    }
    contacts = ask(account, client, (contact_id for ids in wanted.values() for contact_id in ids), lane, now=now)
    if contacts is None:
        waiting = [card.kommo_lead_id for card in cards if wanted[card.pk] and card.kommo_lead_id]
        unreadable_leads.note(account, dict.fromkeys(waiting, NO_CONTACTS), now=now)
        return set()
    learnt: set[int] = set()
    for card in cards:
        reply = by_lead.get(card.kommo_lead_id or 0)
        with unreadable_cards.each_by_itself("contacts", card.kommo_lead_id or 0) as failure:
            if _meet(card, reply, contacts, wanted[card.pk], catalogue, now):
                learnt |= wanted[card.pk]
        if failure.error:
            unreadable_cards.note_unreadable(card.pk, failure.error)
    return learnt


def owners_of_contacts(keys: Collection[str]) -> list[tuple[str, UUID]]:
    """Return whose card has each of these contacts, by the key of its address; of several cards in a pipeline one.

    That is the card of whom we spoke with last, else the one made last. Two queries.
    """
    ids = {int(key.partition(":")[2]): key for key in keys}
    rows = Card.objects.filter(lead__erased_at=None).exclude(state__in=(Card.State.GONE, Card.State.CLOSED))
    main = rows.filter(Q(kommo_contact_id__in=ids) | Q(own_contact_id__in=ids))
    beside = rows.filter(other_contacts__kommo_contact_id__in=ids)
    columns = ("lead_id", "lead__pipeline_id", "lead__last_inbound_at", "lead__created_at")
    found = [
        (contact_id, row)
        for *contacts, row in _last(main, "kommo_contact_id", "own_contact_id", *columns)
        for contact_id in contacts
    ] + [(contact, row) for contact, row in _last(beside, "other_contacts__kommo_contact_id", *columns)]
    chosen: dict[tuple[int, int], tuple[Any, UUID]] = {}
    for contact, (lead_id, pipeline_id, spoken_at, made_at) in found:
        if contact in ids:
            order = (spoken_at is not None, spoken_at or made_at)
            best = chosen.get((contact, pipeline_id))
            if best is None or order > best[0]:
                chosen[contact, pipeline_id] = (order, lead_id)
    return [(ids[contact], lead_id) for (contact, _), (_, lead_id) in chosen.items()]


def _last(cards: QuerySet[Card], *columns: str) -> list[Any]:
    """Return rows with their last four columns together."""
    return [(*row[:-4], row[-4:]) for row in cards.values_list(*columns)]


def introduce(pipeline: Pipeline, addresses: Sequence[Address], kommo_lead_id: int, *, now: datetime) -> None:
    """Let the person of a card nobody has an address for be found by these: somebody's own tables know the card."""
    card = _card_of(pipeline, kommo_lead_id)
    if (
        card
        and card.lead.phone_key is None
        and not address_owners.owners(pipeline, [address.key for address in addresses])
    ):
        address_owners.introduce(card.lead, addresses, now=now)


def name_card(lead: Lead, kommo_lead_id: int) -> None:
    """Note which card a lead without one may have; it is looked at before anything is created."""
    cards = Card.objects.filter(lead=lead, kommo_lead_id=None, create_intent_at=None)
    cards.update(named_lead_id=kommo_lead_id, looked_for_at=None)


def why_not_named(lead: Lead, kommo_lead_id: int) -> str:
    """Return why the card that a report names is not the lead's, as far as our own rows tell; empty if it may be."""
    card = Card.objects.filter(lead=lead).first()
    if card and card.kommo_lead_id:
        is_it = card.kommo_lead_id == kommo_lead_id
        return "" if is_it else Reason("report_changes_no_card", number=card.kommo_lead_id)
    others = Card.objects.filter(kommo_lead_id=kommo_lead_id).exclude(lead=lead).select_related("lead")
    if card:
        others = others.filter(account=card.account_id)
    theirs = others.first()
    if theirs is None:
        was_looked_for = lead.events.filter(**{"kind": Event.Kind.CARD, f"data__{ABSENT}": kommo_lead_id})
        return f"Kommo has no lead {kommo_lead_id}, or does not show it" if was_looked_for.exists() else ""
    if theirs.lead.pipeline_id != lead.pipeline_id:
        return Reason("card_of_another_pipeline", number=kommo_lead_id)
    return Reason("card_of_another_lead", number=kommo_lead_id) if theirs.lead.phone_key else ""


def release_nobodys(account: Account, kommo_lead_id: int) -> bool:
    """Forget a lead that is known by its card alone: the person turned out to be another lead here."""
    card = Card.objects.filter(account=account, kommo_lead_id=kommo_lead_id, lead__phone_key=None).first()
    if card is not None and card.lead.erased_at:
        # Somebody who was erased, and is back under the same phone: the card is theirs again.
        Card.objects.filter(pk=card.pk).update(kommo_lead_id=None)
        return True
    if card is None or card.lead.events.filter(kind=Event.Kind.INTERACTION).exists():
        return False
    card.lead.delete()
    return True


def _card_of(pipeline: Pipeline, kommo_lead_id: int) -> Card | None:
    rows = Card.objects.filter(kommo_lead_id=kommo_lead_id, lead__pipeline=pipeline, lead__erased_at=None)
    return rows.select_related("lead__pipeline").first()


def _contacts_of(card: Card) -> set[int]:
    """Return the contacts whose numbers were read: the person's own, and those kept beside it."""
    own = card.own_contact_id or card.kommo_contact_id
    return {
        contact_id
        for contact_id in (own, *(contact.kommo_contact_id for contact in card.other_contacts.all()))
        if contact_id
    }


def as_known(account: Account, numbers_told: Mapping[int, Sequence[str] | None]) -> set[int]:
    """Return the contacts whose numbers, as somebody told them, are those we know: they need not be read.

    The echo of a contact we made ourselves is one.
    """
    about = (
        Q(kommo_contact_id__in=numbers_told)
        | Q(own_contact_id__in=numbers_told)
        | Q(other_contacts__kommo_contact_id__in=numbers_told)
    )
    rows = Card.objects.filter(about, account=account).select_related("lead__pipeline").distinct()
    cards = list(rows.prefetch_related("other_contacts", "lead__further_addresses")) if numbers_told else []
    unknown: set[int] = set()
    for card in cards:
        for contact_id in _contacts_of(card) & numbers_told.keys():
            if not _holds(card, contact_id, numbers_told[contact_id]):
                unknown.add(contact_id)
    return numbers_told.keys() - unknown


def _holds(card: Card, contact_id: int, numbers_told: Sequence[str] | None) -> bool:
    if numbers_told is None:
        return False
    keys = {phone.key for phone in phones_of(numbers_told, card.lead.pipeline)}
    further = list(card.lead.further_addresses.all())
    stood = {address.key for address in further if address.seen_in == str(contact_id)}
    if contact_id in (card.kommo_contact_id, card.own_contact_id) and card.lead.phone_key in keys:
        return stood <= keys and keys == stood | {card.lead.phone_key}
    return stood == keys - {card.lead.phone_key} and bool(card.lead.phone)


def _to_read(card: Card, reply: LeadReply | None, changed: set[int], *, all_of_them: bool) -> set[int]:
    known = _contacts_of(card)
    here = set(reply.contact_ids) if reply else set(known)
    # A card that lost a contact needs no reading; one without a number asks for all it may have one in.
    new = here if card.lead.phone is None or all_of_them else here - known
    return {contact_id for contact_id in new | (here & changed) if contact_id}


def _meet(
    card: Card,
    reply: LeadReply | None,
    contacts: Mapping[int, ContactReply],
    wanted: set[int],
    catalogue: Catalogue | None,
    now: datetime,
) -> bool:
    pipeline = card.lead.pipeline
    if reply is not None:
        known = _contacts_of(card)
        theirs = numbers_of(
            reply,
            {contact_id: contacts[contact_id] for contact_id in wanted if contact_id in contacts},
            pipeline,
            catalogue,
        )
        if theirs.all or set(reply.contact_ids) != known:
            return keep(card, reply, theirs, now=now)
        return False
    theirs = Numbers(
        {
            contact_id: phones_of(contacts[contact_id].phones, pipeline)
            for contact_id in wanted
            if contact_id in contacts
        }
    )
    return _learn(card, theirs, now)


def _learn(card: Card, theirs: Numbers, now: datetime) -> bool:
    lead, before, changed = card.lead, card.lead.phone and card.lead.phone_key, False
    unwelcome = {key for key in theirs.keys if erasure.is_unwelcome(key)}
    foremost = next(({phone.key for phone in phones} for phones in theirs.by_place.values() if phones), set())
    if unwelcome & foremost and lead.phone_key is None and not address_owners.has_talked(lead):
        # Taken in before anybody could know whose it is. Of somebody who is known besides it proves nothing.
        erasure.erase(lead, by=Lead.Actor.BRIDGE, now=now)
        return True
    own = card.own_contact_id or card.kommo_contact_id
    for place, phones in theirs.by_place.items():
        # Where the number on the row stood, another one stands now.
        corrects = place == own and before not in theirs.keys
        welcome = [phone for phone in phones if phone.key not in unwelcome]
        changed |= address_owners.learn(
            lead, welcome, seen_in=str(place), now=now, corrects=corrects, may_be_another=place not in (own, FIELD)
        )
    if changed:
        beginning = f"{(lead.phone or '')[:6]}…"
        reason = Reason("numbers_changed_in_kommo" if before else "contact_has_phone_now", a=beginning)
        lead.events.create(at=now, kind=Event.Kind.CARD, actor=Lead.Actor.STAFF, reason=reason)
    return changed


def _in_field(reply: LeadReply, pipeline: Pipeline, catalogue: Catalogue | None) -> list[str]:
    field_id = phone_field_id(pipeline, catalogue)
    if field_id is None:
        return []
    values = [custom_field.values for custom_field in reply.custom_fields if custom_field.field_id == field_id]
    return [str(value.get("value") or "") for found in values for value in found]


def phone_field_id(pipeline: Pipeline, catalogue: Catalogue | None) -> int | None:
    """Return the field of the account's leads that holds the phone, by the name staff gave; None for none."""
    wanted = name_key(pipeline.phone_field)
    if not wanted or catalogue is None:
        return None
    return next(
        (int(lead_field["id"]) for lead_field in catalogue.lead_fields if name_key(lead_field["name"]) == wanted), None
    )
