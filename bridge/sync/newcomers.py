"""Leads born in Kommo: linked to the lead we know by phone, or taken in as a lead without a conversation.

Their contact, and its phone, may come later than the lead; what was taken in without one learns it then, so that the
person's first message finds their card.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q

from bridge.kommo.client import KommoClient
from bridge.kommo.replies import ContactReply, LeadReply
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, Catalogue, WebhookItem
from bridge.sync import merges
from bridge.sync.observe import link, persons_name
from bridge.sync.outbox import requeue
from leads import erasure, optout
from leads.models import Event, Lead, Pipeline
from leads.phone import Phone, PhoneError, parse
from leads.rulebook import rulebook

CONTACTS_PER_READ = 250
INCOMING = 1  # the type of the status of leads nobody has accepted yet

Result = WebhookItem.Result


def our_pipelines(account: Account) -> dict[int, Pipeline]:
    """Return the pipelines whose cards this account holds, by Kommo's id."""
    rows = Pipeline.objects.filter(account_link__account=account, kommo_pipeline_id__isnull=False)
    return {row.kommo_pipeline_id: row for row in rows if row.kommo_pipeline_id is not None}


def would_take_in(account: Account, replies: Sequence[LeadReply], catalogue: Catalogue | None) -> list[int]:
    """Return the ids of the leads that `take_in` would look at: in our pipelines, accepted, and nobody's card yet."""
    pipelines = our_pipelines(account) if replies else {}
    wanted = [reply for reply in replies if reply.pipeline_id in pipelines and not is_incoming(reply, catalogue)]
    ours = _cards_they_name(account, wanted)
    return [reply.id for reply in wanted if str(_bridge_id(account, reply)) not in ours]


def take_in(
    account: Account,
    replies: Sequence[LeadReply],
    client: KommoClient,
    catalogue: Catalogue | None,
    *,
    now: datetime,
    lane: Lane = Lane.BULK,
) -> dict[int, str]:
    """Link or take in leads that no card of ours shows; return Kommo id -> what became of each. Raises KommoError.

    Leads of pipelines that are not ours, and those still in Incoming leads, stay Kommo's own. Costs one call for the
    contacts of up to 250 leads.
    """
    results: dict[int, str] = dict.fromkeys((reply.id for reply in replies), Result.IGNORED.value)
    pipelines = our_pipelines(account) if replies else {}
    wanted = [reply for reply in replies if reply.pipeline_id in pipelines and not is_incoming(reply, catalogue)]
    ours = _cards_they_name(account, wanted)
    strangers: list[LeadReply] = []
    for reply in wanted:
        card = ours.get(str(_bridge_id(account, reply)))
        if card is None:
            strangers.append(reply)
        else:
            results[reply.id] = _known_by_our_id(card, reply, now)
    contacts = _contacts(client, (reply.main_contact_id for reply in strangers), lane)
    for reply in strangers:
        phone = _phone_in(contacts.get(reply.main_contact_id or 0), pipelines[reply.pipeline_id])
        results[reply.id] = _link_or_make(account, reply, pipelines[reply.pipeline_id], phone, catalogue, now)
    return results


def learn_phones(
    account: Account,
    client: KommoClient,
    *,
    contact_ids: Iterable[int],
    lead_ids: Iterable[int | None],
    now: datetime,
    lane: Lane = Lane.BULK,
) -> set[int]:
    """Give leads without a phone that of their contact; return the contacts that had one to give. Raises KommoError.

    Looks only at the cards of these contacts or leads, and asks Kommo only when one of them has no phone.
    """
    waiting = Card.objects.filter(
        Q(kommo_contact_id__in=set(contact_ids)) | Q(kommo_lead_id__in={one for one in lead_ids if one}),
        account=account,
        kommo_contact_id__isnull=False,
        lead__phone_key=None,
        lead__erased_at=None,
    )
    cards = list(waiting.select_related("lead__pipeline"))
    contacts = _contacts(client, (card.kommo_contact_id for card in cards), lane)
    learnt: set[int] = set()
    for card in cards:
        phone = _phone_in(contacts.get(card.kommo_contact_id or 0), card.lead.pipeline)
        if phone and erasure.is_unwelcome(phone.key):
            # Taken in before anybody could know whose it is.
            erasure.erase(card.lead, by=Lead.Actor.BRIDGE, now=now)
        elif phone and _give_phone(card, phone, now):
            learnt.add(card.kommo_contact_id or 0)
    return learnt


def is_incoming(reply: LeadReply, catalogue: Catalogue | None) -> bool:
    status = catalogue.status(reply.pipeline_id, reply.status_id) if catalogue else None
    return bool(status and status["type"] == INCOMING)


def _bridge_id(account: Account, reply: LeadReply) -> object:
    return reply.field_value(account.bridge_id_field_id) if account.bridge_id_field_id else None


def _cards_they_name(account: Account, replies: Sequence[LeadReply]) -> dict[str, Card]:
    """Return lead id -> card, for the leads of ours these carry the id of."""
    named = {text for reply in replies if (text := str(_bridge_id(account, reply) or "")) and len(text) == 36}
    cards = Card.objects.filter(account=account, lead_id__in=named).select_related("lead") if named else ()
    return {str(card.lead_id): card for card in cards}


