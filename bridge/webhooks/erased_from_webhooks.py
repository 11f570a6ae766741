"""Of people who were erased no webhook keeps anything: what their bodies told goes, and what comes later is not kept.

A body may tell of many leads at once, so what is theirs is taken out of it and the rest stays, to be read again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast

from bridge import words_of_a_person
from bridge.models import Account, Card, WebhookEvent, WebhookItem
from bridge.webhooks import parsing
from leads import address_owners, erasure
from leads.addresses import AddressError, Kind
from leads.addresses import parse as parse_address
from leads.models import JoinedLead, Lead, Pipeline
from leads.phone import PhoneError, parse

AT_ONCE = 200
EVENTS_IN_A_PART = 10_000
PLAIN_KEY = re.compile(r"\w++", re.ASCII)
CODED = re.compile(rb"%([0-9a-fA-F]{2})")
BYTES = {f"{value:02x}".encode(): bytes([value]) for value in range(256)}
Told = TypeVar("Told", parsing.Item, WebhookItem)


@dataclass(frozen=True)
class Traces:
    """By which a person is found in what Kommo sent: ids of leads and contacts, names, other words, keys of phones.

    names: what others may be called as well. words: addresses, which are nobody else's. Either counts as a whole word.
    chats: ids of their chats, which a message may name alone. region: where a phone without its country is from.
    """

    leads: frozenset[int] = frozenset()
    contacts: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    chats: frozenset[str] = frozenset()
    region: str = ""

    @classmethod
    def of(cls, lead: Lead, cards: Iterable[Card], names: Iterable[str]) -> Traces:
        """Return the traces of a lead that is about to be erased; `names`: how they were called so far."""
        addresses = words_of_a_person.reached_at(lead) | _spellings(lead.phone or "")
        named = cls(
            names=frozenset(name.strip().casefold() for name in words_of_a_person.telling(lead, names)),
            words=frozenset(word.casefold() for word in addresses if word),
            phones=frozenset(key for key in lead.address_keys if key.startswith("+")),
            chats=frozenset(entry["value"] for entry in lead.addresses if entry["kind"] == Kind.KOMMO_CHAT),
            region=lead.pipeline.phone_region,
        )
        return named | cls.of_cards(cards)

    @classmethod
    def of_cards(cls, cards: Iterable[Card]) -> Traces:
        rows = list(cards)
        contacts = {
            contact_id for card in rows for contact_id in (card.kommo_contact_id, card.own_contact_id) if contact_id
        }
        # Whose contact it is today may have written again, and is known anew; or staff made one contact of two.
        contacts -= _contacts_of_living(contacts, but=rows)
        return cls(frozenset(card.kommo_lead_id for card in rows if card.kommo_lead_id), frozenset(contacts))

    @classmethod
    def of_joined(cls, lead_ids: Collection[UUID]) -> Traces:
        """Return the leads in Kommo that were left behind there when others turned out to be these."""
        left = JoinedLead.objects.filter(lead__in=lead_ids, kommo_lead_id__isnull=False)
        return cls(frozenset(lead_id or 0 for lead_id in left.values_list("kommo_lead_id", flat=True)))

    def __or__(self, other: Traces) -> Traces:
        return Traces(
            self.leads | other.leads,
            self.contacts | other.contacts,
            self.names | other.names,
            self.words | other.words,
            self.phones | other.phones,
            self.chats | other.chats,
            self.region or other.region,
        )

    def __bool__(self) -> bool:
        return bool(self.leads or self.contacts or self.names or self.words or self.phones or self.chats)

    def are_in(self, item: parsing.Item | WebhookItem, *, is_unread: bool = False) -> bool:
        """Say whether an entity is theirs, is about them, or names them.

        A message that nobody has read yet is theirs by an id alone: whoever wrote it may be called the same, or speak
        of them, and it is told but once. By whom it is the reader sees, and keeps nothing of who was erased.
        """
        if self.are_meant_by(item):
            return True
        if is_unread and is_message(item):
            return False
        return self.are_named_in("\n".join(_told(item.data)).casefold()) or self._have_a_phone_in(item)

    def are_meant_by(self, item: parsing.Item | WebhookItem) -> bool:
        """Say whether an entity is theirs, or about them, by an id."""
        if item.entity == "contact" and item.kommo_id in self.contacts:
            return True
        return self.have_the_lead_of(item) or not parsing.references(item.data).isdisjoint(self.contacts)

    def have_the_lead_of(self, item: parsing.Item | WebhookItem) -> bool:
        """Say so by what nobody shares with them: a lead or a chat."""
        if item.entity in ("lead", "unsorted") and item.kommo_id in self.leads:
            return True
        return not parsing.references(item.data).isdisjoint(self.leads) or _chat_of(item) in self.chats

    def are_named_in(self, text: str) -> bool:
        """Say whether a text without capital letters has a name of theirs, or an address."""
        return bool(self._any_word.search(text))

    @cached_property
    def _any_word(self) -> re.Pattern[str]:
        return re.compile("|".join(map(words_of_a_person.whole_word, sorted(self.names | self.words))) or "(?!)")

    def _have_a_phone_in(self, item: parsing.Item | WebhookItem) -> bool:
        return bool(self.phones) and not self.phones.isdisjoint(_keys(parsing.phones(item.data), self.region))

    @property
    def marks(self) -> set[str]:
        """Return what stands in the text of every phone of theirs: people put no blank between the last four digits."""
        return {key[-4:] for key in self.phones}


def is_message(item: parsing.Item | WebhookItem) -> bool:
    """Say whether an entity is what somebody said, which no reading of a card tells again."""
    return item.entity == "message"


def _told(value: Any) -> Iterator[str]:
    """Give what an entity tells; names of what is told are words of Kommo's, unless they are odd."""
    if isinstance(value, dict):
        yield from (str(key) for key in value if not PLAIN_KEY.fullmatch(str(key)))
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _told(inner)
    if isinstance(value, str | int | float):
        yield str(value)


