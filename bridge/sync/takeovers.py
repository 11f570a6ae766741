"""A member of staff who replies in Kommo's chat takes the lead over. Only the events feed shows that.

No webhook tells who wrote, so the feed is read every minute, and at once after a webhook about a chat.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import Q

from bridge.errors import KommoError
from bridge.kommo.client import KommoClient
from bridge.kommo.errors import Action, decide
from bridge.kommo.replies import EventReply
from bridge.models import Account, Card
from leads import handoff
from leads.models import Lead, Pipeline

STAFF_REPLY = "outgoing_chat_message"
# Events appear in the feed some seconds after they happened.
OVERLAP = timedelta(seconds=30)
FIRST_LOOK_BACK = timedelta(minutes=15)


def notice(account: Account, client: KommoClient, *, now: datetime) -> int:
    """Pause the agent for every lead a person has written to since the last look; return how many. Raises KommoError.

    A reply that is older than the end of an earlier handoff changes nothing: somebody gave the lead back after it.
    How far the feed was read is kept in Kommo's own time, since clocks differ: reading a reply twice changes nothing.
    """
    if not Pipeline.objects.filter(account_link__account=account, chat_reply_pauses=True).exists():
        # Nobody wants to know, so there is nothing we could have missed.
        Account.objects.filter(pk=account.pk).update(takeovers_looked_at=now)
        return 0
    read_until = account.events_read_until or now - FIRST_LOOK_BACK
    read_until = min(read_until, now)
    try:
        events = client.events(types=[STAFF_REPLY], since=read_until - OVERLAP)
    except KommoError as error:
        if decide(error) is Action.REST_FEATURE:
            # Refused and told to staff. Nothing that may pass is missed, so nobody is silenced for it.
            Account.objects.filter(pk=account.pk).update(takeovers_looked_at=now)
        raise
    replies = sorted((one for one in events if one.created_by > 0), key=lambda reply: reply.created_at)
    paused = sum(_pause(account, reply, now) for reply in replies)
    newest = min(max((datetime.fromtimestamp(event.created_at, UTC) for event in events), default=read_until), now)
    Account.objects.filter(pk=account.pk).update(
        events_read_until=max(newest, read_until) if events or account.events_read_until else None,
        takeovers_looked_at=now,
    )
    return paused


def _pause(account: Account, reply: EventReply, now: datetime) -> int:
    cards = Card.objects.filter(account=account, lead__pipeline__chat_reply_pauses=True)
    if reply.entity_type == "contact":
        # The customer's own chat, whoever is the card's main contact today.
        contact = reply.entity_id
        about = Q(kommo_contact_id=contact) | Q(own_contact_id=contact) | Q(other_contacts__kommo_contact_id=contact)
        cards = cards.filter(about).distinct()
    else:
        cards = cards.filter(kommo_lead_id=reply.entity_id)
    replied_at = min(now, datetime.fromtimestamp(reply.created_at, UTC))
    return sum(_pause_lead(card.lead, replied_at) for card in cards.select_related("lead__pipeline"))


def _pause_lead(lead: Lead, replied_at: datetime) -> bool:
    if lead.resumed_at is not None and lead.resumed_at >= replied_at:
        return False
    reason = "a person replied in the chat"
    return handoff.pause(lead, source=Lead.HandoffSource.CHAT, by=Lead.Actor.STAFF, reason=reason, now=replied_at)
