"""A member of staff who replies in Kommo's chat takes the lead over.

The webhook `add_outgoing_message` tells who wrote: `internal` is a person, `bot` none. The events feed, read every
minute and at once after a webhook that does not say, is the safety net. Neither our own user, nor one that was seen to
write as a bot, nor whoever says what the agent has just reported as said, is a person taking over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from bridge.errors import KommoError
from bridge.inbound import other_bots_answer, our_words_in_chats, users_who_are_bots
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import EventReply
from bridge.kommo.what_an_error_stops import Action, decide
from bridge.models import Account, Card
from common.reasons import Reason
from leads import handoff
from leads.addresses import Kind
from leads.models import Event, FurtherAddress, Lead, Pipeline

STAFF_REPLY = "outgoing_chat_message"
# Events appear in the feed some seconds after they happened.
OVERLAP = timedelta(seconds=30)
FIRST_LOOK_BACK = timedelta(minutes=15)
PERSON, BOT = "internal", "bot"
JUST_NOW = timedelta(minutes=2)


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
    robots = users_who_are_bots.robots(account)
    written = (event for event in events if event.created_by > 0 and event.created_by not in robots)
    replies = sorted(written, key=lambda reply: reply.created_at)
    paused = sum(_pause(account, reply, now) for reply in replies)
    newest = min(max((datetime.fromtimestamp(event.created_at, UTC) for event in events), default=read_until), now)
    Account.objects.filter(pk=account.pk).update(
        events_read_until=max(newest, read_until) if events or account.events_read_until else None,
        takeovers_looked_at=now,
    )
    return paused


@dataclass(frozen=True)
class Said:
    """A message that somebody on our side wrote in a chat, as its webhook tells it."""

    author: str
    user_id: int
    lead_id: int
    contact_id: int
    at: int
    text: str
    id: str = ""


def hear(account: Account, messages: Iterable[Said], *, now: datetime) -> bool:
    """Act on what webhooks tell of messages; False when one does not say who wrote, so that the feed must be asked."""
    says_all = True
    for message in messages:
        if message.author not in (PERSON, BOT) or not (message.lead_id or message.contact_id):
            says_all = False
        elif message.author == BOT and _is_ours(account, message, now):
            continue
        elif message.author == BOT:
            users_who_are_bots.remember(account, message.user_id)
            if message.user_id != account.kommo_user_id:
                at = message.at or int(now.timestamp())
                other_bots_answer.note_message(
                    account, lead_id=message.lead_id, contact_id=message.contact_id, at=at, text=message.text
                )
        elif message.user_id not in users_who_are_bots.robots(account):
            entity = ("lead", message.lead_id) if message.lead_id else ("contact", message.contact_id)
            at = message.at or int(now.timestamp())
            reply = EventReply("", STAFF_REPLY, entity[1], entity[0], message.user_id, at)
            _pause(account, reply, now, text=message.text, contact_id=message.contact_id)
    return says_all


def _is_ours(account: Account, message: Said, now: datetime) -> bool:
    """Say whether a bot's words are a message of ours on its way, which has arrived with that."""
    return our_words_in_chats.shown(
        account,
        lead_id=message.lead_id,
        contact_id=message.contact_id,
        text=message.text,
        message_id=message.id,
        at=message.at,
        now=now,
    )


def _pause(account: Account, reply: EventReply, now: datetime, *, text: str = "", contact_id: int = 0) -> int:
    """Pause the agent for whose chat it is; `contact_id` tells it where the lead is none of our cards."""
    every = Card.objects.filter(account=account, lead__pipeline__chat_reply_pauses=True).select_related(
        "lead__pipeline"
    )
    cards = [] if reply.entity_type == "contact" else list(every.filter(kommo_lead_id=reply.entity_id))
    if not cards and (contact := reply.entity_id if reply.entity_type == "contact" else contact_id):
        # The customer's own chat, whoever is the card's main contact today, and whichever lead of theirs it hangs on.
        about = Q(kommo_contact_id=contact) | Q(own_contact_id=contact) | Q(other_contacts__kommo_contact_id=contact)
        # Reported as an address, before the card is known to have it.
        key = f"{Kind.KOMMO_CONTACT}:{contact}"
        about |= Q(lead__phone_key=key) | Q(lead__in=FurtherAddress.objects.filter(key=key).values("lead_id"))
        cards = list(every.filter(about).distinct())
    replied_at = min(now, datetime.fromtimestamp(reply.created_at, UTC))
    leads = [card.lead for card in cards]
    return sum(_pause_lead(lead, replied_at) for lead in leads if not _agent_said(lead, text, replied_at))


def _agent_said(lead: Lead, text: str, at: datetime) -> bool:
    """Say whether these are words that the agent has just reported as its own, shown in Kommo by its channel."""
    if not (wanted := " ".join(text.split())):
        return False
    near = lead.events.filter(kind=Event.Kind.INTERACTION, at__range=(at - JUST_NOW, at + JUST_NOW))
    for data in near.values_list("data", flat=True):
        message = data.get("message") if isinstance(data, dict) else None
        if isinstance(message, dict) and message.get("direction") == "outbound":
            words = message.get("text") or data.get("text") or ""
            if " ".join(str(words).split()) == wanted:
                return True
    return False


def _pause_lead(lead: Lead, replied_at: datetime) -> bool:
    if lead.resumed_at is not None and lead.resumed_at >= replied_at:
        return False
    reason = Reason("person_replied_in_chat")
    return handoff.pause(lead, source=Lead.HandoffSource.CHAT, by=Lead.Actor.STAFF, reason=reason, now=replied_at)
