"""Did Kommo say what we asked it to say? Looked for where no webhook told so in time, before it is said once more."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from bridge.account_traits import Trait
from bridge.accounts.connection import client_for
from bridge.channels.part_values import Outcome, Person, Sent
from bridge.errors import KommoError
from bridge.inbound.chat_replies import STAFF_REPLY
from bridge.kommo.client import KommoClient
from bridge.kommo.throttle import Lane
from bridge.models import Account
from common.reasons import Reason
from leads.models import Message, MessagePart

# Kommo's clock and ours.
SKEW = timedelta(seconds=2)
WINDOW = timedelta(hours=24)
SILENT = Reason("bot_said_nothing")
ANOTHER = Reason("another_bot_has_conversation")
CLOSED = Reason("chat_closed")
WINDOW_CLOSED = Reason("window_is_over")


def look(account: Account | None, person: Person, part: MessagePart, now: datetime) -> Sent:
    """Say whether a part arrived: delivered, failed with the likeliest reason, or unconfirmed where none can tell."""
    fresh = MessagePart.objects.filter(pk=part.pk).first()
    if fresh is None or fresh.state == MessagePart.State.DELIVERED or fresh.their_id:
        return Sent(Outcome.DELIVERED)
    if account is None or part.sent_at is None:
        return Sent(Outcome.UNCONFIRMED, "nobody can tell whether it was said")
    others = _said_by_other_bots(account, person, part)
    client = client_for(account)
    try:
        # Asked for also where another bot has spoken: both may have, and ours would be said twice.
        if _was_said(client, person, part, by_others=others):
            return Sent(Outcome.DELIVERED)
        return Sent(Outcome.FAILED, ANOTHER if others else _likeliest(client, person, now))
    except KommoError as error:
        # Told by no webhook, and Kommo cannot be asked: perhaps it was said.
        return Sent(Outcome.UNCONFIRMED, Reason("kommo_cannot_be_asked", why=error)[:300])


def _was_said(client: KommoClient, person: Person, part: MessagePart, *, by_others: int) -> bool:
    """Say whether our bot wrote in the lead's chat since the part left, as the events feed tells by the second.

    It tells that a bot wrote, not which one and not what. What was said just before stands there too. So as many events
    as other parts of ours arrived with, and as other bots were heard with, are those.
    """
    assert part.sent_at is not None
    since = part.sent_at - SKEW
    events = client.events(types=[STAFF_REPLY], since=since, lane=Lane.LIVE)
    theirs = {("lead", person.kommo_lead_id), ("contact", person.kommo_contact_id)}
    matching = [
        event
        for event in events
        if event.created_by == 0
        and (event.entity_type, event.entity_id) in theirs
        and event.created_at >= int(since.timestamp())
    ]
    others = MessagePart.objects.filter(message__lead=UUID(person.lead_id), state=MessagePart.State.DELIVERED)
    # With what left a moment before, and was shown only after that.
    known = others.filter(delivered_at__gte=since - SKEW).exclude(pk=part.pk).count()
    return len(matching) > known + by_others


def _said_by_other_bots(account: Account, person: Person, part: MessagePart) -> int:
    """Return how many messages of bots that are none of ours were heard since the part left, as webhooks tell."""
    assert part.sent_at is not None
    since = part.sent_at - SKEW
    heard = Account.objects.values_list("traits", flat=True).get(pk=account.pk).get(Trait.BOT_MESSAGES, [])
    theirs = {person.kommo_lead_id or 0, person.kommo_contact_id or 0} - {0}
    noted = sum(bool({entry[0], entry[1]} & theirs and entry[2] >= int(since.timestamp())) for entry in heard)
    count = Message.objects.filter(lead=UUID(person.lead_id), direction=Message.Direction.BOT, at__gte=since).count()
    # The same messages, told in two places: where conversations are read from Kommo, and for the look at robots.
    return max(noted, count)


def _likeliest(client: KommoClient, person: Person, now: datetime) -> str:
    if person.last_inbound_at is not None and now - person.last_inbound_at > WINDOW:
        return WINDOW_CLOSED
    if person.kommo_contact_id:
        try:
            talks = [
                talk for talk in client.talks(person.kommo_contact_id) if talk.contact_id == person.kommo_contact_id
            ]
        except KommoError:
            return SILENT
        if not any(talk.is_open for talk in talks):
            return CLOSED
    return SILENT
