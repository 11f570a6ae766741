"""Emptying in Kommo what it shows of a person who asked to be forgotten, and saying what was done and what was not.

Whose a contact is, its phone proves, and nothing else: today's main contact may be a relative. Only the person's own
numbers are emptied; where others stand beside them, or nothing proves whose a contact is, a person has to look. One
person at a time, so that nobody's erasure waits for another's; and nothing is claimed that did not happen.

By now the lead tells nobody's number any more: numbers are compared by their pseudonym, and the number itself, to
search for, is kept sealed until this is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction

from bridge.accounts import refusals
from bridge.errors import KommoError, KommoNotFoundError
from bridge.inbound import card_look_up, empty_look_ups
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import ContactReply, LeadReply
from bridge.kommo.throttle import Lane
from bridge.kommo.what_an_error_stops import Action, decide
from bridge.models import Account, Card, Forgetting
from common.statements import Select
from leads import pseudonyms
from leads.models import Event, JoinedLead, Lead
from leads.phone import PhoneError, parse

log = structlog.get_logger(__name__)

# What a contact, and a lead, is called whose person asked to be forgotten.
FORGOTTEN = "Dados apagados (LGPD)"
# Also longer than Kommo may be at work on a call we never heard the end of: by then that one has landed.
RETRY_AFTER = timedelta(minutes=1)
BATCH_SIZE = 20
# The same request would be refused again, for what it says and not for who asks.
ABOUT_THEM = (Action.DEAD, Action.GONE, Action.REFRESH_CATALOGUE)
# After so long a person has to look: the law gives an answer fifteen days.
GIVEN_UP_AFTER = timedelta(days=3)
NOBODY_THERE = "nothing to erase in Kommo: no lead of this person was made there"


@transaction.atomic
def ask_for(card: Card, *, phone: str, email: str, empties: bool, now: datetime) -> None:
    """Have a person's card forgotten in Kommo; with `empties` False only looked up, where its create is in doubt."""
    row, _ = Forgetting.objects.select_for_update().get_or_create(card=card, defaults={"asked_at": now})
    row.empties = empties
    # Asked for again: the number is known no more, and may be known here still.
    row.phone, row.email = phone or row.phone, email or row.email
    row.state, row.due_at, row.problem, row.ended_at = Forgetting.State.DUE, now, "", None
    row.save()


def deliver_due(account: Account, client: KommoClient, *, now: datetime) -> bool:
    """Empty what is due, one person after the other; True when more may be due."""
    if account.state != Account.State.ACTIVE:
        return False
    rows = _claim(account, now)
    for row in rows:
        try:
            _forget(row, account, client, now)
        except KommoError as error:
            if not _failed(row, account, client, error, now):
                return False
    return len(rows) == BATCH_SIZE


def done_by_hand(rows: Iterable[Forgetting], *, who: str, now: datetime) -> int:
    """Note that a person has done in Kommo what was left; return of how many people."""
    count = 0
    for row in rows:
        if row.state == Forgetting.State.LEFT:
            _end(row, Forgetting.State.DONE, [f"personal data erased in Kommo by hand: {who}"], now)
            count += 1
    return count


def try_again(rows: Iterable[Forgetting], *, now: datetime) -> set[int]:
    """Look once more for what was left; return the accounts to nudge."""
    accounts = set()
    for row in rows:
        if Forgetting.objects.filter(pk=row.pk, state=Forgetting.State.LEFT).update(
            state=Forgetting.State.DUE, due_at=now, asked_at=now, problem="", ended_at=None
        ):
            accounts.add(row.card.account_id)
    return accounts


def _claim(account: Account, now: datetime) -> list[Forgetting]:
    """Return what is due, and put it off first: whoever dies over it leaves it for later."""
    with transaction.atomic():
        found: list[Forgetting] = DUE.all(account_id=account.pk, now=now)
        if found:
            Forgetting.objects.filter(pk__in=[row.pk for row in found]).update(due_at=now + RETRY_AFTER)
    return found


# Every drain asks, and nearly always there is nobody.
DUE = Select(
    lambda account_id, now: (
        Forgetting.objects.filter(card__account_id=account_id, state=Forgetting.State.DUE, due_at__lte=now)
        .select_for_update(of=("self",))
        .select_related("card__lead__pipeline")
        .order_by("due_at", "id")[:BATCH_SIZE]
    )
)


