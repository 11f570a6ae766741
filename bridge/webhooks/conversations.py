"""Kommo's chats as the conversation of a pipeline: what leads, people and bots wrote there is recorded, each once.

Only where a pipeline says that its conversations are Kommo's. Whose message it is says its lead; that of a chat which
is no lead's yet, its contact. A lead that still stands in Incoming leads is a person all the same: they get a lead
here, and no card of ours, for theirs is there and waits to be accepted. What belongs to nobody yet waits, and is looked
at again with every round, for an hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from django.core.cache import cache
from django.db import transaction
from django.db.models import Q

from bridge.account_traits import Trait
from bridge.accounts import refusals
from bridge.inbound import leads_begun_in_kommo, other_bots_answer, people_on_cards
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import ContactReply, LeadReply
from bridge.kommo.throttle import Lane
from bridge.kommo.what_an_error_stops import Purpose
from bridge.models import Account, Card, Catalogue, WebhookItem
from bridge.webhooks import chat_items, followups_in_chats
from bridge.webhooks.chat_items import BOT, LEAD, PERSON, UNSAID, Chat
from leads import address_owners, message_parts, messages_without_words
from leads.addresses import Address, AddressError, of_key, of_phone, parse
from leads.erasure import ForgottenError
from leads.interaction_values import Direction, Interaction, Message, Recorded
from leads.interactions import record_all
from leads.models import FurtherAddress, Lead, Pipeline

# The channel such messages are told to have come by.
VIA = "kommo"
LOOKED_AT_FOR = timedelta(hours=1)
MOST_UNLINKED = 200
# A lead that is none of ours is not read for every message of its chat.
STRANGER_FOR_SECONDS = 600

Result = WebhookItem.Result


@dataclass
class Said:
    """A message with whose it turns out to be."""

    item: WebhookItem
    chat: Chat
    heard_at: datetime
    # What the lead is known by here: its row, or the lead of Kommo's that still stands in Incoming leads.
    lead: Lead | None = None
    incoming: LeadReply | None = None
    pipeline: Pipeline | None = None
    addresses: tuple[Address, ...] = ()


@dataclass
class Round:
    """What is known while the messages of one round are looked at. `pipelines`: by our id, those that talk in Kommo."""

    account: Account
    client: KommoClient
    catalogue: Catalogue | None
    now: datetime
    pipelines: Mapping[int, Pipeline]
    chat_messages: list[Said] = field(default_factory=list)


def listen(
    account: Account, client: KommoClient, catalogue: Catalogue | None, items: Iterable[WebhookItem], *, now: datetime
) -> Round | None:
    """Return what of these items is conversation, with what waits since earlier; None where no pipeline talks in Kommo.

    One query where none does, and no message among the items; two otherwise.
    """
    talk_items = [item for item in items if item.entity in ("message", "talk", "unsorted", "lead", "contact")]
    rows = Pipeline.objects.filter(account_link__account=account, conversations=Pipeline.Conversations.KOMMO)
    pipelines = {row.pk: row for row in rows} if talk_items else {}
    if not pipelines:
        return None
    current = Round(account, client, catalogue, now, pipelines)
    unlinked = WebhookItem.objects.filter(
        result=Result.UNLINKED, event__account=account, event__received_at__gt=now - LOOKED_AT_FOR
    )
    waiting = unlinked.select_related("event").order_by("pk")[:MOST_UNLINKED]
    messages = [item for item in talk_items if item.entity == "message" and item.result != Result.FORGOTTEN]
    for place, item in enumerate([*waiting, *messages]):
        if chat := chat_items.read(item.action, item.data):
            # Messages of one body keep their order.
            heard_at = item.event.received_at + timedelta(microseconds=place)
            current.chat_messages.append(Said(item, chat, heard_at))
    return current


def strangers(current: Round) -> set[int]:
    """Return the leads of Kommo's that must be read to know whether these messages are of ours. One query."""
    ids = {chat_message.chat.lead_id for chat_message in current.chat_messages if chat_message.chat.lead_id}
    known = Card.objects.filter(account=current.account, kommo_lead_id__in=ids) if ids else Card.objects.none()
    unknown = ids - set(known.values_list("kommo_lead_id", flat=True)) if ids else set()
    elsewhere = (
        cache.get_many([_stranger(current.account, chat_message) for chat_message in unknown]) if unknown else {}
    )
    return {chat_message for chat_message in unknown if _stranger(current.account, chat_message) not in elsewhere}


