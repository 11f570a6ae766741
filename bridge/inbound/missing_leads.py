"""Cards whose lead Kommo does not show any more: followed when it was merged, else gone, and what staff decide then.

What is merely missing from an answer is believed at the second look, asked for alone and a little later: lists lag, and
rights narrow. Very many at once are a matter of rights, so nothing is changed and staff are told. What Kommo itself
calls deleted is believed at once.

Nothing is written to a card that is gone. It comes back by itself when the lead is restored in Kommo, and what was
stopped for it goes on; staff may have it made anew, or close it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db import models, transaction
from django.db.models.functions import Coalesce

from bridge.accounts import catalogue as catalogues
from bridge.accounts import troubles
from bridge.cards import nudge, outbox
from bridge.errors import KommoNotFoundError
from bridge.inbound import merged_in_kommo
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, Trouble
from common.reasons import Reason, several
from followups import stopping
from leads.models import Event, Lead

log = structlog.get_logger(__name__)

GONE = (Card.State.GONE, Card.State.CLOSED)
SECOND_LOOK_AFTER = timedelta(seconds=5)
LEADS_PER_READ = 250
# So many at once, or such a share of all cards, are not deleted one by one: our user does not see them any more.
FEW = 4
MANY = 50
MANY_OF = 5
NOT_FOUND = Reason("not_found_in_kommo")


@dataclass
class Settled:
    """Ids of the cards that live on in another lead, and of those that are gone from now on."""

    followed: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)


def settle(account: Account, client: KommoClient, cards: Sequence[Card], *, reason: str, now: datetime) -> Settled:
    """Say what became of cards whose lead is not there any more; those gone before are left alone. Raises KommoError.

    The cards' leads are loaded.
    """
    lost = [card for card in cards if card.state not in GONE]
    if not lost:
        return Settled()
    followed = merged_in_kommo.follow(account, client, lost, catalogues.stored(account), now=now)
    rest = [card for card in lost if card.pk not in followed]
    hints = merged_in_kommo.hints(account, client, rest, now=now)
    return Settled(
        followed,
        {card.pk for card in rest if _mark_gone(card, several(filter(None, (reason, hints.get(card.pk)))), now)},
    )


def miss(cards: Iterable[Card], *, reason: str, now: datetime) -> set[int]:
    """Note that an answer lacks the leads of these cards; what waits to be sent to them waits for the second look.

    Returns the cards whose absence is in doubt now.
    """
    ids = [card.pk for card in cards]
    missing = Card.objects.filter(pk__in=ids, kommo_lead_id__isnull=False).exclude(state__in=GONE)
    missing.update(missing_since=Coalesce(models.F("missing_since"), models.Value(now)))
    for account_id in missing.filter(state__in=Card.PENDING).values_list("account_id", flat=True).distinct():
        rests = troubles.rests_until(account_id, Trouble.Subject.HIDDEN, now=now)
        missing.filter(account=account_id, state__in=Card.PENDING).update(
            state=Card.State.RETRYING,
            due_at=max(now + SECOND_LOOK_AFTER, rests or now),
            waiting_reason=several([reason, Reason("looked_for_once_more")])[:500],
        )
    return set(missing.values_list("pk", flat=True))


def seen(account: Account, kommo_ids: Iterable[int]) -> None:
    """Note that these leads are there after all."""
    back = Card.objects.filter(account=account, missing_since__isnull=False, kommo_lead_id__in=list(kommo_ids))
    back.update(missing_since=None)


def to_look_for(account_id: int, *, now: datetime) -> models.QuerySet[Card]:
    """Return the cards whose absence is to be looked at a second time."""
    return Card.objects.filter(account=account_id, missing_since__lte=now - SECOND_LOOK_AFTER)


def look_again(account: Account, client: KommoClient, *, now: datetime) -> tuple[list[LeadReply], Settled]:
    """Look a second time for the leads that were missing.

    Returns the leads that are there, which are to be adopted, and what became of the others. Raises KommoError.
    """
    cards = list(to_look_for(account.pk, now=now).exclude(state__in=GONE).select_related("lead"))
    to_look_for(account.pk, now=now).filter(state__in=GONE).update(missing_since=None)
    if not _are_many(account, len(cards)):
        troubles.over(account.pk, Trouble.Subject.HIDDEN)
        return _asked_for_alone(account, client, cards, now)
    replies = _still_listed(client, cards)
    seen(account, [reply.id for reply in replies])
    hidden = len(cards) - len(replies)
    if _are_many(account, hidden):
        reason = several([Reason("leads_not_shown", number=hidden), Reason("nothing_changed")])
        log.error("leads_hidden", account=account.pk, leads=hidden)
        troubles.begin(account.pk, Trouble.Subject.HIDDEN, reason, now=now, refused=True)
    # Those that are few now are asked for alone with the next look.
    return replies, Settled()


def _asked_for_alone(
    account: Account, client: KommoClient, cards: Sequence[Card], now: datetime
) -> tuple[list[LeadReply], Settled]:
    there: list[LeadReply] = []
    lost: list[Card] = []
    for card in cards:
        assert card.kommo_lead_id is not None
        try:
            reply = client.lead(card.kommo_lead_id, lane=Lane.BULK)
        except KommoNotFoundError as error:
            if error.status_code != 204:
                raise
            lost.append(card)
        else:
            if reply.is_deleted:
                lost.append(card)
            else:
                there.append(reply)
    seen(account, [reply.id for reply in there])
    settled = settle(account, client, lost, reason=NOT_FOUND, now=now)
    Card.objects.filter(pk__in=[card.pk for card in lost]).update(missing_since=None)
    return there, settled


def _still_listed(client: KommoClient, cards: Sequence[Card]) -> list[LeadReply]:
    ids = [card.kommo_lead_id for card in cards if card.kommo_lead_id]
    found: list[LeadReply] = []
    for start in range(0, len(ids), LEADS_PER_READ):
        part = ids[start : start + LEADS_PER_READ]
        replies = client.iterate_leads(ids=part, with_=("contacts",), limit=LEADS_PER_READ, lane=Lane.BULK)
        found += [reply for reply in replies if reply.id in part and not reply.is_deleted]
    return found


def _are_many(account: Account, missing: int) -> bool:
    if missing <= FEW:
        return False
    shown = Card.objects.filter(account=account, kommo_lead_id__isnull=False).exclude(state__in=GONE)
    return missing >= MANY or missing * MANY_OF >= shown.count()


def recreate(cards: Iterable[Card], *, who: str, now: datetime) -> int:
    """Have a new lead made in Kommo for cards that are gone or closed: staff's decision; return how many."""
    return _decided(cards, Reason("card_made_anew_by", a=who), now, create=True)