def _spellings(phone: str) -> set[str]:
    digits = phone.lstrip("+")
    return {digits, digits[2:]} if len(digits) > 10 else {digits}


def among(account: Account, items: Sequence[parsing.Item | WebhookItem]) -> Traces:
    """Return the traces of erased people that these entities may hold: whom we knew, and new contacts of theirs."""
    ids = {
        reference
        for item in items
        for reference in (item.kommo_id, *parsing.references(item.data))
        if reference is not None
    }
    erased = Card.objects.filter(account=account, lead__erased_at__isnull=False)
    named = Q(kommo_lead_id__in=ids) | Q(kommo_contact_id__in=ids) | Q(own_contact_id__in=ids)
    cards = list(erased.filter(named)) if ids else []
    left = JoinedLead.objects.filter(kommo_lead_id__in=ids, lead__erased_at__isnull=False)
    known = Traces.of_joined(list(left.values_list("lead_id", flat=True))) if ids else Traces()
    known |= Traces.of_cards(cards) if cards else Traces()
    return known | _with_their_address(account, items)


def theirs(account: Account, items: Sequence[WebhookItem]) -> tuple[list[WebhookItem], list[WebhookItem]]:
    """Return what is told of erased people, and what is told of others with an address of theirs in it.

    A number or a contact does not make a living person's message or card theirs: a couple may share one, staff make one
    contact of two, and people write the numbers of others.
    """
    traces = among(account, items)
    found = [item for item in items if traces.are_in(item)] if traces else []
    shared = [item for item in found if not traces.have_the_lead_of(item)]
    of_others = _of_living(account, shared, but=traces) if shared else []
    return [item for item in found if item not in of_others], of_others


def _of_living(account: Account, items: Sequence[Told], *, but: Traces) -> list[Told]:
    """Return those that are about a card, a contact or a chat of somebody whom we know and who was not erased."""
    named = [_ids_in(item) - but.leads - but.contacts for item in items]
    ids = set().union(*named)
    living = _contacts_of_living(ids, account)
    if ids:
        cards = Card.objects.filter(account=account, kommo_lead_id__in=ids, lead__erased_at=None)
        living |= {lead_id or 0 for lead_id in cards.values_list("kommo_lead_id", flat=True)}
    chats = [f"{Kind.KOMMO_CHAT}:{_chat_of(item)}" for item in items]
    known = _living_with({chat for item, chat in zip(items, chats, strict=True) if _chat_of(item)})
    entities = zip(items, named, chats, strict=True)
    return [item for item, about, chat in entities if not about.isdisjoint(living) or chat in known]


def _ids_in(item: parsing.Item | WebhookItem) -> set[int]:
    return {item.kommo_id or 0, *parsing.references(item.data)} - {0}


def _contacts_of_living(ids: Collection[int], account: Account | None = None, *, but: Sequence[Card] = ()) -> set[int]:
    """Return which of these contacts belong to somebody whom we know and who was not erased. One query."""
    about = Q(kommo_contact_id__in=ids) | Q(own_contact_id__in=ids) | Q(other_contacts__kommo_contact_id__in=ids)
    rows = Card.objects.filter(about, lead__erased_at=None).exclude(pk__in=[card.pk for card in but])
    rows = rows.filter(account=account) if account else rows
    columns = rows.values_list("kommo_contact_id", "own_contact_id", "other_contacts__kommo_contact_id")
    return {contact_id for row in (columns if ids else ()) for contact_id in row if contact_id} & set(ids)


