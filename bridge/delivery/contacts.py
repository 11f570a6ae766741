"""The contact's name follows the lead's, and so does its first phone: an entity of its own in Kommo, so its own call.

A name is sent a moment after the card, so that corrections that come in quick succession travel once. The contact is
read before it is written: a name a person gave it stands, and so does any number. A name that Kommo refuses is told,
and no other waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bridge.account_traits import form_of
from bridge.accounts import refusals, troubles
from bridge.cards import ledger, outbox
from bridge.cards.desired import shown_name
from bridge.errors import KommoError, KommoRejectedError, KommoServerError
from bridge.kommo.client import KommoClient
from bridge.kommo.custom_field_values import normal_text, without_emoji
from bridge.kommo.replies import ContactReply
from bridge.kommo.throttle import Lane
from bridge.kommo.what_an_error_stops import Action, decide
from bridge.models import Account, Card, Delivery, Trouble
from common.statements import Select
from leads.models import Event, Lead

# Also longer than Kommo may be at work on a call we never heard the end of: by then that one has landed.
RETRY_AFTER = timedelta(minutes=1)
# As many as Kommo takes, in a read as in a write; a gateway that finds it too much gets halves.
BATCH_SIZE = 250
# The same request would be refused again, for what it says and not for who asks.
ABOUT_THE_NAMES = (Action.DEAD, Action.GONE, Action.REFRESH_CATALOGUE)


def deliver_due(account: Account, client: KommoClient, *, now: datetime) -> bool:
    """Bring the names of due contacts up to date, one batch; True when more may be due."""
    if account.state != Account.State.ACTIVE or troubles.rests_until(account.pk, Trouble.Subject.CONTACTS, now=now):
        return False
    cards = _claim(account, now)
    if not cards:
        return False
    renamed: list[Card] = []
    bodies: dict[int, dict[str, Any]] = {}
    try:
        ids = [card.kommo_contact_id for card in cards]
        replies = {reply.id: reply for reply in client.contacts(ids=ids, lane=Lane.BULK)}
        bodies = {card.pk: body for card in cards if (body := _wanted(card, replies.get(card.kommo_contact_id or 0)))}
        renamed = [card for card in cards if card.pk in bodies]
        _declare([card for card in renamed if "name" in bodies[card.pk]])
        refused = _rename(renamed, bodies, client)
    except KommoError as error:
        action = refusals.heed(account, error, now=now, client=client)
        rests = troubles.rests_until(account.pk, Trouble.Subject.CONTACTS, now=now)
        until = max(now + (error.retry_after or RETRY_AFTER), rests or now)
        if action is not Action.PAUSE_ACCOUNT and until > now + RETRY_AFTER:
            _put_off(cards, until)
        never_left = getattr(error, "sent", None) is False
        outcome = Delivery.Outcome.FAILED if never_left else Delivery.Outcome.UNKNOWN
        _tell(renamed, bodies, outcome, str(error), now)
        return False
    troubles.over(account.pk, Trouble.Subject.CONTACTS)
    written = [card for card in renamed if card.pk not in refused]
    _settle(cards, [card for card in written if "name" in bodies[card.pk]], replies)
    _tell(written, bodies, Delivery.Outcome.DELIVERED, "", now)
    for card in renamed:
        if card.pk in refused:
            _tell([card], bodies, Delivery.Outcome.REFUSED, str(refused[card.pk]), now)
    return len(cards) == BATCH_SIZE


def _claim(account: Account, now: datetime) -> list[Card]:
    """Return the cards whose contacts are due, and put them off first: whoever dies over them leaves them for later."""
    with transaction.atomic():
        cards: list[Card] = DUE.all(account_id=account.pk, by=now - outbox.COLLECT_NAMES_FOR)
        _put_off(cards, now + RETRY_AFTER)
    return cards


# Every drain asks, and nearly always there is nothing.
DUE = Select(
    lambda account_id, by: (
        Card.objects.filter(account_id=account_id, contact_due_at__lte=by, kommo_contact_id__isnull=False)
        .filter(lead__erased_at=None)
        .select_for_update(of=("self",))
        .select_related("lead", "account")
        .order_by("contact_due_at", "id")[:BATCH_SIZE]
    )
)


def _put_off(cards: list[Card], until: datetime) -> None:
    if not cards:
        return
    Card.objects.filter(pk__in=[card.pk for card in cards]).update(contact_due_at=until)
    for card in cards:
        card.contact_due_at = until


def _declare(cards: list[Card]) -> None:
    """Write down what is about to be sent: found there later it is ours, whatever became of the call."""
    for card in cards:
        sent = [*card.observed_contact.get("sent", ()), _name(card)]
        card.observed_contact = {**card.observed_contact, "sent": list(dict.fromkeys(sent))}
    with transaction.atomic():
        Card.objects.bulk_update(_known(cards), ["observed_contact"])


def _rename(
    cards: list[Card], bodies: Mapping[int, dict[str, Any]], client: KommoClient
) -> dict[int, KommoRejectedError]:
    """Send what is wanted; return card -> refusal for those Kommo will not take. Raises KommoError otherwise."""
    if not cards:
        return {}
    try:
        client.update_contacts([bodies[card.pk] for card in cards], lane=Lane.BULK)
    except (KommoRejectedError, KommoServerError) as error:
        if decide(error) not in (Action.SHRINK_BATCH, *ABOUT_THE_NAMES) or (len(cards) == 1 and _may_pass(error)):
            raise
        if len(cards) == 1:
            assert isinstance(error, KommoRejectedError)
            return {cards[0].pk: error}
        named = _named(cards, error) if isinstance(error, KommoRejectedError) else []
        half = named if 0 < len(named) < len(cards) else cards[: len(cards) // 2]
        return _rename(half, bodies, client) | _rename([card for card in cards if card not in half], bodies, client)
    return {}


def _named(cards: list[Card], error: KommoRejectedError) -> list[Card]:
    return [card for index, card in enumerate(cards) if error.about(str(index), card.kommo_contact_id)]


def _may_pass(error: KommoError) -> bool:
    return isinstance(error, KommoServerError)


def _known(cards: list[Card]) -> list[Card]:
    """Lock the cards and return those whose person was not erased meanwhile: of others nothing is written down."""
    ids = [card.pk for card in cards]
    list(Card.objects.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk"))
    forgotten = ledger.erased(ids)
    return [card for card in cards if card.pk not in forgotten]


def _wanted(card: Card, reply: ContactReply | None) -> dict[str, Any]:
    """Return what is to be written to the contact; empty for nothing."""
    body: dict[str, Any] = {}
    if reply is not None and _needs_our_name(card, reply):
        body["name"] = _name(card)
    if reply is not None and card.lead.phone and not reply.phone_values:
        # Known only after the card was made. Whatever number stands there, stands.
        body["custom_fields_values"] = [{"field_code": "PHONE", "values": [{"value": card.lead.phone}]}]
    return {"id": card.kommo_contact_id, **body} if body else {}


def _name(card: Card) -> str:
    """Return the lead's name as its card shows it, and its contact too."""
    return shown_name(card.lead.name, form_of(card.account))