def _failed(row: Forgetting, account: Account, client: KommoClient, error: KommoError, now: datetime) -> bool:
    """Try again later, or leave it to a person; False when nothing more should be asked now."""
    action = refusals.heed(account, error, now=now, client=client)
    log.info("forgetting_failed", card=row.card_id, error=error.in_log)
    if action is Action.PAUSE_ACCOUNT:
        return False
    if action in ABOUT_THEM or now - row.asked_at > GIVEN_UP_AFTER:
        # Kommo's own words may quote what was to be erased.
        why = f"Kommo answers {error.status_code or 'nothing'}"
        _end(row, Forgetting.State.LEFT, [], now, problem=f"not erased in Kommo: {why}; erase it there by hand")
        return True
    if error.retry_after and error.retry_after > RETRY_AFTER:
        Forgetting.objects.filter(pk=row.pk).update(due_at=now + error.retry_after)
    return False


def _forget(row: Forgetting, account: Account, client: KommoClient, now: datetime) -> None:
    card = row.card
    if card.write_settles_at and card.write_settles_at > now:
        # A write of ours may still arrive, and would bring back what it empties.
        Forgetting.objects.filter(pk=row.pk).update(due_at=card.write_settles_at)
        return
    if card.kommo_lead_id is None and card.create_intent_at and not _look_up(row, account, client, now):
        Forgetting.objects.filter(pk=row.pk).update(due_at=empty_look_ups.believed_from(card))
        return
    if not row.empties:
        _end(row, Forgetting.State.DONE, [], now)
        return
    if card.kommo_lead_id is None and card.kommo_contact_id is None:
        _end(row, Forgetting.State.DONE, [NOBODY_THERE], now)
        return
    lead = _lead(card, client)
    theirs = _theirs(row, lead, client)
    done, left = [], []
    # Noted first: once they are emptied nothing on them proves whose they are.
    row.contacts = [contact.id for contact in theirs]
    row.save(update_fields=["contacts"])
    for contact in theirs:
        others = _empty(row, contact, client)
        if others:
            done.append(f"personal data erased in Kommo: the person's own number on contact {contact.id}")
            left.append(f"contact {contact.id} has {others} more numbers or addresses: look whose they are")
        else:
            done.append(f"personal data erased in Kommo: name, phone and e-mail of contact {contact.id}")
    if lead is not None:
        client.update_leads([{"id": lead.id, "name": FORGOTTEN}], lane=Lane.BULK)
        done.append(f"personal data erased in Kommo: the name of lead {lead.id}")
        if card.briefings.exclude(note_id=None).exists():
            # Kommo documents no way to take a note back.
            left.append(f"a note of a handoff on lead {lead.id} names the person: delete it there")
    else:
        left += [f"lead {card.kommo_lead_id} is not found in Kommo"] if not theirs else []
    for other in JoinedLead.objects.filter(lead=card.lead_id, kommo_lead_id__isnull=False):
        left.append(f"lead {other.kommo_lead_id} was theirs before the leads were joined: erase it there")
    if not theirs:
        left.append("no contact has the person's number: look for them in Kommo and erase them by hand")
    state = Forgetting.State.LEFT if left else Forgetting.State.DONE
    _end(row, state, done, now, problem=f"left in Kommo: {'; '.join(left)}" if left else "")


def _look_up(row: Forgetting, account: Account, client: KommoClient, now: datetime) -> bool:
    """Learn what an unanswered create has made, if anything; False while an empty look-up proves nothing."""
    card = row.card
    if account.bridge_id_field_id is not None:
        found = card_look_up.find_by_bridge_id(account, client, [card]).leads.get(card.pk)
    else:
        found = _made_by_us(row, account, client)
    sure_from = empty_look_ups.believed_from(card)
    if found is None and sure_from and sure_from > now:
        return False
    ids: dict[str, Any] = {"create_intent_at": None, "write_settles_at": None}
    if found is not None:
        ids |= {"kommo_lead_id": found.id, "kommo_contact_id": found.main_contact_id}
    try:
        with transaction.atomic():
            Card.objects.filter(pk=card.pk).update(**ids)
    except IntegrityError:
        # Joined to the card of another lead of ours: that one's it stays.
        return True
    card.kommo_lead_id, card.kommo_contact_id = ids.get("kommo_lead_id"), ids.get("kommo_contact_id")
    return True


