"""Before a card is written while we may not be hearing what people do, the lead is read: what they did comes first.

With webhooks that arrive, a person's move is known within a second. Without any, or while they are late or unread,
an automatic move could go over one that nobody has told us of. So such cards are read back, all of a batch in one call,
and planned again from what was found. So are cards of which anything else is to be written, a name or a value, where a
webhook that may be about them has waited for longer than reading takes: after a worker was away, or while many come.
And so are those whose change has waited long itself, where nobody may have listened meanwhile: after all of us were
away Kommo sends again what we missed, but minutes later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import QuerySet

from bridge.accounts import database_clock
from bridge.inbound.adoption import adopt_each
from bridge.kommo.client import KommoClient
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, Catalogue, Delivery, WebhookEvent
from common.reasons import Reason

# A reading this old may be moved upon: what leaves next was computed from it.
FRESH_FOR = timedelta(seconds=5)
# Our own writes come back as webhooks well within this.
ECHO_LATE_AFTER = timedelta(seconds=30)
LEADS_PER_READ = 250
# Webhooks are read within this; one that waits for longer may tell of a person's edit that nothing here knows yet.
READ_WITHIN = timedelta(seconds=2)
# A change that has waited for this long may be older than what staff did since.
OLD_AFTER = timedelta(minutes=1)
# Whoever listens has heard something within this, and the clock has the leads looked at at least so often.
HEARD_WITHIN = timedelta(minutes=1)
LOOKED_WITHIN = timedelta(minutes=6)
# More unread webhooks are not looked through: too many to be only about what was just written.
MOST_UNREAD = 2_000
READ_AGAIN_AFTER = timedelta(minutes=1)
UNREAD = Reason("lead_not_read_before_move")
NUMBER = re.compile(rb"\d{1,18}")


def unheard(account: Account, cards: Sequence[Card], *, now: datetime) -> set[int]:
    """Return the ids of those cards that staff may have moved without our knowing it by now. Three queries at most.

    All of them where webhooks do not come or are late; otherwise those that an unread one may be about.
    """
    if not account.webhook_destination or account.webhook_problem or _are_late(account, now):
        return {card.pk for card in cards}
    return _named(cards, _unread(account))


def waited_for(account: Account, cards: Sequence[Card], *, now: datetime) -> set[int]:
    """Return the ids of those cards that may have been edited before their own change leaves, unknown to us.

    A webhook that should have been read by now may be about them, or their change has waited for long while nobody may
    have listened. Two queries at most.
    """
    named = _named(cards, _unread(account).filter(received_at__lt=now - READ_WITHIN))
    waiting = {card.pk for card in cards if card.pending_since and card.pending_since < now - OLD_AFTER}
    return named if waiting <= named or _listens(account, now) else named | waiting


def _listens(account: Account, now: datetime) -> bool:
    """Say whether webhooks have come just now, and nobody has missed a look at Kommo: then we were there all along."""
    looks = ("connected_at", "compared_at", "polled_at")
    heard_at, *looked_at = Account.objects.values_list("webhook_heard_at", *looks).get(pk=account.pk)
    if heard_at is None or heard_at < now - HEARD_WITHIN:
        return False
    return any(look is not None and look > now - LOOKED_WITHIN for look in looked_at)


def _unread(account: Account) -> QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(account=account, state=WebhookEvent.State.RECEIVED).order_by("id")


def _named(cards: Sequence[Card], events: QuerySet[WebhookEvent]) -> set[int]:
    bodies = list(events.values_list("body", flat=True)[: MOST_UNREAD + 1])
    if len(bodies) > MOST_UNREAD:
        return {card.pk for card in cards}
    # Any number in a body may be the id of a lead: too often is a reading too many, never one too few.
    numbers = {int(number) for body in bodies for number in NUMBER.findall(bytes(body))}
    return {card.pk for card in cards if card.kommo_lead_id in numbers}


def _are_late(account: Account, now: datetime) -> bool:
    """Say whether a write of ours has not come back as a webhook although it must have by now."""
    heard_at = Account.objects.values_list("webhook_heard_at", flat=True).get(pk=account.pk) or account.connected_at
    unanswered = Delivery.objects.filter(
        account=account,
        outcome=Delivery.Outcome.DELIVERED,
        operation__in=[Delivery.Operation.CREATE, Delivery.Operation.UPDATE],
        at__lt=now - ECHO_LATE_AFTER,
    )
    return heard_at is None or unanswered.filter(at__gt=heard_at).exists()


def is_fresh(card: Card, *, now: datetime) -> bool:
    """Say whether what Kommo holds was seen just now."""
    return card.observed_at is not None and card.observed_at > now - FRESH_FOR


def read_again(client: KommoClient, catalogue: Catalogue | None, cards: Sequence[Card]) -> set[int]:
    """Read the cards' leads and adopt what people did; return the ids of cards whose lead is not there.

    Where a person may have put an unreadable one nobody can say: it is not moved, and read again later. Raises
    KommoError, and then nothing has been decided for what was not read.
    """
    missing: set[int] = set()
    for start in range(0, len(cards), LEADS_PER_READ):
        cards_by_id = {card.kommo_lead_id: card for card in cards[start : start + LEADS_PER_READ]}
        ids = [kommo_id for kommo_id in cards_by_id if kommo_id]
        read_at = database_clock.now()
        found = client.iterate_leads(ids=ids, with_=("contacts",), limit=LEADS_PER_READ, lane=Lane.LIVE)
        replies = {reply.id: reply for reply in found if reply.id in cards_by_id and not reply.is_deleted}
        by_card = {cards_by_id[kommo_id].pk: reply for kommo_id, reply in replies.items()}
        seen = adopt_each(by_card, catalogue, read_at=read_at, now=database_clock.now(), found_by="before a move")
        _put_off([pk for pk, findings in seen.items() if findings.error])
        missing |= {card.pk for kommo_id, card in cards_by_id.items() if kommo_id not in replies}
    return missing


def _put_off(card_ids: Sequence[int]) -> None:
    waiting = Card.objects.filter(pk__in=card_ids, state__in=Card.PENDING) if card_ids else Card.objects.none()
    waiting.update(state=Card.State.RETRYING, due_at=database_clock.now() + READ_AGAIN_AFTER, waiting_reason=UNREAD)
