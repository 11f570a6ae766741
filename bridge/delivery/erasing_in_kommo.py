"""Emptying in Kommo what it shows of a person who asked to be forgotten, and saying what was done and what was not.

Whose a contact is, its phone proves, and nothing else: today's main contact may be a relative. What of it is theirs is
`whose_contact`'s; where others stand beside them, or nothing proves whose a contact is, a person has to look, and so
at what stays (`left_in_kommo`). One person at a time, so that nobody's erasure waits for another's; and nothing is
claimed that did not happen.

By now the lead tells nobody's number any more: numbers are compared by their pseudonym, and the number itself, to
search for, is kept sealed until this is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from bridge.accounts import refusals
from bridge.delivery import left_in_kommo, whose_contact
from bridge.delivery.whose_contact import FORGOTTEN
from bridge.errors import KommoError, KommoNotFoundError
from bridge.inbound import card_look_up, empty_look_ups
from bridge.inbound.card_look_up import SEARCHED_DIGITS
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import ContactReply, LeadReply
from bridge.kommo.throttle import Lane
from bridge.kommo.what_an_error_stops import Action, decide
from bridge.models import Account, Card, Forgetting
from common.statements import Select
from leads import pseudonyms, who_shares
from leads.models import Event, Lead
from leads.phone import PhoneError, parse

log = structlog.get_logger(__name__)

T = TypeVar("T")
DONE_THERE = "personal data erased in Kommo"
# Also longer than Kommo may be at work on a call we never heard the end of: by then that one has landed.
RETRY_AFTER = timedelta(minutes=1)
BATCH_SIZE = 20
# The same request would be refused again, for what it says and not for who asks.
ABOUT_THEM = (Action.DEAD, Action.GONE, Action.REFRESH_CATALOGUE)
# After so long a person has to look: the law gives an answer fifteen days.
GIVEN_UP_AFTER = timedelta(days=3)
# For so long what the erasure can do without is asked for again where it fails in passing.
PATIENCE = timedelta(minutes=10)
# Nobody has more of them; what is beyond is told.
MOST_SEARCHES, MOST_CONTACTS = 3, 10
NOBODY_THERE = "nothing to erase in Kommo: no lead of this person was made there"


@transaction.atomic
def ask_for(card: Card, *, phone: str, email: str, empties: bool, now: datetime) -> None:
    """Have a person's card forgotten in Kommo; with `empties` False only looked up, where its create is in doubt."""
    row, _ = Forgetting.objects.select_for_update().get_or_create(card=card, defaults={"asked_at": now})
    row.empties = empties
    if row.state != Forgetting.State.DUE:
        row.asked_at = now
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
            _end(row, Forgetting.State.DONE, [f"{DONE_THERE} by hand: {who}"], now)
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
        has_begun = _proofs(row).filter(at__gte=row.asked_at).exists()
        what = "not everything erased in Kommo" if has_begun else "not erased in Kommo"
        _end(row, Forgetting.State.LEFT, [], now, problem=f"{what}: {why}; erase it there by hand")
        return True
    if error.retry_after and error.retry_after > RETRY_AFTER:
        Forgetting.objects.filter(pk=row.pk).update(due_at=now + error.retry_after)
    return False


def _forget(row: Forgetting, account: Account, client: KommoClient, now: datetime) -> None:
    card = row.card
    # Another card of the same person may have proven some meanwhile.
    row.refresh_from_db(fields=["contacts"])
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
    left = _empty(row, theirs, account, client, now)
    if lead is not None:
        _unname(row, lead, client, now)
    elif not theirs:
        left.append(f"lead {card.kommo_lead_id} is not found in Kommo")
    # From here on what fails undoes nothing: it is told, and a person looks.
    aside = partial(_asked_aside, is_patient=now - row.asked_at <= PATIENCE)
    more = aside(lambda: _further(row, theirs, client))
    stays = aside(lambda: _empty(row, more or [], account, client, now))
    if stays is None:
        stays = _not_emptied([contact for contact in more or () if not _is_proven(row, f"contact {contact.id}")])
    left += stays
    rest = [*theirs, *(more or ())]
    left += left_in_kommo.look(
        card, lead, rest[:MOST_CONTACTS], account, client, aside=aside, searched=more is not None
    )
    if not theirs and not _proofs(row).filter(reason__contains=" contact ").exists():
        left.append("no contact has the person's number: look for them in Kommo and erase them by hand")
    _end(row, Forgetting.State.LEFT if left else Forgetting.State.DONE, [], now, left=left)


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
    ids = {lead_id for contact in _search(row, row.phone, client) for lead_id in contact.lead_ids}
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
    read = client.contacts(ids=ids, with_leads=True, lane=Lane.BULK) if ids else []
    theirs = [contact for contact in read if contact.id in ids and _is_theirs(row, contact)]
    return theirs or _search(row, row.phone, client)


def _further(row: Forgetting, known: Iterable[ContactReply], client: KommoClient) -> list[ContactReply]:
    """Return the contacts that have any of the person's numbers and are not known yet: the same person, made twice."""
    numbers = [row.phone, *(number for contact in known for number in contact.phones if _is_their_number(row, number))]
    ends = {digits[-SEARCHED_DIGITS:]: number for number in numbers if (digits := _digits(number))}
    found = {
        contact.id: contact
        for number in list(ends.values())[:MOST_SEARCHES]
        for contact in _search(row, number, client)
    }
    known_ids = {contact.id for contact in known}
    return [contact for kommo_id, contact in sorted(found.items()) if kommo_id not in known_ids]