def take(current: Round, readings: Mapping[int, LeadReply]) -> None:
    """Record the messages; each item gets its result. Raises KommoError.

    readings: leads of Kommo's as they were read in this round, by id. Contacts of leads in Incoming leads, and of chats
    that are nobody's, are read together, one call each.
    """
    if not current.chat_messages:
        return
    _by_cards(current)
    _by_address(current)
    unknown = [chat_message for chat_message in current.chat_messages if chat_message.lead is None]
    readings = {**readings, **_of_contacts(current, unknown)}
    if unknown and readings:
        # What was read was taken in meanwhile, where it could be.
        _by_cards(current)
    _by_incoming(current, readings)
    _by_chat(current)
    _note_strangers(current, readings)
    ready = [chat_message for chat_message in current.chat_messages if chat_message.pipeline]
    for chat_message in current.chat_messages:
        if not chat_message.pipeline:
            waits = not chat_message.chat.lead_id and chat_message.heard_at > current.now - LOOKED_AT_FOR
            chat_message.item.result = Result.UNLINKED if waits else Result.IGNORED
    for chat_message in ready:
        if _is_ours(chat_message, current.now):
            chat_message.item.result = Result.ECHO
    ready = [chat_message for chat_message in ready if chat_message.item.result != Result.ECHO]
    for chat_message in ready:
        chat_message.chat = _with_author(current.account, chat_message.chat)
        if chat_message.chat.author == UNSAID:
            # Told again with its author, or by the events feed, which is asked for it: nobody is blamed for it here.
            chat_message.pipeline, chat_message.item.result = None, Result.IGNORED
    ready = [chat_message for chat_message in ready if chat_message.pipeline]
    in_order = sorted(ready, key=lambda chat_message: (_at(chat_message), chat_message.heard_at))
    for some in _rounds(in_order):
        for pipeline in {
            chat_message.pipeline.pk: chat_message.pipeline for chat_message in some if chat_message.pipeline
        }.values():
            _record(current, [chat_message for chat_message in some if chat_message.pipeline == pipeline], pipeline)


# --- Whose message it is


def _by_cards(current: Round) -> None:
    missing = [chat_message for chat_message in current.chat_messages if chat_message.lead is None]
    lead_ids = {chat_message.chat.lead_id for chat_message in missing if chat_message.chat.lead_id}
    # Of a chat that is no lead's, or of a second deal of the same person, whose contact is known.
    contact_ids = {chat_message.chat.contact_id for chat_message in missing if chat_message.chat.contact_id}
    if not missing or not (lead_ids or contact_ids):
        return
    about = (
        Q(kommo_lead_id__in=lead_ids)
        | Q(kommo_contact_id__in=contact_ids)
        | Q(own_contact_id__in=contact_ids)
        | Q(other_contacts__kommo_contact_id__in=contact_ids)
    )
    rows = Card.objects.filter(about, account=current.account, lead__pipeline__in=list(current.pipelines))
    cards = list(
        rows.exclude(state=Card.State.CLOSED)
        .select_related("lead")
        .prefetch_related("other_contacts", "lead__further_addresses")
        .distinct()
        .order_by("-pk")
    )
    by_lead = {card.kommo_lead_id: card for card in cards if card.kommo_lead_id}
    by_contact: dict[int, Card] = {}
    for card in cards:
        contacts = (
            card.kommo_contact_id,
            card.own_contact_id,
            *(contact.kommo_contact_id for contact in card.other_contacts.all()),
        )
        for contact_id in contacts:
            by_contact.setdefault(contact_id or 0, card)
    for chat_message in missing:
        found = by_lead.get(chat_message.chat.lead_id) or (
            by_contact.get(chat_message.chat.contact_id) if chat_message.chat.contact_id else None
        )
        if found is not None:
            _is_of(current, chat_message, found.lead)


def _by_address(current: Round) -> None:
    """Find who is known by the chat or the contact alone: leads whose card is still to be accepted or made."""
    missing = [chat_message for chat_message in current.chat_messages if chat_message.lead is None]
    keys = {address.key for chat_message in missing for address in _addresses(chat_message.chat, "")}
    if not keys:
        return
    further = FurtherAddress.objects.filter(pipeline__in=list(current.pipelines), key__in=keys).select_related("lead")
    owners = {row.key: row.lead for row in further}
    first = Lead.objects.filter(pipeline__in=list(current.pipelines), phone_key__in=keys)
    owners |= {str(lead.phone_key): lead for lead in first}
    for chat_message in missing:
        found = (owners.get(address.key) for address in _addresses(chat_message.chat, ""))
        if lead := next(filter(None, found), None):
            _is_of(current, chat_message, lead)


def _is_of(current: Round, chat_message: Said, lead: Lead) -> None:
    pipeline = current.pipelines[lead.pipeline_id]
    own = (of_key(lead.phone_key, value=lead.phone or ""),) if lead.phone_key else ()
    theirs = _addresses(chat_message.chat, pipeline.phone_region)
    if not own and theirs:
        # Found in Kommo without a number: by its chat it is somebody.
        address_owners.introduce(lead, theirs, now=current.now)
    chat_message.lead, chat_message.pipeline, chat_message.addresses = lead, pipeline, (*own, *theirs)