def close(cards: Iterable[Card], *, who: str, now: datetime) -> int:
    """Let cards go for good, whatever their leads become: staff's decision; return how many."""
    return _decided(cards, Reason("closed_by", a=who), now, create=False)


@transaction.atomic
def _decided(cards: Iterable[Card], reason: str, now: datetime, *, create: bool) -> int:
    count = 0
    for card in cards:
        row = Card.objects.filter(pk=card.pk)
        standing = row.exclude(state=Card.State.CLOSED)
        if outbox.recreate(row, now=now) if create else outbox.close(standing, reason=reason):
            count += 1
            _tell(card, reason, now)
            if create:
                nudge.send_on_commit(card.account_id)
    return count


@transaction.atomic
def _mark_gone(card: Card, reason: str, now: datetime) -> bool:
    standing = Card.objects.filter(pk=card.pk, kommo_lead_id=card.kommo_lead_id).exclude(state__in=GONE)
    if not standing.update(state=Card.State.GONE, due_at=None, pending_since=None, waiting_reason=reason[:500]):
        return False
    stopping.stop(card.lead, reason, now=now)
    _tell(card, reason, now)
    return True


def _tell(card: Card, reason: str, now: datetime) -> None:
    Event.objects.create(
        lead_id=card.lead_id, at=now, kind=Event.Kind.CARD, actor=Lead.Actor.STAFF, reason=reason[:500]
    )
