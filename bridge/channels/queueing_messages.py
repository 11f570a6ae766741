"""Taking a message that is to be said: into the conversation, cut into its parts, and onto its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django_q.tasks import async_task

from bridge.channels import cutting_texts, managing_channels
from bridge.channels.channel_kinds import WAYS, Way
from bridge.channels.part_values import Person
from bridge.models import Account, Card, Channel, Outgoing
from common.reasons import Reason, about, several
from leads.models import Lead, Message, MessagePart, Pipeline

log = structlog.get_logger(__name__)

TASK = "bridge.tasks.send_messages"
NO_CHANNEL = "no channel leads to this person"
NOTHING_LEFT = "nothing of this text can leave by it"


@dataclass(frozen=True)
class Route:
    """A way out that leads to a person, ready to be used."""

    channel: Channel
    way: Way
    settings: dict[str, str]
    account: Account | None


class NoWayError(Exception):
    """No channel leads to the person; says why of each."""


def person_of(lead: Lead, card: Card | None) -> Person:
    return Person(
        lead_id=str(lead.pk),
        addresses=tuple(lead.addresses),
        kommo_lead_id=card.kommo_lead_id if card else None,
        kommo_contact_id=card.kommo_contact_id if card else None,
        last_inbound_at=lead.last_inbound_at,
        locale=lead.pipeline.locale,
    )


def route(channel: Channel, card: Card | None) -> Route:
    return Route(channel, WAYS[channel.kind], managing_channels.settings_of(channel), card.account if card else None)


def routes(
    lead: Lead, card: Card | None, chain: Sequence[Channel], *, template_id: str = "", now: datetime
) -> tuple[list[Route], list[Reason]]:
    """Return the ways of a chain that lead to a person at this moment, and why each of the others does not."""
    person, found, against = person_of(lead, card), [], []
    for channel in chain:
        routed = route(channel, card)
        why = routed.way.why_not(person) or routed.way.why_not_now(person, template_id, now)
        if not why and routed.way.is_kommos and (card is None or card.account.state != Account.State.ACTIVE):
            # In shadow nothing of ours may reach Kommo; while it is paused nothing would.
            why = Reason("account_not_active")
        if not why and channel.rests_until and channel.rests_until > now:
            # What the other side said behind the colon was about another person's message, and may name them.
            why = channel.failure.partition(":")[0] or "it rests"
        if why:
            against.append(about(channel.slug, why))
        else:
            found.append(routed)
    return found, against


def says_something(route: Route, text: str) -> bool:
    """Say whether anything of a text can leave by a way: of nothing but emoji a Salesbot's field keeps nothing."""
    return bool(route.way.changed(text)[0].strip())


def parts_of(text: str, route: Route) -> tuple[list[str], list[str]]:
    """Return the parts in which a text leaves by a way, and what of it is not as it was meant."""
    plain, notes = route.way.changed(text)
    return cutting_texts.cut(plain, route.way.limit(route.account, route.settings)), notes


@transaction.atomic
def take(
    lead: Lead,
    text: str,
    *,
    pipeline: Pipeline,
    card: Card | None,
    named: str = "",
    template_id: str = "",
    attempt_id: UUID | None = None,
    now: datetime,
) -> Outgoing:
    """Store a message that is to be said, and ask for it to be sent once that is committed.

    named: the slug of the channel it is to leave by, and by none else. Raises NoWayError.
    """
    chain = managing_channels.chain(pipeline)
    if named:
        # Of the pipeline's own alone: a key made for one does not speak by another's number.
        chain = [channel for channel in chain if channel.slug == named]
        if not chain:
            raise NoWayError(f"there is no channel “{named[:50]}” here")
    # What only rests, or waits for the lead to write, is still a way: the message ends as not delivered, and says so.
    found, against = routes(lead, card, chain, template_id=template_id, now=now)
    if not found:
        person = person_of(lead, card)
        found = [routed for routed in (route(channel, card) for channel in chain) if not routed.way.why_not(person)]
    if not found:
        raise NoWayError(several(against) or Reason("pipeline_has_no_channel"))
    able = [routed for routed in found if says_something(routed, text)]
    if not able:
        raise NoWayError(several(about(routed.channel.slug, NOTHING_LEFT) for routed in found))
    first = able[0]
    texts, notes = parts_of(text, first)
    message = Message.objects.create(
        lead=lead,
        direction=Message.Direction.OUTBOUND,
        channel=first.channel.slug,
        text=text,
        state=Message.State.QUEUED,
        at=now,
        queued_at=now,
    )
    store_parts(message, texts, first=1)
    outgoing = Outgoing.objects.create(
        message=message,
        lead=lead,
        channel=first.channel,
        is_fixed=bool(named),
        template_id=template_id,
        attempt_id=attempt_id,
        created_at=now,
        due_at=now,
        changes=notes,
    )
    transaction.on_commit(nudge)
    return outgoing


def store_parts(message: Message, texts: Sequence[str], *, first: int) -> list[MessagePart]:
    parts = [MessagePart(message=message, position=first + place, text=text) for place, text in enumerate(texts)]
    return MessagePart.objects.bulk_create(parts)


def nudge() -> None:
    """Ask for what is due to be sent. Losing it loses nothing: the worker's clock looks as well."""
    try:
        async_task(TASK, save=False)
    except Exception as error:
        # The message is committed; whoever sent it must not be told otherwise because the queue is away.
        log.warning("nudge_failed", task=TASK, error=type(error).__name__)


def shown(
    message: Message, parts: Sequence[MessagePart], changes: Sequence[str] = (), *, waits_for: str = ""
) -> dict[str, Any]:
    """Return a message as the API and events show it. `waits_for`: why it has not left yet.

    What the lead wrote has reached the chat: it was read there. What did not leave by us was sent when it was written.
    """
    is_theirs = message.state == Message.State.RECEIVED
    written_at = None if message.queued_at else message.at
    return {
        "id": str(message.pk),
        "lead": str(message.lead_id),
        "direction": message.direction,
        "text": message.text,
        "parts": [
            {"text": part.text, "state": PART_STATES.get(part.state, part.state), "reason": part.reason or None}
            for part in parts
        ],
        "channel": message.channel or None,
        "state": Message.State.DELIVERED if is_theirs else message.state,
        "reason": message.reason or (waits_for if message.state == Message.State.QUEUED else "") or None,
        "changed": list(changes),
        "at": {
            "queued": moment(message.queued_at),
            "sent": moment(message.sent_at or written_at),
            "delivered": moment(message.delivered_at or (message.at if is_theirs else None)),
        },
    }


# How the outside reads a part's state.
PART_STATES: dict[str, str] = {MessagePart.State.SENDING: "queued", MessagePart.State.UNCONFIRMED: "not_delivered"}


def moment(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
