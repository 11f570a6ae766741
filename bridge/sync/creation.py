"""The create guard: a lead is never created twice, though Kommo's create is not idempotent and answers get lost.

The intent to create is stored before the call. While a card carries one without a Kommo id, the lead is looked up
first: by our own id in the text field "Bridge ID", and where that field does not exist, by the phone of its contact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, Catalogue
from bridge.sync import adoption, clock, kept_forms
from bridge.sync.ledger import AWAY
from bridge.sync.observe import link
from leads.models import Event, Lead
from leads.phone import PhoneError, parse
from leads.statements import insert, update

# One look-up names this many leads: well inside what fits into a URL.
LOOK_UP_SIZE = 40
# Kommo's clock and ours may differ by this much when we compare a lead's age with our intent.
CLOCK_SLACK = timedelta(minutes=5)
LOOKED_UP_COLUMNS = (
    "kommo_lead_id",
    "kommo_contact_id",
    "own_contact_id",
    "observed",
    "agreed",
    "in_doubt",
    "unread",
    "kept_forms",
    "create_intent_at",
    "write_settles_at",
    "state",
    "due_at",
    "pending_since",
    "waiting_reason",
    "attempts",
    "tries_without_outcome",
)


def look_up_created(
    account: Account, client: KommoClient, cards: Sequence[Card], catalogue: Catalogue | None, now: datetime
) -> None:
    """Link the cards whose lead turns out to exist; let the others be created, once it is sure that theirs does not.

    A look-up that finds nothing proves nothing while Kommo may still be at work on the earlier call: such cards wait
    and are looked up again. Raises KommoError when Kommo could not be asked; then nothing is decided.
    """
    found: dict[int, LeadReply] = {}
    asked_at = clock.now()
    for start in range(0, len(cards), LOOK_UP_SIZE):
        found |= _find(account, client, cards[start : start + LOOK_UP_SIZE])
    with transaction.atomic():
        rows = {row.pk: row for row in Card.objects.select_for_update().filter(pk__in=[card.pk for card in cards])}
        owners = dict(
            Card.objects.filter(account=account, kommo_lead_id__in=[reply.id for reply in found.values()]).values_list(
                "kommo_lead_id", "pk"
            )
        )
        # What was let go meanwhile stays away; of one whose person was erased the worker looks again (forgetting.py).
        for pk in [pk for pk, row in rows.items() if row.state in AWAY]:
            del rows[pk]
        events = [_settle(row, found.get(pk), owners, now) for pk, row in rows.items() if row.kommo_lead_id is None]
        update(rows.values(), LOOKED_UP_COLUMNS)
        insert([event for event in events if event])
    for pk, reply in found.items():
        if pk in rows and rows[pk].kommo_lead_id == reply.id:
            # What staff changed since the lead was made stands, as with every other reading.
            adoption.adopt(pk, reply, catalogue, read_at=asked_at, now=now, found_by="look-up")


def _settle(row: Card, reply: LeadReply | None, owners: dict[int | None, int], now: datetime) -> Event | None:
    """Settle one card in memory from what the look-up found; return what its lead's timeline tells of it."""
    if reply is None:
        if row.write_settles_at and row.write_settles_at > now:
            row.state, row.due_at = Card.State.RETRYING, row.write_settles_at
            row.waiting_reason = "an earlier create may still arrive: looked up again before it is repeated"
        else:
            row.create_intent_at = row.write_settles_at = None
            row.in_doubt = {}
        return None
    if owners.get(reply.id, row.pk) != row.pk:
        row.state, row.due_at, row.pending_since = Card.State.BLOCKED, None, None
        row.waiting_reason = f"lead {reply.id} in Kommo carries our id, but is the card of another lead here"
        return None
    sent = row.in_doubt
    link(row, reply)
    # What we sent is what Kommo held when the lead was made.
    row.observed = row.agreed = sent or row.observed
    row.unread = kept_forms.sent({}, sent)
    owners[reply.id] = row.pk
    row.write_settles_at = None
    row.state, row.due_at, row.waiting_reason = Card.State.DUE, now, ""
    row.attempts = row.tries_without_outcome = 0
    reason = f"found lead {reply.id} in Kommo: an earlier create had succeeded without an answer"
    return Event(lead_id=row.lead_id, at=now, kind=Event.Kind.CARD, actor=Lead.Actor.BRIDGE, reason=reason)


def _find(account: Account, client: KommoClient, cards: Sequence[Card]) -> dict[int, LeadReply]:
    """Return card id -> lead, for the cards whose lead is in Kommo."""
    if account.bridge_id_field_id is None:
        return _find_by_phone(account, client, cards)
    return find_by_bridge_id(account, client, cards)


def find_by_bridge_id(account: Account, client: KommoClient, cards: Sequence[Card]) -> dict[int, LeadReply]:
    """Return card id -> lead that carries our id; the account has the field “Bridge ID”. Raises KommoError."""
    assert account.bridge_id_field_id is not None
    field_id = account.bridge_id_field_id
    card_by_lead = {str(card.lead_id): card for card in cards}
    replies = client.iterate_leads(custom_field=(field_id, list(card_by_lead)), with_=("contacts",), lane=Lane.LIVE)
    found: dict[int, LeadReply] = {}
    for reply in replies:
        # Kommo ignores filters it does not know, so every reply is checked against what was asked.
        card = card_by_lead.get(str(reply.field_value(field_id)))
        if card and card.pk not in found:
            found[card.pk] = reply
    return found


def _find_by_phone(account: Account, client: KommoClient, cards: Sequence[Card]) -> dict[int, LeadReply]:
    found: dict[int, LeadReply] = {}
    for card in cards:
        if not card.lead.phone:
            continue
        contacts = client.contacts(query=card.lead.phone, with_leads=True)
        ids = [lead_id for contact in contacts if _same_phone(card, contact.phones) for lead_id in contact.lead_ids]
        taken = set(Card.objects.filter(account=account, kommo_lead_id__in=ids).values_list("kommo_lead_id", flat=True))
        free = [lead_id for lead_id in ids if lead_id not in taken]
        since = (card.create_intent_at or card.lead.created_at) - CLOCK_SLACK
        for reply in client.iterate_leads(ids=free, with_=("contacts",)) if free else ():
            ours = reply.pipeline_id == card.lead.pipeline.kommo_pipeline_id and reply.created_at >= since.timestamp()
            if reply.id in free and ours:
                found[card.pk] = reply
    return found


def _same_phone(card: Card, phones: Iterable[str]) -> bool:
    for phone in phones:
        try:
            if parse(phone, region=card.lead.pipeline.phone_region).key == card.lead.phone_key:
                return True
        except PhoneError:
            continue
    return False
