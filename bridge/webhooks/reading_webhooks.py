"""Reading the inbox: parse what is stored, ask Kommo how the leads stand now, and adopt what people did.

A webhook is a hint. Duplicates, old states that arrive late and our own echoes all end in the same reading, so their
order is without meaning. A body that says what the card says already is an echo and costs no call; one about a card
whose write is under way waits for the answer, for it is most likely the echo of that. All others of a round are read
back together, one call for up to 250 leads. One item that cannot be processed costs no other.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from bridge import heartbeat, metrics
from bridge.accounts import catalogue as catalogues
from bridge.accounts import database_clock, refusals, troubles
from bridge.accounts.connection import open_account
from bridge.accounts.work_leases import alone
from bridge.cards import kept_forms
from bridge.errors import KommoError, KommoHeldError
from bridge.inbound import chat_replies, leads_begun_in_kommo, missing_leads, people_on_cards, which_of_several_cards
from bridge.inbound.adoption import adopt_each
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, Catalogue, Trouble, WebhookEvent, WebhookItem
from bridge.webhooks import conversations, erased_from_webhooks, inbox, parsing
from bridge.webhooks.echoes import says_nothing_new, told_responsible
from bridge.webhooks.waiting_for_writes import ALWAYS_READ, LEAD_ENTITIES, UNDER_WAY, WAIT_SECONDS, waiting_for_writes
from bridge.webhooks.who_wrote import written
from common.reasons import Reason
from common.statements import update
from leads.models import Lead

log = structlog.get_logger(__name__)

LEADS_PER_READ = 250
LONGEST_RUN = timedelta(seconds=20)
# A card that is settled while its lead is being read is read again, so often at most in a row.
READINGS = 3
VANISHED = Reason("deleted_merged_or_hidden")

Result = WebhookItem.Result


@dataclass
class Round:
    """One pass over the inbox of one account. `outcomes`: Kommo lead id -> what became of it, and the error if any."""

    account: Account
    client: KommoClient
    catalogue: Catalogue | None
    now: datetime
    outcomes: dict[int, tuple[str, str]] = field(default_factory=dict)
    # Leads that a webhook of this round says were deleted.
    deleted: set[int | None] = field(default_factory=set)
    # What was read back, by Kommo's id.
    readings: dict[int, LeadReply] = field(default_factory=dict)
    # Told of others, with an address of somebody who was erased in it.
    quoting: list[WebhookItem] = field(default_factory=list)
    # Messages of earlier rounds, of chats that were no lead's then.
    earlier: list[WebhookItem] = field(default_factory=list)


@dataclass(frozen=True)
class Heard:
    """One webhook with what it tells of."""

    event: WebhookEvent
    items: list[WebhookItem]


def process_inbox(account_id: int) -> bool:
    """Process what has been received for an account; True when more is waiting."""
    started = timezone.now()
    with alone(f"inbox:{account_id}", now=started, longest=LONGEST_RUN + timedelta(seconds=30)) as mine:
        if not mine:
            return False
        account, client = open_account(account_id)
        kept_back: list[Heard] = []
        try:
            while timezone.now() - started < LONGEST_RUN:
                heartbeat.progress()
                if not _process_round(Round(account, client, catalogues.stored(account), timezone.now()), kept_back):
                    return False
        finally:
            inbox.put_back([webhook.event for webhook in kept_back], why=UNDER_WAY)
    return True


def _process_round(current: Round, kept_back: list[Heard]) -> bool:
    """Process what is new, and what was `kept_back` and need not wait any more; False when nothing is left to do."""
    events = inbox.take(current.account, besides=[webhook.event.pk for webhook in kept_back])
    if not events and not kept_back:
        return False
    items = _store_items(current, events)
    by_event: dict[int, list[WebhookItem]] = {}
    for item in items:
        by_event.setdefault(item.event_id, []).append(item)
    heard = [*kept_back, *(Heard(event, by_event.get(event.pk, [])) for event in events)]
    waiting = waiting_for_writes(current.account, [item for webhook in heard for item in webhook.items])
    kept_back[:] = [webhook for webhook in heard if waiting & {item.kommo_id for item in webhook.items}]
    ready = [webhook for webhook in heard if webhook not in kept_back]
    if not ready:
        time.sleep(WAIT_SECONDS)
        return True
    return _process(current, ready)


def _process(current: Round, heard: Sequence[Heard]) -> bool:
    events, items = [webhook.event for webhook in heard], [item for webhook in heard for item in webhook.items]
    try:
        _observe(current, items)
    except KommoError as error:
        log.info("inbox_waits", account=current.account.pk, error=error.in_log)
        inbox.put_back(events, why=str(error))
        if not isinstance(error, KommoHeldError):
            refusals.heed(current.account, error, now=current.now, client=current.client)
            troubles.begin(current.account.pk, Trouble.Subject.INBOX, str(error), now=current.now, refused=False)
        return False
    except Exception as error:
        with suppress(DatabaseError):
            failure = f"{type(error).__name__}: {error}"
            troubles.begin(current.account.pk, Trouble.Subject.INBOX, failure, now=current.now, refused=False)
        raise
    _settle(current, events, items)
    troubles.over(current.account.pk, Trouble.Subject.INBOX)
    return True


def _store_items(current: Round, events: Sequence[WebhookEvent]) -> list[WebhookItem]:
    """Write down what each body tells; a body about another account, or about nothing, is kept with the cause."""
    # Before the transaction: whoever sends waits for its end.
    items = _parse(current, events)
    with transaction.atomic():
        WebhookItem.objects.filter(event__in=events).delete()
        _forget(current, items)
        _empty(events, _forgotten(items))
        return WebhookItem.objects.bulk_create(items, batch_size=500)


def _parse(current: Round, events: Sequence[WebhookEvent]) -> list[WebhookItem]:
    items: list[WebhookItem] = []
    for event in events:
        parsed = parsing.parse(bytes(event.body))
        known = current.account.kommo_account_id
        if parsed.account_id and known and parsed.account_id != known:
            _fail(event, WebhookEvent.Cause.OTHER_ACCOUNT, f"sent by account {parsed.account_id}, not {known}")
        elif parsed.problem:
            _fail(event, WebhookEvent.Cause(parsed.problem.value), parsing.SAID[parsed.problem])
        else:
            event.error = "" if parsed.is_whole else parsing.PARTLY
            items += (
                WebhookItem(
                    event=event,
                    entity=item.entity[:20],
                    action=item.action[:20],
                    kommo_id=item.kommo_id,
                    data=item.data,
                )
                for item in parsed.items
            )
    return items


def _fail(event: WebhookEvent, cause: WebhookEvent.Cause, error: str) -> None:
    event.state, event.cause, event.error = WebhookEvent.State.FAILED, cause, error[:1000]


def _observe(current: Round, items: Sequence[WebhookItem]) -> None:
    """Give each item its result; whatever Kommo has to be asked for is asked together. Raises KommoError."""
    ids = {item.kommo_id for item in items if item.entity in LEAD_ENTITIES and item.kommo_id}
    rows = Card.objects.filter(account=current.account, kommo_lead_id__in=ids).select_related("lead")
    cards = {card.kommo_lead_id: card for card in rows}
    pipelines = set(leads_begun_in_kommo.our_pipelines(current.account)) if ids - cards.keys() else set()
    to_read: set[int] = set()
    learnt: dict[int, WebhookItem] = {}
    current.deleted = {item.kommo_id for item in items if item.action == "delete"}
    for item in items:
        if item.result == Result.FORGOTTEN:
            continue
        item.result = Result.IGNORED
        if item.entity not in LEAD_ENTITIES or not item.kommo_id or _is_elsewhere(item, cards, pipelines):
            continue
        card = cards.get(item.kommo_id)
        if _is_echo(item, card):
            item.result = Result.ECHO
            if card and told_responsible(card.observed, item.data):
                learnt.setdefault(card.pk, item)
        else:
            item.result = Result.PENDING
            to_read.add(item.kommo_id)
    _learn_responsible(learnt)
    talk = conversations.listen(current.account, current.client, current.catalogue, items, now=current.now)
    if talk is not None:
        to_read |= conversations.strangers(talk)
    _notice_others(current.account, [item for item in items if item.result == Result.PENDING])
    _read_back(current, sorted(to_read), cards)
    for item in items:
        if item.result == Result.PENDING:
            item.result, item.error = current.outcomes.get(item.kommo_id or 0, (Result.IGNORED, ""))
    # Of those nobody read: deleted, or with another team by now.
    unread = ids - cards.keys() - current.readings.keys()
    which_of_several_cards.are_gone(unread, now=current.now)
    _learn_phones(current, [item for item in items if item not in current.quoting])
    _forget(current, items)
    if talk is not None:
        conversations.take(talk, current.readings)
        known = {item.pk for item in items}
        current.earlier = [
            chat_message.item for chat_message in talk.chat_messages if chat_message.item.pk not in known
        ]
    heard = conversations.heard_here(talk)
    rest = [item for item in items if item.entity == "message" and item.pk not in heard]
    messages = [message for item in rest if (message := written(item.data))]
    if not chat_replies.hear(current.account, messages, now=current.now) or any(
        item.entity == "talk" for item in items
    ):
        # Who wrote stands in the events feed alone: let the clock look there now.
        Account.objects.filter(pk=current.account.pk).update(takeovers_looked_at=None)


def _forget(current: Round, items: Sequence[WebhookItem]) -> None:
    """Mark what is told of people who were erased, also while it was being read; `_settle` keeps nothing of it."""
    theirs, of_others = erased_from_webhooks.theirs(current.account, items)
    for item in theirs:
        item.result = Result.FORGOTTEN
    current.quoting += [item for item in of_others if item.entity != "message" and item not in current.quoting]


def _is_echo(item: WebhookItem, card: Card | None) -> bool:
    if card is None or item.entity != "lead" or item.action in ALWAYS_READ:
        return False
    if not card.observed or card.in_doubt or card.state == Card.State.GONE:
        return False
    return says_nothing_new(card.observed, item.data)


@transaction.atomic
def _learn_responsible(items_by_card: Mapping[int, WebhookItem]) -> None:
    """Let cards know whom Kommo made responsible for what we created: all else the body says is as they have it."""
    rows = Card.objects.select_for_update(no_key=True).filter(pk__in=items_by_card).order_by("pk")
    cards = [card for card in rows if _is_echo(items_by_card[card.pk], card)] if items_by_card else []
    owned: list[Lead] = []
    for card in cards:
        user_id = told_responsible(card.observed, items_by_card[card.pk].data)
        if user_id:
            card.observed = {**card.observed, "responsible_user_id": user_id}
            card.agreed = {**card.agreed, "responsible_user_id": user_id}
            owned.append(Lead(pk=card.lead_id, kommo_responsible_id=user_id))
    update(cards, ("observed", "agreed"))
    update(owned, ("kommo_responsible_id",))


@transaction.atomic
def _notice_others(account: Account, items: Iterable[WebhookItem]) -> None:
    """Let cards know that somebody else has written to their leads, before or after what we sent last."""
    # 0 is a robot, as which some accounts name whatever comes by the API: ours as well.
    ours = (None, 0, account.kommo_user_id)
    ids = {item.kommo_id for item in items if parsing.number(item.data.get("modified_user_id")) not in ours}
    if not ids or account.kommo_user_id is None:
        return
    rows = Card.objects.select_for_update(no_key=True).filter(account=account, kommo_lead_id__in=ids).order_by("pk")
    cards = [card for card in rows if card.unread]
    for card in cards:
        card.unread = kept_forms.of_several(card.unread)
    update(cards, ("unread",))


def _is_elsewhere(item: WebhookItem, cards: Mapping[int | None, Card], pipelines: set[int]) -> bool:
    """Say whether this is a lead of a pipeline that is none of ours: those of other teams cost no call."""
    place = parsing.number(item.data.get("pipeline_id"))
    return item.kommo_id not in cards and place is not None and place not in pipelines


def _read_back(current: Round, ids: Sequence[int], cards: dict[int | None, Card]) -> None:
    """Ask Kommo how the leads stand, one call for up to 250, and act on it. Raises KommoError."""
    for start in range(0, len(ids), LEADS_PER_READ):
        rest: list[int] = list(ids[start : start + LEADS_PER_READ])
        for _ in range(READINGS):
            rest = _read_part(current, rest, cards) if rest else []
        # Settled over and over while being read: the write that settled it last has a webhook of its own.
        current.outcomes |= dict.fromkeys(rest, (Result.UNCHANGED.value, ""))


def _read_part(current: Round, ids: list[int], cards: dict[int | None, Card]) -> list[int]:
    """Read one part and give each lead its outcome; return those whose card was settled meanwhile."""
    heartbeat.progress()
    read_at = database_clock.now()
    replies = {
        reply.id: reply
        for reply in current.client.iterate_leads(ids=ids, with_=("contacts",), limit=LEADS_PER_READ, lane=Lane.LIVE)
        if reply.id in ids and not reply.is_deleted
    }
    known = {card.pk: reply for kommo_id, reply in replies.items() if (card := cards.get(kommo_id))}
    found = adopt_each(known, current.catalogue, read_at=read_at, now=current.now, found_by="webhook")
    outdated = [known[pk].id for pk, findings in found.items() if findings.is_outdated]
    for pk, findings in found.items():
        result = Result.FAILED if findings.error else Result.ADOPTED if findings.changed else Result.UNCHANGED
        current.outcomes[known[pk].id] = (result, findings.error)
    newborn = [reply for kommo_id, reply in replies.items() if kommo_id not in cards]
    current.outcomes |= leads_begun_in_kommo.take_in(
        current.account, newborn, current.client, current.catalogue, now=current.now, lane=Lane.LIVE
    )
    current.readings |= replies
    missing_leads.seen(current.account, replies)
    _lose(current, [card for kommo_id in ids if kommo_id not in replies and (card := cards.get(kommo_id))])
    return outdated


def _lose(current: Round, cards: Sequence[Card]) -> None:
    """Let go of the leads that Kommo says are deleted and does not show; look again for those that are just missing."""
    told_of = [card for card in cards if card.kommo_lead_id in current.deleted]
    settled = missing_leads.settle(current.account, current.client, told_of, reason=VANISHED, now=current.now)
    missing_leads.miss(
        [card for card in cards if card not in told_of], reason=missing_leads.NOT_FOUND, now=database_clock.now()
    )
    for card in cards:
        changed = card.pk in settled.gone or card.pk in settled.followed
        current.outcomes[card.kommo_lead_id or 0] = (Result.ADOPTED if changed else Result.UNCHANGED, "")


def _learn_phones(current: Round, items: Iterable[WebhookItem]) -> None:
    """A lead born in Kommo may get its contact, or the contact its phone, later than the lead itself."""
    items_by_contact = {item.kommo_id: item for item in items if item.entity == "contact" and item.kommo_id}
    contacts = items_by_contact.keys() - people_on_cards.as_known(
        current.account,
        {kommo_id: parsing.phones_of_contact(item.data) for kommo_id, item in items_by_contact.items() if kommo_id},
    )
    learnt = people_on_cards.meet(
        current.account,
        current.client,
        current.catalogue,
        replies=list(current.readings.values()),
        contact_ids=[contact_id for contact_id in contacts if contact_id],
        now=current.now,
        lane=Lane.LIVE,
    )
    for item in items:
        if item.entity == "contact" and item.kommo_id in learnt:
            item.result = Result.ADOPTED


def _settle(current: Round, events: Sequence[WebhookEvent], items: Sequence[WebhookItem]) -> None:
    """Write down the outcome of each item, and of each event from its items."""
    by_event = {event.pk: event for event in events}
    quoting = [item for item in items if item in current.quoting]
    emptied = [*_forgotten(items), *quoting, *erased_from_webhooks.quoting_what_was_left(current.account, items)]
    _empty(events, emptied)
    for item in items:
        if item.result == Result.FAILED:
            _fail(by_event[item.event_id], WebhookEvent.Cause.ITEM_FAILED, item.error)
    for event in events:
        event.processed_at = timezone.now()
        if event.state != WebhookEvent.State.FAILED:
            event.state, event.cause = WebhookEvent.State.PROCESSED, ""
    with transaction.atomic():
        update([*items, *current.earlier], ("result", "error"))
        update(emptied, ("data",))
        update(events, ("state", "cause", "error", "processed_at"))
        Account.objects.filter(pk=current.account.pk).update(webhook_heard_at=events[-1].received_at)
    for result, number in Counter(item.result for item in items).items():
        metrics.count("bridge_webhooks", result, by=number)


def _is_among(marked: Collection[tuple[str, str, int | None]], item: parsing.Item) -> bool:
    return (item.entity[:20], item.action[:20], item.kommo_id) in marked


def _forgotten(items: Iterable[WebhookItem]) -> list[WebhookItem]:
    return [item for item in items if item.result == Result.FORGOTTEN]


def _empty(events: Sequence[WebhookEvent], theirs: Sequence[WebhookItem]) -> None:
    """Keep of what was told of erased people their ids alone."""
    for item in theirs:
        erased_from_webhooks.empty_item(item)
    for event in events if theirs else ():
        marked = {(item.entity, item.action, item.kommo_id) for item in theirs if item.event_id == event.pk}
        if marked and erased_from_webhooks.empty_body(event, partial(_is_among, marked)):
            event.save(update_fields=["body"])