def _known_by_our_id(card: Card, reply: LeadReply, now: datetime) -> str:
    """Our own create before its answer was settled; or what a vanished lead was merged into; or a copy of a card."""
    if card.lead.erased_at:
        # Made before its person was erased, as it turns out: known by its ids, nothing more is kept of it.
        ids = {"kommo_lead_id": reply.id, "kommo_contact_id": reply.main_contact_id}
        Card.objects.filter(pk=card.pk, kommo_lead_id=None).update(**ids)
        return Result.FORGOTTEN
    if card.kommo_lead_id is None:
        return Result.ECHO
    if card.state == Card.State.GONE:
        return Result.ADOPTED if merges.relink(card, reply, now=now) else Result.UNCHANGED
    # Copied together with its fields: a deal of the sales staff's own.
    return Result.IGNORED


def _contacts(client: KommoClient, ids: Iterable[int | None], lane: Lane) -> dict[int, ContactReply]:
    wanted = sorted({one for one in ids if one})
    found: dict[int, ContactReply] = {}
    for start in range(0, len(wanted), CONTACTS_PER_READ):
        part = wanted[start : start + CONTACTS_PER_READ]
        found |= {reply.id: reply for reply in client.contacts(ids=part, lane=lane)}
    return found


def _phone_in(contact: ContactReply | None, pipeline: Pipeline) -> Phone | None:
    for number in contact.phones if contact else ():
        try:
            return parse(number, region=pipeline.phone_region)
        except PhoneError:
            continue
    return None


def _link_or_make(
    account: Account,
    reply: LeadReply,
    pipeline: Pipeline,
    phone: Phone | None,
    catalogue: Catalogue | None,
    now: datetime,
) -> str:
    try:
        with transaction.atomic():
            known = (
                Lead.objects.select_for_update(no_key=True).filter(pipeline=pipeline, phone_key=phone.key).first()
                if phone
                else None
            )
            if known is not None:
                return _link_to(known, account, reply, now)
            if phone and erasure.is_unwelcome(phone.key):
                return Result.FORGOTTEN
            _new_lead(account, reply, pipeline, phone, catalogue, now)
            return Result.ADOPTED
    except IntegrityError:
        # Somebody else took it in, or the first message of this person arrived, at this very moment.
        return Result.UNCHANGED


def _link_to(lead: Lead, account: Account, reply: LeadReply, now: datetime) -> str:
    card = Card.objects.select_for_update(no_key=True).filter(lead=lead).first()
    if card is None:
        card = Card(lead=lead, account=account, due_at=now, pending_since=now)
    elif card.state == Card.State.GONE:
        # Staff deleted the card and made this one in its place.
        card.state = Card.State.IN_SYNC
    elif card.kommo_lead_id or card.create_intent_at or card.state == Card.State.CLOSED:
        # This person has a card: a second lead of theirs in Kommo is a deal of the sales staff's own.
        return Result.IGNORED
    link(card, reply)
    card.observed_at = now
    card.save()
    requeue(Card.objects.filter(pk=card.pk), now=now, lane=Card.Lane.LIVE)
    _tell(lead, f"linked to lead {reply.id}, which staff had made in Kommo", now)
    return Result.ADOPTED


def _new_lead(
    account: Account,
    reply: LeadReply,
    pipeline: Pipeline,
    phone: Phone | None,
    catalogue: Catalogue | None,
    now: datetime,
) -> None:
    book = rulebook(pipeline)
    stage = book.stages_by_status_id.get(reply.status_id)
    status = catalogue.status(reply.pipeline_id, reply.status_id) if catalogue else None
    lead = Lead(
        pipeline=pipeline,
        phone=phone.e164 if phone else None,
        phone_key=phone.key if phone else None,
        name=persons_name(reply.name, reply.id)[:250],
        stage=stage,
        other_stage_name="" if stage else str(status["name"] if status else reply.status_id),
        # Found, not placed: nobody was seen to move it there, so rules may move it on.
        stage_set_by=Lead.Actor.KOMMO,
        stage_set_at=now,
        decision_reason="made by staff in Kommo",
        created_at=now,
        updated_at=now,
    )
    erasure.meet([lead])
    optout.meet([lead], now=now)
    # Without the signal: there is nothing to deliver to a card that was just read.
    Lead.objects.bulk_create([lead])
    card = Card(lead=lead, account=account, state=Card.State.IN_SYNC, observed_at=now, synced_at=now)
    link(card, reply)
    card.save()
    _tell(lead, f"taken in from Kommo: lead {reply.id} was made by staff", now)


def _give_phone(card: Card, phone: Phone, now: datetime) -> bool:
    """Let a lead have the phone of its contact; False when another lead of the pipeline has it already."""
    lead = card.lead
    try:
        with transaction.atomic():
            free = Lead.objects.filter(pk=lead.pk, phone_key=None)
            lead.phone, lead.phone_key = phone.e164, phone.key
            optout.meet([lead], now=now)
            said_at = lead.opted_out_at
            if not free.update(phone=phone.e164, phone_key=phone.key, opted_out_at=said_at, updated_at=now):
                return False
            _tell(lead, f"its contact in Kommo has a phone now: {phone.e164[:6]}…", now)
    except IntegrityError:
        return False
    return True


def _tell(lead: Lead, reason: str, now: datetime) -> None:
    lead.events.create(at=now, kind=Event.Kind.CARD, actor=Lead.Actor.STAFF, reason=reason)