def _made_by_us(row: Forgetting, account: Account, client: KommoClient) -> LeadReply | None:
    card, intended_at = row.card, row.card.create_intent_at
    assert intended_at is not None
    since = (intended_at - card_look_up.CLOCK_SLACK).timestamp()
    ids = {lead_id for contact in _search(row, client, with_leads=True) for lead_id in contact.lead_ids}
    taken = Card.objects.filter(account=account, kommo_lead_id__in=ids).values_list("kommo_lead_id", flat=True)
    free = sorted(ids - set(taken))
    for reply in client.iterate_leads(ids=free, with_=("contacts",)) if free else ():
        if reply.pipeline_id == card.lead.pipeline.kommo_pipeline_id and reply.created_at >= since:
            return reply
    return None


def _lead(card: Card, client: KommoClient) -> LeadReply | None:
    if card.kommo_lead_id is None:
        return None
    try:
        reply = client.lead(card.kommo_lead_id, lane=Lane.BULK)
    except KommoNotFoundError as error:
        if decide(error) is not Action.GONE:
            raise
        return None
    return None if reply.is_deleted else reply


def _theirs(row: Forgetting, lead: LeadReply | None, client: KommoClient) -> list[ContactReply]:
    """Return the contacts that are the person's by their number; searched for by it when none we know of is."""
    card = row.card
    known = {card.kommo_contact_id, card.own_contact_id, *(lead.contact_ids if lead else ()), *row.contacts}
    ids = sorted(kommo_id for kommo_id in known if kommo_id)
    read = client.contacts(ids=ids, lane=Lane.BULK) if ids else []
    theirs = [contact for contact in read if contact.id in ids and _is_theirs(row, contact)]
    return theirs or [contact for contact in _search(row, client) if _is_theirs(row, contact)]


def _search(row: Forgetting, client: KommoClient, *, with_leads: bool = False) -> list[ContactReply]:
    if not row.phone:
        return []
    found = client.contacts(query=row.phone, with_leads=with_leads, lane=Lane.BULK)
    return [contact for contact in found if _is_theirs(row, contact)]


def _is_theirs(row: Forgetting, contact: ContactReply) -> bool:
    return contact.id in row.contacts or any(_is_their_number(row, number) for number in contact.phones)


def _is_their_number(row: Forgetting, number: str) -> bool:
    lead = row.card.lead
    try:
        key = parse(number, region=lead.pipeline.phone_region).key
    except PhoneError:
        return False
    return pseudonyms.of_address(key) in {lead.erased_address, *lead.erased_further}


def _empty(row: Forgetting, contact: ContactReply, client: KommoClient) -> int:
    """Take what is theirs from a contact; return how many numbers and addresses were left there as somebody else's."""
    phones = [
        phone_value
        for phone_value in contact.phone_values
        if not _is_their_number(row, str(phone_value.get("value") or ""))
    ]
    # Alone on their contact, everything there is theirs; beside others, what we know to be theirs.
    emails = [email_value for email_value in contact.email_values if phones and not _is_their_email(row, email_value)]
    fields = [
        {"field_code": code, "values": [_written(value) for value in rest] or None}
        for code, rest, had in (("PHONE", phones, contact.phone_values), ("EMAIL", emails, contact.email_values))
        if len(rest) < len(had)
    ]
    body: dict[str, Any] = {"id": contact.id, "name": FORGOTTEN}
    if fields:
        body["custom_fields_values"] = fields
    client.update_contacts([body], lane=Lane.BULK)
    return len(phones) + len(emails)


def _is_their_email(row: Forgetting, entry: dict[str, Any]) -> bool:
    return bool(row.email) and str(entry.get("value") or "").casefold() == row.email.casefold()


def _written(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a value as it is written: with its kind by one of the two names Kommo has for it."""
    kind = {"enum_id": entry["enum_id"]} if entry.get("enum_id") else {}
    return {"value": entry.get("value"), **kind}


@transaction.atomic
def _end(row: Forgetting, state: Forgetting.State, done: list[str], now: datetime, *, problem: str = "") -> None:
    """Keep the proof of what was done and what was not, and nothing of the person."""
    row.state, row.problem, row.ended_at, row.due_at = state, problem[:500], now, None
    row.phone = row.email = ""
    row.contacts = []
    row.save()
    lines = [*done, problem] if problem else done
    Event.objects.bulk_create(
        Event(lead_id=row.card.lead_id, at=now, kind=Event.Kind.ERASED, actor=Lead.Actor.BRIDGE, reason=line[:500])
        for line in lines
    )
