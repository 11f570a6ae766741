"""Nobody gets a second card: before a first create the person is looked for, by phone, once.

Whoever has an open card in the pipeline gets that one; whoever still stands in Incoming leads waits for staff to accept
them there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from django.db.models import Q

from bridge.account_traits import Trait
from bridge.accounts import database_clock, refusals, troubles
from bridge.cards.plan import CLOSED_STATUS_IDS
from bridge.errors import KommoError
from bridge.inbound import adoption, leads_begun_in_kommo, people_on_cards, unreadable_cards
from bridge.inbound.card_look_up import LEADS_PER_READ, SEARCHED_DIGITS, has_phone
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.kommo.reply_values import ReplyShapeError
from bridge.kommo.throttle import Lane
from bridge.models import Account, Card, Catalogue, Trouble
from bridge.models.card import UNREADABLE
from common.reasons import Reason
from leads.models import Event, Lead

# More than these are looked for together.
FEW = 5
LOOKED_FOR_AT_ONCE = 10
# Kommo's clock has a grain, and lists lag.
SEEN_AGAIN = timedelta(minutes=2)
# So long a look-up that found nobody holds: what happens meanwhile is told by webhooks.
LOOK_UP_HOLDS = timedelta(minutes=5)
LOOK_AGAIN_AFTER = timedelta(minutes=5)


def is_looked_for(card: Card, *, now: datetime) -> bool:
    """Say whether the person was looked for just now, and has no card in Kommo; or cannot be looked for."""
    if card.named_lead_id and card.looked_for_at is None:
        return False
    return not card.lead.phone or (card.looked_for_at is not None and card.looked_for_at > now - LOOK_UP_HOLDS)


def look_for_people(
    account: Account, client: KommoClient, cards: Sequence[Card], catalogue: Catalogue | None, now: datetime
) -> None:
    """Look for the people of cards that are to be created, by phone; link those who have a card. Raises KommoError.

    One call for each, and one for the leads of all contacts that were found. A crowd is looked for together, with
    everybody else who is due. Where Kommo refuses us its contacts nobody can be looked for by them: that is told, and
    whoever writes gets their card.
    """
    asked_at = database_clock.now()
    lane = Lane.LIVE if any(card.lane == Card.Lane.LIVE for card in cards) else Lane.BULK
    crowd = [card for card in cards if not card.named_lead_id]
    if len(crowd) > FEW and _look_for_crowd(account, client, crowd, catalogue, lane, now):
        return
    cards = cards[:LOOKED_FOR_AT_ONCE]
    leads_of = _leads_of_people(account, client, cards, lane, now)
    for card in cards:
        if card.named_lead_id:
            leads_of[card.pk] = [card.named_lead_id, *leads_of[card.pk]]
    replies = _read_leads(client, lane, {lead_id for ids in leads_of.values() for lead_id in ids})
    for card in cards:
        if card.named_lead_id and (card.named_lead_id not in replies or replies[card.named_lead_id].is_deleted):
            _tell_absent(card, card.named_lead_id, now)
        theirs = [replies[lead_id] for lead_id in leads_of[card.pk] if lead_id in replies]
        theirs += [
            reply for reply in _by_phone_field(client, card, catalogue, lane) if reply.id not in leads_of[card.pk]
        ]
        with unreadable_cards.each_by_itself("look-up", card.pk) as failure:
            _decide(account, card, theirs, catalogue, asked_at, now)
        if failure.error:
            # Kept for a person to look at; made anew it would be a second card.
            Card.objects.filter(pk=card.pk).update(
                state=Card.State.RETRYING,
                due_at=now + LOOK_AGAIN_AFTER,
                waiting_reason=Reason("persons_lead_not_read"),
                last_error=f"{UNREADABLE}: {failure.error}"[:1000],
            )


def _look_for_crowd(
    account: Account, client: KommoClient, cards: Sequence[Card], catalogue: Catalogue | None, lane: Lane, now: datetime
) -> bool:
    """Look for many people at once, by a few calls; False when that would take more than asking for each.

    Whoever has had an open card since the last comparison is known here, with all numbers. New to us are the leads that
    changed since, and those that nobody has accepted yet.
    """
    polled_until, compared_at = Account.objects.values_list("polled_until", "compared_at").get(pk=account.pk)
    since = polled_until or compared_at
    if since is None or _contacts_rest(account, now):
        return False
    # What was asked tells of everybody: however long the backlog, nobody of it is asked for again within LOOK_UP_HOLDS.
    crowd = Card.objects.filter(
        Q(pk__in=[card.pk for card in cards]) | Q(state__in=Card.PENDING, due_at__lte=now),
        account=account,
        kommo_lead_id=None,
        named_lead_id=None,
        create_intent_at=None,
    )
    changed = _changed_since(account, client, since - SEEN_AGAIN, most_pages=crowd.count() // FEW, now=now, lane=lane)
    if changed is None:
        return False
    known = set(
        Card.objects.filter(account=account, kommo_lead_id__in=[lead.id for lead in changed]).values_list(
            "kommo_lead_id", flat=True
        )
    )
    strangers = [lead for lead in changed if lead.id not in known and lead.status_id not in CLOSED_STATUS_IDS]
    incoming = _incoming(account, client, catalogue, lane)
    leads_begun_in_kommo.take_in(account, strangers, client, catalogue, now=now, lane=lane)
    contacts = people_on_cards.ask(
        account, client, (contact_id for reply in incoming for contact_id in reply.contact_ids), lane, now=now
    )
    if contacts is None or _contacts_rest(account, now):
        return False
    pipelines = leads_begun_in_kommo.our_pipelines(account)
    incoming_by_phone: dict[tuple[int, str], list[LeadReply]] = {}
    for reply in incoming:
        pipeline = pipelines[reply.pipeline_id]
        for key in people_on_cards.numbers_of(reply, contacts, pipeline, catalogue).keys:
            incoming_by_phone.setdefault((pipeline.pk, key), []).append(reply)
    met = {key for _, key in incoming_by_phone}
    with_somebody = crowd.filter(lead__phone_key__in=met).select_related("lead__pipeline")
    for card in with_somebody if met else ():
        theirs = incoming_by_phone.get((card.lead.pipeline_id, card.lead.phone_key or ""), [])
        _decide(account, card, theirs, catalogue, now, now)
    crowd.exclude(lead__phone_key__in=met).update(looked_for_at=now)
    return True


def _changed_since(
    account: Account, client: KommoClient, since: datetime, *, most_pages: int, now: datetime, lane: Lane
) -> list[LeadReply] | None:
    """Return the leads Kommo has changed since a time; None when they are more pages than that, or cannot be asked for.

    Asked for from the newest second of the page before: a lead that changes meanwhile moves to the last page, and pulls
    another over the edge of the page just read.
    """
    if account.traits.get(Trait.TIME_FILTER) == "ignored":
        return None
    found: dict[int, LeadReply] = {}
    page = 1
    for _ in range(most_pages):
        replies, more = client.list_leads(page=page, updated_since=since, limit=LEADS_PER_READ, lane=lane)
        if more and any(0 < reply.updated_at < int(since.timestamp()) for reply in replies):
            return None
        found |= {reply.id: reply for reply in replies}
        if not more:
            return list(found.values())
        # Anybody may write the time of a lead.
        newest = datetime.fromtimestamp(min(max(reply.updated_at for reply in replies), int(now.timestamp())), UTC)
        page, since = (1, newest) if newest > since else (page + 1, since)
    return None


def _incoming(account: Account, client: KommoClient, catalogue: Catalogue | None, lane: Lane) -> list[LeadReply]:
    """Return the leads that nobody has accepted yet, the newest of them."""
    places = leads_begun_in_kommo.places_of_incoming(account, catalogue)
    if not places:
        return []
    replies, _ = client.list_leads(page=1, places=places, limit=LEADS_PER_READ, lane=lane)
    return [reply for reply in replies if (reply.pipeline_id, reply.status_id) in places]


def _decide(
    account: Account,
    card: Card,
    theirs: Sequence[LeadReply],
    catalogue: Catalogue | None,
    asked_at: datetime,
    now: datetime,
) -> None:
    """Link a card to the newest open lead of its person, or let it wait, or be created."""
    for reply in theirs:
        if reply.unreadable:
            raise ReplyShapeError(f"lead {reply.id}: {reply.unreadable}")
    here = [
        reply
        for reply in sorted(theirs, key=lambda reply: (reply.id != card.named_lead_id, -reply.id))
        if reply.pipeline_id == card.lead.pipeline.kommo_pipeline_id and not reply.is_deleted
    ]
    taken = dict(
        Card.objects.filter(account=account, kommo_lead_id__in=[lead.id for lead in here]).values_list(
            "kommo_lead_id", "lead_id"
        )
    )
    waiting = Card.objects.filter(pk=card.pk, kommo_lead_id=None)
    for reply in here:
        if leads_begun_in_kommo.is_incoming(reply, catalogue):
            reason = Reason("person_in_incoming_leads", number=reply.id)
        elif reply.status_id in CLOSED_STATUS_IDS and reply.id != card.named_lead_id:
            continue
        elif reply.id in taken and not people_on_cards.release_nobodys(account, reply.id):
            if reply.id == card.named_lead_id:
                # Somebody else's by now, whatever the agent's own tables say.
                continue
            reason = Reason("person_has_card_of_another_lead", number=reply.id)
        else:
            reason = Reason("linked_to_lead_of_person", number=reply.id)
            if adoption.link(card.pk, reply, catalogue, read_at=asked_at, now=now, found_by="look-up", reason=reason):
                return
            continue
        waiting.update(state=Card.State.RETRYING, due_at=now + LOOK_AGAIN_AFTER, waiting_reason=reason[:500])
        if card.waiting_reason != reason:
            card.lead.events.create(at=now, kind=Event.Kind.STAFF_TOLD, actor=Lead.Actor.BRIDGE, reason=reason)
        return
    waiting.update(looked_for_at=now)


def _contacts_rest(account: Account, now: datetime) -> bool:
    """Say whether nobody can be looked for by contacts; what fails in passing is waited for, or one would be two."""
    return troubles.rests_until(account.pk, Trouble.Subject.CONTACTS, now=now, refused=True) is not None


def _leads_of_people(
    account: Account, client: KommoClient, cards: Sequence[Card], lane: Lane, now: datetime
) -> dict[int, list[int]]:
    """Return card id -> leads of the contacts that have the person's phone; none while Kommo refuses us contacts."""
    if not _contacts_rest(account, now):
        try:
            found = {card.pk: _leads_of_contacts(client, card, lane) for card in cards}
        except KommoError as error:
            if not refusals.is_only_aside(account, client, error, now=now):
                raise
        else:
            troubles.over(account.pk, Trouble.Subject.CONTACTS)
            return found
    return {card.pk: [] for card in cards}