def _of_contacts(current: Round, unknown: Sequence[Said]) -> dict[int, LeadReply]:
    """Return the leads of contacts whose chat is no lead's yet, once they have one; what can be is taken in."""
    ids = {
        chat_message.chat.contact_id
        for chat_message in unknown
        if not chat_message.chat.lead_id and chat_message.chat.contact_id
    }
    if not ids:
        return {}
    found = refusals.aside(
        current.account,
        current.client,
        Purpose.CONTACTS,
        lambda: current.client.contacts(ids=sorted(ids), with_leads=True, lane=Lane.LIVE),
        now=current.now,
    )
    leads_of = {reply.id: reply.lead_ids for reply in found or () if reply.id in ids}
    wanted = sorted({lead_id for lead_ids in leads_of.values() for lead_id in lead_ids})
    if not wanted:
        return {}
    read = current.client.iterate_leads(ids=wanted[:250], with_=("contacts",), limit=250, lane=Lane.LIVE)
    replies = {reply.id: reply for reply in read if reply.id in wanted and not reply.is_deleted}
    leads_begun_in_kommo.take_in(
        current.account, list(replies.values()), current.client, current.catalogue, now=current.now, lane=Lane.LIVE
    )
    return replies


def _by_incoming(current: Round, readings: Mapping[int, LeadReply]) -> None:
    by_kommo_id = {row.kommo_pipeline_id: row for row in current.pipelines.values() if row.kommo_pipeline_id}
    incoming = {
        reply.id: reply
        for reply in readings.values()
        if reply.pipeline_id in by_kommo_id and leads_begun_in_kommo.is_incoming(reply, current.catalogue)
    }
    by_contact = {contact: reply for reply in incoming.values() for contact in reply.contact_ids}
    missing = [chat_message for chat_message in current.chat_messages if chat_message.lead is None]
    for chat_message in missing:
        chat_message.incoming = incoming.get(chat_message.chat.lead_id)
        if chat_message.incoming is None and not chat_message.chat.lead_id:
            chat_message.incoming = by_contact.get(chat_message.chat.contact_id)
    waiting = [chat_message for chat_message in missing if chat_message.incoming]
    contact_ids = {
        contact for chat_message in waiting if chat_message.incoming for contact in chat_message.incoming.contact_ids
    }
    contacts = (
        people_on_cards.ask(current.account, current.client, contact_ids, Lane.LIVE, now=current.now) if waiting else {}
    )
    for chat_message in waiting:
        assert chat_message.incoming is not None
        chat_message.pipeline = by_kommo_id[chat_message.incoming.pipeline_id]
        chat_message.addresses = (
            *_numbers(chat_message.incoming, contacts or {}, chat_message.pipeline),
            *_addresses(chat_message.chat, ""),
        )
        if not chat_message.addresses:
            chat_message.pipeline = None


def _by_chat(current: Round) -> None:
    """Give a message the lead of another one of the same chat, which says whose it is."""
    known = {
        chat_message.chat.chat_id: chat_message
        for chat_message in current.chat_messages
        if chat_message.pipeline and chat_message.chat.chat_id
    }
    for chat_message in current.chat_messages:
        if (
            chat_message.pipeline is None
            and not chat_message.chat.lead_id
            and (other := known.get(chat_message.chat.chat_id))
        ):
            chat_message.lead, chat_message.incoming, chat_message.pipeline = other.lead, other.incoming, other.pipeline
            chat_message.addresses = other.addresses


def _numbers(reply: LeadReply, contacts: Mapping[int, ContactReply], pipeline: Pipeline) -> tuple[Address, ...]:
    texts = [text for contact_id in reply.contact_ids if contact_id in contacts for text in contacts[contact_id].phones]
    return tuple(of_phone(phone) for phone in people_on_cards.phones_of(texts, pipeline))


def _note_strangers(current: Round, readings: Mapping[int, LeadReply]) -> None:
    ours = {row.kommo_pipeline_id for row in current.pipelines.values()}
    elsewhere = {reply.id for reply in readings.values() if reply.pipeline_id not in ours}
    if elsewhere:
        cache.set_many(
            {_stranger(current.account, chat_message): 1 for chat_message in elsewhere}, STRANGER_FOR_SECONDS
        )


def _stranger(account: Account, kommo_lead_id: int) -> str:
    return f"no-chat-of-ours:{account.pk}:{kommo_lead_id}"


def _addresses(chat: Chat, region: str) -> tuple[Address, ...]:
    found = []
    for kind, value in (("kommo_chat", chat.chat_id), ("kommo_contact", str(chat.contact_id or ""))):
        with suppress(AddressError):
            found.append(parse(kind, value, region=region))
    return tuple(found)