def _search(row: Forgetting, number: str, client: KommoClient) -> list[ContactReply]:
    """Return the contacts with a number of theirs that the end of this one finds, however it is written there."""
    digits = _digits(number)[-SEARCHED_DIGITS:]
    found = client.find_contacts(digits, lane=Lane.BULK) if digits else []
    return [contact for contact in found if _is_theirs(row, contact)]


def _digits(number: str) -> str:
    return "".join(filter(str.isdecimal, number))


def _is_theirs(row: Forgetting, contact: ContactReply) -> bool:
    """Say whether a contact has, or had when it was looked at first, a number of theirs."""
    if contact.id in row.contacts or any(_is_their_number(row, number) for number in contact.phones):
        return True
    # Emptied when it was asked for before: nothing but the proof tells whose it was.
    is_empty = contact.name == FORGOTTEN and not contact.phones
    return is_empty and _is_proven(row, f"contact {contact.id}")


def _is_their_number(row: Forgetting, number: str) -> bool:
    try:
        return _is_their_key(row, parse(number, region=row.card.lead.pipeline.phone_region).key)
    except PhoneError:
        return False


def _is_their_key(row: Forgetting, key: str) -> bool:
    lead = row.card.lead
    if row.email and key == who_shares.OF_EMAIL + row.email.casefold():
        return True
    return pseudonyms.of_address(key) in {lead.erased_address, *lead.erased_further}


def _empty(
    row: Forgetting, contacts: Sequence[ContactReply], account: Account, client: KommoClient, now: datetime
) -> list[str]:
    """Take what is theirs from their contacts, and prove it; return what stays there, in words for staff."""
    before = set(row.contacts)
    # Noted first: once they are emptied nothing on them proves whose they are.
    _keep_proven(row, [contact.id for contact in contacts])
    region = row.card.lead.pipeline.phone_region
    living = whose_contact.living_beside(account, contacts, region=region)
    left = []
    for contact in contacts[:MOST_CONTACTS]:
        emptying = whose_contact.emptying(
            contact, living, region=region, is_theirs=partial(_is_their_key, row), was_theirs=contact.id in before
        )
        if emptying.body:
            client.update_contacts([emptying.body], lane=Lane.BULK)
        # At once: whatever happens next, this was done. Whoever begins anew finds it done.
        if emptying.body or not _is_proven(row, f"contact {contact.id}"):
            _prove(row, emptying.done, now)
        left += emptying.left
    return left + _not_emptied(contacts[MOST_CONTACTS:])


def _not_emptied(contacts: Sequence[ContactReply]) -> list[str]:
    ids, more = [contact.id for contact in contacts], len(contacts) - MOST_CONTACTS
    named = [f"contact {kommo_id} has the person's number as well: erase it there" for kommo_id in ids[:MOST_CONTACTS]]
    return [*named, f"and {more} more contacts with the person's number"] if more > 0 else named


def _unname(row: Forgetting, lead: LeadReply, client: KommoClient, now: datetime) -> None:
    if lead.name != FORGOTTEN:
        client.update_leads([{"id": lead.id, "name": FORGOTTEN}], lane=Lane.BULK)
    elif _is_proven(row, f"lead {lead.id}"):
        return
    _prove(row, [f"{DONE_THERE}: the name of lead {lead.id}"], now)


def _keep_proven(row: Forgetting, ids: Iterable[int]) -> None:
    """Note contacts as proven, for the person's other cards in this account too: this one may empty what is theirs."""
    row.contacts = sorted({*row.contacts, *ids})
    row.save(update_fields=["contacts"])
    address = row.card.lead.erased_address
    others = Forgetting.objects.filter(state=Forgetting.State.DUE, empties=True, card__account=row.card.account_id)
    others = others.filter(card__lead__erased_address=address).exclude(pk=row.pk) if address else others.none()
    for other in others:
        other.contacts = sorted({*other.contacts, *row.contacts})
        other.save(update_fields=["contacts"])


def _asked_aside(ask: Callable[[], T], *, is_patient: bool) -> T | None:
    """Return what a call brings that the erasure can do without; None when it is refused, or keeps failing."""
    try:
        return ask()
    except KommoError as error:
        action = decide(error)
        if action is Action.PAUSE_ACCOUNT or (is_patient and action in (Action.RETRY, Action.RETRY_LATER)):
            raise
        return None


def _proofs(row: Forgetting) -> QuerySet[Event]:
    """Return what was noted of erasing this person in Kommo, ever."""
    rows = Event.objects.filter(lead_id=row.card.lead_id, kind=Event.Kind.ERASED)
    return rows.filter(reason__startswith=DONE_THERE)


def _is_proven(row: Forgetting, what: str) -> bool:
    return _proofs(row).filter(reason__endswith=f" {what}").exists()


def _prove(row: Forgetting, lines: Iterable[str], now: datetime) -> None:
    """Keep on the timeline what was done, and what was not."""
    Event.objects.bulk_create(
        Event(lead_id=row.card.lead_id, at=now, kind=Event.Kind.ERASED, actor=Lead.Actor.BRIDGE, reason=line[:500])
        for line in lines
    )


@transaction.atomic
def _end(
    row: Forgetting,
    state: Forgetting.State,
    done: list[str],
    now: datetime,
    *,
    problem: str = "",
    left: Sequence[str] = (),
) -> None:
    """Keep the proof of what was done and what was not, and nothing of the person."""
    told_left = left_in_kommo.lines(left)
    row.state, row.ended_at, row.due_at = state, now, None
    row.problem = left_in_kommo.shortly(told_left) or problem[:500]
    row.phone = row.email = ""
    row.contacts = []
    row.save()
    _prove(row, [*done, *told_left, *([problem] if problem else [])], now)