def _leads_of_contacts(client: KommoClient, card: Card, lane: Lane) -> list[int]:
    """Return the leads of the contacts that have the person's phone: the text search finds others as well."""
    digits = "".join(digit for digit in card.lead.phone or "" if digit.isdigit())[-SEARCHED_DIGITS:]
    contacts = client.find_contacts(digits, lane=lane) if digits else []
    return [lead_id for contact in contacts if has_phone(card, contact.phones) for lead_id in contact.lead_ids]


def _tell_absent(card: Card, named: int, now: datetime) -> None:
    """Tell on the timeline that Kommo has no lead of the id a report named; it is not asked for again."""
    Card.objects.filter(pk=card.pk, named_lead_id=named).update(named_lead_id=None)
    card.named_lead_id = None
    reason = f"a report named lead {named}, which Kommo does not have or does not show: looked for by phone instead"
    data = {people_on_cards.ABSENT: named}
    card.lead.events.create(at=now, kind=Event.Kind.CARD, actor=Lead.Actor.BRIDGE, reason=reason, data=data)


def _read_leads(client: KommoClient, lane: Lane, ids: Iterable[int]) -> dict[int, LeadReply]:
    wanted, found = sorted(ids), dict[int, LeadReply]()
    for start in range(0, len(wanted), LEADS_PER_READ):
        part = wanted[start : start + LEADS_PER_READ]
        replies = islice(
            client.iterate_leads(ids=part, with_=("contacts",), limit=LEADS_PER_READ, lane=lane), LEADS_PER_READ
        )
        found |= {reply.id: reply for reply in replies if reply.id in part}
    return found


def _by_phone_field(client: KommoClient, card: Card, catalogue: Catalogue | None, lane: Lane) -> list[LeadReply]:
    """Return the leads whose own field holds the person's phone, where the pipeline has such a field."""
    pipeline = card.lead.pipeline
    if people_on_cards.phone_field_id(pipeline, catalogue) is None:
        return []
    digits = "".join(digit for digit in card.lead.phone or "" if digit.isdigit())[-SEARCHED_DIGITS:]
    replies = islice(
        client.iterate_leads(query=digits, with_=("contacts",), limit=LEADS_PER_READ, lane=lane), LEADS_PER_READ
    )
    return [
        reply
        for reply in replies
        if card.lead.phone_key in people_on_cards.numbers_of(reply, {}, pipeline, catalogue).keys
    ]
