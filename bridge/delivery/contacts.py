"""The contact's name follows the lead's, and so does its first phone: an entity of its own in Kommo, so its own call.

It is the person's own contact, whoever is the main one of today. A name is sent a moment after the card, so that
corrections that come in quick succession travel once. The contact is read before it is written: a name a person gave it
stands, and so does any number, and that there is none where a person took it away. A name that Kommo refuses is told,
and no other waits for it.

What is ours there says `Card.observed_contact`: {"name": ours as Kommo keeps it, "" for none, "sent": [other forms of
it, and names that a call carried whose end is not known], "made": true for one we made and have not read yet,
"lacks_phone": true while the number is owed}.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bridge.account_traits import form_of
from bridge.accounts import refusals, troubles
from bridge.cards import kept_forms, ledger, outbox
from bridge.cards.desired import shown_name
from bridge.errors import KommoError, KommoRejectedError, KommoServerError
from bridge.inbound.adoption import is_the_phone
from bridge.kommo.client import KommoClient
from bridge.kommo.custom_field_values import without_emoji, without_unseen
from bridge.kommo.replies import ContactReply
from bridge.kommo.throttle import Lane
from bridge.kommo.what_an_error_stops import Action, decide
from bridge.models import Account, Card, Delivery, Trouble
from common.reasons import Reason
from common.statements import Select
from leads.models import Event, Lead

# Also longer than Kommo may be at work on a call we never heard the end of: by then that one has landed.
RETRY_AFTER = timedelta(minutes=1)
# As many as Kommo takes, in a read as in a write; a gateway that finds it too much gets halves.
BATCH_SIZE = 250
# The same request would be refused again, for what it says and not for who asks.
LEFT_OUT = "Kommo's answer does not name this contact: taken as not delivered"
ABOUT_THE_NAMES = (Action.DEAD, Action.GONE, Action.REFRESH_CATALOGUE)
GOT_NAME, GOT_PHONE = Reason("contact_got_name"), "the contact got the lead's phone"


def deliver_due(account: Account, client: KommoClient, *, now: datetime) -> bool:
    """Bring the names of due contacts up to date, one batch; True when more may be due."""
    if account.state != Account.State.ACTIVE or troubles.rests_until(account.pk, Trouble.Subject.CONTACTS, now=now):
        return False
    cards = _claim(account, now)
    if not cards:
        return False
    by_pk = {card.pk: card for card in cards}
    renamed: list[Card] = []
    bodies: dict[int, dict[str, Any]] = {}
    kept: dict[int, str] = {}
    try:
        found = {reply.id: reply for reply in client.contacts(ids=[_own(card) for card in cards], lane=Lane.BULK)}
        replies = {card.pk: found[_own(card)] for card in cards if _own(card) in found}
        bodies = {pk: body for pk, reply in replies.items() if (body := _wanted(by_pk[pk], reply))}
        renamed = [card for card in cards if card.pk in bodies]
        _declare([card for card in renamed if "name" in bodies[card.pk]])
        refused = _rename(renamed, bodies, client, kept)
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
    _settle(cards, {card.pk: bodies[card.pk] for card in written}, replies, kept)
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
        .select_related("lead__pipeline", "account")
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
    cards: list[Card], bodies: Mapping[int, dict[str, Any]], client: KommoClient, kept: dict[int, str]
) -> dict[int, KommoRejectedError]:
    """Send what is wanted; return card -> refusal for those Kommo will not take. Raises KommoError otherwise.

    kept: contact id -> the name that Kommo says it keeps, of those that the answers tell.
    """
    if not cards:
        return {}
    try:
        answers = client.update_contacts([bodies[card.pk] for card in cards], lane=Lane.BULK) or ()
    except (KommoRejectedError, KommoServerError) as error:
        if decide(error) not in (Action.SHRINK_BATCH, *ABOUT_THE_NAMES) or (len(cards) == 1 and _may_pass(error)):
            raise
        if len(cards) == 1:
            assert isinstance(error, KommoRejectedError)
            return {cards[0].pk: error}
        named = _named(cards, error) if isinstance(error, KommoRejectedError) else []
        half = named if 0 < len(named) < len(cards) else cards[: len(cards) // 2]
        rest = [card for card in cards if card not in half]
        return _rename(half, bodies, client, kept) | _rename(rest, bodies, client, kept)
    kept.update((answer.id, answer.name) for answer in answers)
    # Applied in part: what an answer leaves out was not taken.
    left_out = KommoRejectedError(LEFT_OUT, operation="update contacts")
    return {card.pk: left_out for card in cards if answers and _own(card) not in kept}


def _named(cards: list[Card], error: KommoRejectedError) -> list[Card]:
    return [card for index, card in enumerate(cards) if error.about(str(index), _own(card))]


def _may_pass(error: KommoError) -> bool:
    return isinstance(error, KommoServerError)


def _known(cards: list[Card]) -> list[Card]:
    """Lock the cards and return those whose person was not erased meanwhile: of others nothing is written down."""
    ids = [card.pk for card in cards]
    list(Card.objects.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk"))
    forgotten = ledger.erased(ids)
    return [card for card in cards if card.pk not in forgotten]


def _own(card: Card) -> int:
    """Return the person's own contact: staff may have made a relative or a colleague the main one."""
    return card.own_contact_id or card.kommo_contact_id or 0