# --- Recording it


def _is_ours(chat_message: Said, now: datetime) -> bool:
    """Say whether a bot's words are a message of ours on its way, which has arrived with that, or a follow-up."""
    if chat_message.chat.author not in (BOT, UNSAID) or chat_message.lead is None:
        return False
    at = min(_at(chat_message), now)
    if message_parts.arrived(
        [chat_message.lead.pk], chat_message.chat.text, their_id=chat_message.chat.id, at=at, now=now
    ):
        return True
    return followups_in_chats.note_said(chat_message.lead, chat_message.chat, via=VIA, at=at, now=now)


def _with_author(account: Account, chat: Chat) -> Chat:
    """Say who wrote where the webhook names but a user: a person, unless that user is known to write as a bot."""
    if chat.author != UNSAID or not chat.user_id:
        return chat
    is_robot = chat.user_id in account.traits.get(Trait.ROBOT_USERS, ())
    return replace(chat, author=BOT if is_robot else PERSON)


def _rounds(left: list[Said]) -> Iterator[list[Said]]:
    """Split messages so that in each part every person comes once; the order of each person's stays."""
    while left:
        seen: set[tuple[int, str]] = set()
        now_on: list[Said] = []
        later: list[Said] = []
        for chat_message in left:
            who = {
                (chat_message.pipeline.pk if chat_message.pipeline else 0, address.key)
                for address in chat_message.addresses
            }
            (later if who & seen else now_on).append(chat_message)
            seen |= who
        yield now_on
        left = later


def _record(current: Round, some: Sequence[Said], pipeline: Pipeline) -> None:
    try:
        with transaction.atomic():
            recorded = record_all(
                [_interaction(current, chat_message, pipeline) for chat_message in some],
                pipeline=pipeline,
                now=current.now,
            )
            for chat_message, result in zip(some, recorded, strict=True):
                if chat_message.incoming is not None:
                    # Theirs is there: it is linked once it is accepted, and nothing is made beside it.
                    people_on_cards.name_card(result.lead, chat_message.incoming.id)
    except ForgottenError:
        if len(some) == 1:
            some[0].item.result = Result.FORGOTTEN
            return
        for chat_message in some:
            _record(current, [chat_message], pipeline)
        return
    for chat_message, result in zip(some, recorded, strict=True):
        chat_message.item.result = Result.UNCHANGED if result.interaction.is_told_before else Result.ADOPTED
        _tell_of_bots(current, chat_message, result)


def _tell_of_bots(current: Round, chat_message: Said, result: Recorded) -> None:
    """Let staff be told of a bot that answers their leads."""
    message = result.interaction.message
    if message and message.direction is Direction.BOT:
        other_bots_answer.note_message(
            current.account,
            lead_id=chat_message.chat.lead_id,
            contact_id=chat_message.chat.contact_id,
            at=int(_at(chat_message).timestamp()),
            text=message.text,
        )


def _interaction(current: Round, chat_message: Said, pipeline: Pipeline) -> Interaction:
    chat, at = chat_message.chat, min(_at(chat_message), current.now)
    direction = _direction(current.account, chat)
    return Interaction(
        phone=None,
        addresses=chat_message.addresses,
        occurred_at=at,
        hints={"name": chat.name} if direction is Direction.INBOUND and chat.name else {},
        message=Message(
            direction=direction,
            id=chat.id,
            sent_at=at,
            text=chat.text if chat.text.strip() else messages_without_words.shown(chat.kind, pipeline.locale),
            author=chat.name if direction in (Direction.STAFF, Direction.BOT) else "",
            kind=chat.kind,
            attachments=(chat.attachment,) if chat.attachment else (),
        ),
        via=VIA,
        heard_at=chat_message.heard_at,
    )


def _direction(account: Account, chat: Chat) -> Direction:
    """Say who wrote: what our own user wrote, by hand or by the API, is the agent's side; another program is a bot."""
    if chat.author == LEAD:
        return Direction.INBOUND
    if chat.user_id and chat.user_id == account.kommo_user_id:
        return Direction.OUTBOUND
    return Direction.BOT if chat.author == BOT else Direction.STAFF


def _at(chat_message: Said) -> datetime:
    return (
        min(datetime.fromtimestamp(chat_message.chat.at, UTC), chat_message.heard_at)
        if chat_message.chat.at
        else chat_message.heard_at
    )


def heard_here(current: Round | None) -> Collection[int]:
    """Return which items were conversation: whoever wrote in it has been heard."""
    if current is None:
        return ()
    return {chat_message.item.pk for chat_message in current.chat_messages if chat_message.pipeline}