def _living_with(keys: Collection[str]) -> set[str]:
    """Return which of these addresses somebody has who was not erased."""
    leads = Lead.objects.filter(address_owners.of_any(keys), erased_at=None) if keys else Lead.objects.none()
    return {key for lead in leads.prefetch_related("further_addresses") for key in lead.address_keys} & set(keys)


def quoting_what_was_left(account: Account, items: Sequence[WebhookItem]) -> list[WebhookItem]:
    """Return those that repeat the card, or the contact, which somebody who is back had left in Kommo before."""
    ids = {item.kommo_id for item in items if item.entity in ("lead", "contact") and item.kommo_id}
    if not ids or not erasure.was_anybody_erased():
        return []
    back = Card.objects.filter(account=account, of_before__isnull=False)
    about = Q(kommo_lead_id__in=ids) | Q(kommo_contact_id__in=ids) | Q(own_contact_id__in=ids)
    left = Traces.of_cards(back.filter(about))
    theirs = {"lead": left.leads, "contact": left.contacts}
    return [item for item in items if item.kommo_id in theirs.get(item.entity, ())]


def _with_their_address(account: Account, items: Sequence[parsing.Item | WebhookItem]) -> Traces:
    """Return the phones and chats in these of people who were erased and are not back, and whose contacts they are."""
    if not erasure.was_anybody_erased():
        return Traces()
    with_phones = [(item, parsing.phones(item.data)) for item in items]
    chats = {chat: f"{Kind.KOMMO_CHAT}:{chat}" for item in items if (chat := _chat_of(item))}
    if not chats and not any(phones for _, phones in with_phones):
        return Traces()
    region = region_of(account)
    keys = [(item, _keys(phones, region)) for item, phones in with_phones if phones]
    gone = frozenset(erasure.unwelcome({*chats.values(), *(key for _, found in keys for key in found)}))
    with_them = {
        item.kommo_id: found
        for item, found in keys
        if item.entity == "contact" and item.kommo_id and not gone.isdisjoint(found)
    }
    # A contact of somebody else's may have their number beside its own.
    others = _contacts_of_living(with_them.keys(), account)
    living = _living_with(set().union(*with_them.values()) - gone)
    return Traces(
        contacts=frozenset(pk for pk, found in with_them.items() if pk not in others and living.isdisjoint(found)),
        phones=gone - set(chats.values()),
        chats=frozenset(chat for chat, key in chats.items() if key in gone),
        region=region,
    )


def _chat_of(item: parsing.Item | WebhookItem) -> str:
    """Return the id of the chat a message or talk stands in, as an address tells it; empty for what stands in none."""
    chat_id = item.data.get("chat_id")
    if not isinstance(chat_id, str):
        return ""
    try:
        return parse_address(Kind.KOMMO_CHAT, chat_id, region="ZZ").value
    except AddressError:
        return ""


def _keys(phones: Iterable[str], region: str) -> set[str]:
    keys: set[str] = set()
    for text in phones:
        with suppress(PhoneError):
            keys.add(parse(text, region=region).key)
    return keys


def region_of(account: Account) -> str:
    regions = Pipeline.objects.filter(account_link__account=account).values_list("phone_region", flat=True)
    return regions.first() or "BR"


def empty_item(item: WebhookItem) -> None:
    """Keep of an entity its ids alone, in memory."""
    item.data, item.error = parsing.only_references(item.data), ""


def empty_body(event: WebhookEvent, is_theirs: Callable[[parsing.Item], bool]) -> bool:
    """Take what is theirs out of a body, in memory; False when there was nothing."""
    before = bytes(event.body)
    event.body = parsing.without(before, is_theirs)
    return bool(event.body != before)


def sweep(account_ids: Collection[int], traces: Traces) -> int:
    """Take erased people out of everything that is kept of webhooks; return of how many. Looks at every row."""
    if not traces:
        return 0
    count = 0
    events = WebhookEvent.objects.filter(account__in=account_ids)
    for event in chain(_with_items(events, traces), [*_without_items(events, traces)]):
        is_in = partial(_is_unread_theirs, traces, event.account) if _waits(event) else traces.are_in
        items = [item for item in event.items.all() if traces.are_in(item, is_unread=_is_unread(item, event))]
        for item in items:
            empty_item(item)
        WebhookItem.objects.bulk_update(items, ["data", "error"])
        is_theirs = empty_body(event, is_in) or bool(items)
        if names_them := traces.are_named_in(_plain(parsing.what_is_told(_but_messages(event))).casefold()):
            # Nobody can tell what is whose in what is left of it; messages are told apart when they are read.
            event.body = parsing.without(bytes(event.body), _is_no_message) if _waits(event) else b""
        if is_theirs or names_them:
            count += 1
            # What could not be read may quote them.
            event.error = ""
            event.save(update_fields=["body", "error"])
    return count