def _wanted(card: Card, reply: ContactReply) -> dict[str, Any]:
    """Return what is to be written to the contact; empty for nothing."""
    body: dict[str, Any] = {}
    if _needs_our_name(card, reply):
        body["name"] = _name(card)
    if card.lead.phone and not reply.phone_values and card.observed_contact.get("lacks_phone"):
        # Known only after the card was made. Whatever number stands there, stands.
        body["custom_fields_values"] = [{"field_code": "PHONE", "values": [{"value": card.lead.phone}]}]
    return {"id": reply.id, **body} if body else {}


def _name(card: Card) -> str:
    """Return the lead's name as its card shows it, and its contact too."""
    return shown_name(card.lead.name, form_of(card.account))


def _needs_our_name(card: Card, reply: ContactReply) -> bool:
    name = _name(card)
    return bool(name) and without_unseen(reply.name) not in _forms(name) and _is_ours(card, reply)


def _is_ours(card: Card, reply: ContactReply) -> bool:
    """Say whether a contact's name is what we last wrote, or may have written, in any form; else it is a person's."""
    ours = {card.observed_contact.get("name"), *card.observed_contact.get("sent", ()), _name(card), ""}
    is_written = any(without_unseen(reply.name) in _forms(known or "") for known in ours)
    return is_written or is_the_phone(reply.name, card.lead) or _is_as_made(card, reply)


def _is_as_made(card: Card, reply: ContactReply) -> bool:
    """Say whether nobody has changed a contact since we made it: its name is Kommo's form of ours then."""
    by_us = reply.updated_by is not None and reply.updated_by in (card.account.kommo_user_id, 0)
    is_new = reply.updated_at <= reply.created_at + kept_forms.CREATION_TAKES
    return by_us and is_new and bool(card.observed_contact.get("made"))


def _forms(name: str) -> set[str]:
    """Return a name as Kommo may give it back: whole, or without its emoji."""
    return {without_unseen(name), without_unseen(without_emoji(name))}


@transaction.atomic
def _settle(
    cards: list[Card],
    written: Mapping[int, Mapping[str, Any]],
    replies: Mapping[int, ContactReply],
    kept: Mapping[int, str],
) -> None:
    cards = _known(cards)
    for card in cards:
        body, reply = written.get(card.pk, {}), replies.get(card.pk)
        lacks_phone = card.observed_contact.get("lacks_phone") and "custom_fields_values" not in body
        card.observed_contact = _written(body["name"], kept.get(_own(card))) if "name" in body else _kept(card, reply)
        if lacks_phone and not (reply and reply.phone_values):
            card.observed_contact["lacks_phone"] = True
        # Due again only if the name has changed once more since it was read.
        Card.objects.filter(pk=card.pk, contact_due_at=card.contact_due_at).update(contact_due_at=None)
    Card.objects.bulk_update(cards, ["observed_contact"])


def _written(name: str, kept: str | None) -> dict[str, Any]:
    """Return what is ours after a name was written: as it was sent, and in the form that Kommo says it keeps."""
    return {"name": name} if kept in (None, "", name) else {"name": kept, "sent": [name]}


def _kept(card: Card, reply: ContactReply | None) -> dict[str, Any]:
    """Return which name of ours the contact was read with, or had last: a person's is none, now and at the next change.

    Of somebody who was erased, and is back, it may be the name of before: kept once they have told it anew.
    """
    known = card.observed_contact.get("name") or ""
    name = reply.name if reply is not None and _is_ours(card, reply) else known
    return {"name": name if card.lead.back_since_erasure_of is None or name == _name(card) else ""}


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
            reason=error[:500] or (GOT_NAME if "name" in body else GOT_PHONE),
            data={"operation": "contact", "outcome": outcome.value, "sent": body},
        )
        for card, body in sent
    )