def _needs_our_name(card: Card, reply: ContactReply) -> bool:
    name = _name(card)
    return bool(name) and _plain(reply.name) not in _forms(name) and _is_ours(card, reply.name)


def _is_ours(card: Card, name: str) -> bool:
    """Say whether a contact's name is what we last wrote, or may have written, in any form; else it is a person's."""
    ours = {card.observed_contact.get("name"), *card.observed_contact.get("sent", ()), card.lead.phone, _name(card), ""}
    return any(_plain(name) in _forms(known or "") for known in ours)


def _forms(name: str) -> set[str]:
    """Return a name as Kommo may give it back: whole, or without its emoji."""
    return {_plain(name), _plain(without_emoji(name))}


def _plain(name: str) -> str:
    """Return a name without what Kommo is not known to keep: how accents are composed, and which spaces it has."""
    return " ".join(normal_text(name).split())


@transaction.atomic
def _settle(cards: list[Card], renamed: list[Card], replies: dict[int, ContactReply]) -> None:
    sent_to = {card.pk for card in renamed}
    cards = _known(cards)
    for card in cards:
        card.observed_contact = {"name": _name(card) if card.pk in sent_to else _kept(card, replies)}
        # Due again only if the name has changed once more since it was read.
        Card.objects.filter(pk=card.pk, contact_due_at=card.contact_due_at).update(contact_due_at=None)
    Card.objects.bulk_update(cards, ["observed_contact"])


def _kept(card: Card, replies: Mapping[int, ContactReply]) -> str:
    """Return which name of ours the contact was read with, or had last: a person's is none, now and at the next change.

    Of somebody who was erased, and is back, it may be the name of before: kept once they have told it anew.
    """
    reply = replies.get(card.kommo_contact_id or 0)
    known = card.observed_contact.get("name") or ""
    name = reply.name if reply is not None and _is_ours(card, reply.name) else known
    return name if card.lead.back_since_erasure_of is None or name == _name(card) else ""


@transaction.atomic
def _tell(
    cards: list[Card], bodies: Mapping[int, dict[str, Any]], outcome: Delivery.Outcome, error: str, now: datetime
) -> None:
    """Put on record, for staff and on the lead's timeline, what became of each write."""
    sent = [(card, bodies[card.pk]) for card in _known(cards)]
    Delivery.objects.bulk_create(
        Delivery(
            account_id=card.account_id,
            card=card,
            at=now,
            operation=Delivery.Operation.CONTACT,
            outcome=outcome,
            sent=body,
            error=error[:1000],
        )
        for card, body in sent
    )
    Event.objects.bulk_create(
        Event(
            lead_id=card.lead_id,
            at=now,
            kind=Event.Kind.DELIVERY,
            actor=Lead.Actor.BRIDGE,
            reason=error[:500] or ("the contact got the lead's " + ("name" if "name" in body else "phone")),
            data={"operation": "contact", "outcome": outcome.value, "sent": body},
        )
        for card, body in sent
    )