def _is_unread_theirs(traces: Traces, account: Account, item: parsing.Item) -> bool:
    if not traces.are_in(item, is_unread=True):
        return False
    return not is_message(item) or traces.have_the_lead_of(item) or not _of_living(account, [item], but=traces)


def _but_messages(event: WebhookEvent) -> bytes:
    """Return a body; of one that is unread without the messages, which were let stand."""
    return parsing.without(bytes(event.body), is_message) if _waits(event) else bytes(event.body)


def _is_no_message(item: parsing.Item) -> bool:
    return not is_message(item)


def _waits(event: WebhookEvent) -> bool:
    return event.state == WebhookEvent.State.RECEIVED


def _is_unread(item: WebhookItem, event: WebhookEvent) -> bool:
    """Say whether it will be looked at again: nobody knows yet whose it is."""
    return _waits(event) or item.result == WebhookItem.Result.UNLINKED


def _with_items(events: QuerySet[WebhookEvent], traces: Traces) -> Iterator[WebhookEvent]:
    ids = events.order_by("pk").values_list("pk", flat=True)
    first, last, about = ids.first(), ids.last(), _about(traces)
    # In parts, each far below the longest that a statement may take, however many are kept.
    for start in range(first, last + 1, EVENTS_IN_A_PART) if first and last else ():
        part = range(start, start + EVENTS_IN_A_PART)
        items_of_part = WebhookItem.objects.filter(event__gte=part.start, event__lt=part.stop)
        items_of_part = items_of_part.annotate(told=Cast("data", TextField())).filter(about)
        found = set(items_of_part.values_list("event", flat=True))
        yield from events.filter(pk__in=found).order_by("pk").prefetch_related("items") if found else ()


def _about(traces: Traces) -> Q:
    """Return what finds their items, and some more: the items are looked at."""
    ids = traces.leads | traces.contacts
    texts = [str(kommo_id) for kommo_id in ids]
    about = Q(kommo_id__in=ids)
    for key in ("element_id", "entity_id", "lead_id", "contact_id"):
        about |= Q(**{f"data__{key}__in": texts})
    for text in texts:
        about |= Q(data__linked_leads_id__has_key=text)
    # One pattern for all: a comparison for each word takes minutes of a large account.
    words = sorted({*traces.names, *traces.words, *traces.marks, *traces.chats})
    return about | Q(told__iregex="|".join(map(_spelled, words))) if words else about


def _spelled(word: str) -> str:
    """Return a pattern that finds a word in JSON, whatever its case: one of the databases escapes what is no ASCII."""
    return "".join(map(_sign, word))


def _sign(sign: str) -> str:
    if sign.isascii():
        return re.escape(json.dumps(sign)[1:-1])
    spellings = {spelled for case in (sign, sign.upper(), sign.lower()) for spelled in (case, json.dumps(case)[1:-1])}
    return f"(?:{'|'.join(map(re.escape, sorted(spellings)))})"


def _without_items(events: QuerySet[WebhookEvent], traces: Traces) -> Iterable[WebhookEvent]:
    """What was not read yet, or could not be, or not all of it."""
    has_items = Exists(WebhookItem.objects.filter(event=OuterRef("pk")))
    unread = events.filter(Q(error=parsing.PARTLY) | (~Q(state=WebhookEvent.State.PROCESSED) & ~has_items))
    marks = {*map(str, traces.leads | traces.contacts), *traces.names, *traces.words, *traces.marks}
    marks |= {chat.casefold() for chat in traces.chats}
    return (event for event in unread.iterator(AT_ONCE) if _has_any(event, marks))


def _has_any(event: WebhookEvent, marks: Collection[str]) -> bool:
    # Read once for all of them: a body of 2 MiB takes a while.
    text = _plain(bytes(event.body)).casefold()
    return any(mark in text for mark in marks)


def _plain(body: bytes) -> str:
    """Return a form as people read it. Python's own takes minutes for a body of nothing but percent signs."""
    return CODED.sub(lambda found: BYTES[found[1].lower()], body.replace(b"+", b" ")).decode(errors="replace")
