"""The create guard: a lead is never created twice, though Kommo's create is not idempotent and answers get lost.

The intent to create is stored before the call. While a card carries one without a Kommo id, the lead is looked up
first: by our own id in the text field “Bridge ID”, and where that field does not exist, by the phone of its contact.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from bridge.accounts import database_clock
from bridge.cards import kept_forms
from bridge.cards.ledger import AWAY
from bridge.inbound import adoption, card_look_up, empty_look_ups
from bridge.inbound.card_look_up import LOOK_UP_SIZE, LookedUp
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.models import Account, Card, Catalogue
from common.reasons import Reason
from common.statements import insert, update
from leads.models import Event, Lead

LOOKED_UP_COLUMNS = (
    "kommo_lead_id",
    "kommo_contact_id",
    "own_contact_id",
    "observed",
    "agreed",
    "ownership",
    "said_tags",
    "in_doubt",
    "unread",
    "kept_forms",
    "create_intent_at",
    "write_settles_at",
    "looked_for_at",
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

    A look-up that finds nothing proves nothing by itself (bridge/inbound/empty_look_ups.py): cards of which there is a
    doubt wait and are looked up again. Raises KommoError when Kommo could not be asked; then nothing is decided.
    """
    looked_up = LookedUp()
    asked_at = database_clock.now()
    for start in range(0, len(cards), LOOK_UP_SIZE):
        looked_up |= card_look_up.find(account, client, cards[start : start + LOOK_UP_SIZE])
    found = looked_up.leads
    # As they are by now: what was just sent is declared on their rows.
    missing = Card.objects.filter(pk__in=[card.pk for card in cards if card.pk not in found], kommo_lead_id=None)
    doubts = empty_look_ups.doubts(account, client, list(missing), asked_at=now, unread=looked_up.unsure)
    with transaction.atomic():
        rows = {row.pk: row for row in Card.objects.select_for_update().filter(pk__in=[card.pk for card in cards])}
        owners = dict(
            Card.objects.filter(account=account, kommo_lead_id__in=[reply.id for reply in found.values()]).values_list(
                "kommo_lead_id", "pk"
            )
        )
        # What was let go meanwhile stays away; of one whose person was erased the worker looks again
        # (erasing_in_kommo.py).
        for pk in [pk for pk, row in rows.items() if row.state in AWAY]:
            del rows[pk]
        unlinked = {pk: row for pk, row in rows.items() if row.kommo_lead_id is None}
        events = [_settle(row, found.get(pk), doubts.get(pk), owners, now) for pk, row in unlinked.items()]
        update(rows.values(), LOOKED_UP_COLUMNS)
        insert([event for event in events if event])
    for pk, reply in found.items():
        if pk in rows and rows[pk].kommo_lead_id == reply.id:
            # What staff changed since the lead was made stands, as with every other reading.
            adoption.adopt_each({pk: reply}, catalogue, read_at=asked_at, now=now, found_by="look-up")


def _settle(
    row: Card, reply: LeadReply | None, doubt: empty_look_ups.Doubt | None, owners: dict[int | None, int], now: datetime
) -> Event | None:
    """Settle one card in memory from what the look-up found; return what its lead's timeline tells of it."""
    if reply is None:
        if doubt:
            row.state, row.due_at, row.waiting_reason = Card.State.RETRYING, doubt.look_at, doubt.reason
            return None
        if row.write_settles_at:
            # Meanwhile somebody may have made one by hand: the person is looked for by phone once more.
            row.looked_for_at = None
        row.create_intent_at = row.write_settles_at = None
        row.in_doubt = {}
        return None
    if owners.get(reply.id, row.pk) != row.pk:
        row.state, row.due_at, row.pending_since = Card.State.BLOCKED, None, None
        row.waiting_reason = Reason("our_id_on_card_of_another", number=reply.id)
        return None
    row.kommo_lead_id, row.kommo_contact_id = reply.id, reply.main_contact_id
    # What we sent is what Kommo held when the lead was made; whatever it holds otherwise by now is a person's.
    row.observed = row.agreed = row.in_doubt
    row.unread, row.kept_forms = kept_forms.sent({}, row.in_doubt), {}
    row.ownership, row.said_tags = {}, sorted({*(row.said_tags or ()), *row.in_doubt.get("tags", ())})
    row.in_doubt, row.create_intent_at = {}, None
    owners[reply.id] = row.pk
    row.write_settles_at = None
    row.state, row.due_at, row.waiting_reason = Card.State.DUE, now, ""
    row.attempts = row.tries_without_outcome = 0
    reason = Reason("earlier_create_had_succeeded", number=reply.id)
    return Event(lead_id=row.lead_id, at=now, kind=Event.Kind.CARD, actor=Lead.Actor.BRIDGE, reason=reason)
