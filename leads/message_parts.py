"""The parts in which a message of ours leaves: what became of each, and what that makes of the message.

A messenger tells of every part by itself, by its own id; and it shows what we send as if somebody had written it. By
id, or by the words of a part that was just handed over, such a message is known as ours: it is nobody else's, and
proves that the part arrived where it was sent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from common.statements import update
from leads import announcements
from leads.interaction_values import Interaction
from leads.message_ids import plain_id
from leads.models import Lead, Message, MessagePart

State = MessagePart.State
# How long after it was handed over the words of a part are recognized as ours, however late a webhook comes.
RECOGNIZED_FOR = timedelta(minutes=15)
# A status may overtake another; an undelivered one that arrives after all has arrived.
ORDER = {State.QUEUED: 0, State.SENDING: 0, State.UNCONFIRMED: 1, State.SENT: 2, State.NOT_DELIVERED: 3}
ORDER[State.DELIVERED] = 4
# The way by which Kommo's own chats are heard: what stands there has arrived. A messenger's echo says that it was sent.
KOMMO = "kommo"
LINK = re.compile(r"https?://\S+|\bkommo\.cc/\S+", re.IGNORECASE)
BEYOND_THE_PLANE = re.compile(r"[\U00010000-\U0010ffff\ufe0e\ufe0f\u200d]")


@dataclass(frozen=True)
class News:
    """What became of messages of ours, by the messenger's ids. `state`: sent, delivered or not_delivered."""

    ids: tuple[str, ...]
    state: str
    at: datetime
    is_read: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Sum:
    """What the parts of a message come to."""

    state: Message.State
    reason: str = ""
    sent_at: datetime | None = None
    delivered_at: datetime | None = None


def summed(parts: Sequence[MessagePart]) -> Sum:
    """Return what the parts come to: the worst of them, as long as that is for good."""
    sent_at = min((part.sent_at for part in parts if part.sent_at), default=None)
    for bad, state in (
        (State.NOT_DELIVERED, Message.State.NOT_DELIVERED),
        (State.UNCONFIRMED, Message.State.NOT_DELIVERED),
        (State.REFUSED, Message.State.REFUSED),
    ):
        if found := next((part for part in parts if part.state == bad), None):
            return Sum(state, found.reason, sent_at)
    states = {part.state for part in parts}
    if not states or states & {State.QUEUED, State.SENDING}:
        return Sum(Message.State.QUEUED, "", sent_at)
    if states == {State.DELIVERED}:
        return Sum(Message.State.DELIVERED, "", sent_at, max(filter(None, (part.delivered_at for part in parts))))
    return Sum(Message.State.SENT, "", sent_at)


def sum_up(message: Message, parts: Sequence[MessagePart]) -> bool:
    """Let a message say what its parts come to; False when it did. The caller saves SUMMED."""
    sum_ = summed(parts)
    before = [getattr(message, column) for column in SUMMED]
    message.state, message.reason = sum_.state, sum_.reason[:500]
    message.sent_at = sum_.sent_at
    message.delivered_at = sum_.delivered_at
    return before != [getattr(message, column) for column in SUMMED]


SUMMED = ("state", "reason", "sent_at", "delivered_at")


def plainly(text: str) -> str:
    """Return words as they may be compared after any messenger has had them: without spacing, emoji and links.

    >>> plainly("Veja  https://a.example/b?c=1 \\N{GRINNING FACE}")
    'Veja ~'
    """
    return " ".join(BEYOND_THE_PLANE.sub("", LINK.sub("~", text)).split())


# --- Told by a way in, or by Kommo's chat


def recognize(spoken: Sequence[tuple[int, Interaction, Lead]], *, now: datetime) -> list[int]:
    """Return the places of what is told here and was sent by us; what that proves is stored. One query, mostly none."""
    asking = [each for each in spoken if each[1].via and each[1].message and each[1].message.direction != "inbound"]
    if not asking:
        return []
    known = _under_way([lead.pk for _, _, lead in asking], now)
    found: list[int] = []
    changed: dict[Any, MessagePart] = {}
    for place, interaction, lead in asking:
        message = interaction.message
        assert message is not None
        names = {plain_id(message.id), plain_id(message.other_id)} - {""}
        if part := _which(known.get(lead.pk, ()), names, message.text):
            part.their_id = part.their_id or next(iter(sorted(names)), "")
            if ORDER.get(State(part.state), 9) < ORDER[State.SENT]:
                part.state, part.reason = State.SENT, ""
            part.sent_at = part.sent_at or now
            if interaction.via == KOMMO:
                tell(part, State.DELIVERED, at=min(message.sent_at or now, now))
            changed[part.pk] = part
            found.append(place)
    if told_of := _store(changed.values(), (*TOLD, "their_id")):
        announcements.messages_told_of.send(Message, messages=told_of, now=now)
    return found


def _under_way(lead_ids: Collection[Any], now: datetime) -> dict[Any, list[MessagePart]]:
    rows = MessagePart.objects.filter(
        message__lead__in=lead_ids, message__queued_at__gte=now - RECOGNIZED_FOR, state__in=MessagePart.MAY_HAVE_LEFT
    )
    found: dict[Any, list[MessagePart]] = {}
    for part in rows.select_related("message").order_by("message__queued_at", "position"):
        found.setdefault(part.message.lead_id, []).append(part)
    return found


def _which(known: Iterable[MessagePart], names: Collection[str], text: str) -> MessagePart | None:
    """Return the part a told message is: by its id, else the first with these words that has no other id."""
    known = list(known)
    if by_id := next((part for part in known if part.their_id and part.their_id in names), None):
        return by_id
    words = plainly(text)
    alike = (part for part in known if plainly(part.text) == words and not (part.their_id and names))
    return next(alike, None) if words else None


def arrived(lead_ids: Collection[Any], text: str, *, their_id: str, at: datetime, now: datetime) -> bool:
    """Note that the chat of one of these leads shows a text; False when it is no part of ours that was under way.

    Whose id it carries may not be known yet: then it is the first part with these words that has no id.
    """
    names = {plain_id(their_id)} - {""}
    if not any(_which(known, names, text) for known in _under_way(lead_ids, now).values()):
        return False
    with transaction.atomic():
        # Whoever is at the message holds the lead, then the parts: what it notes meanwhile is read first.
        list(Lead.objects.select_for_update(no_key=True).filter(pk__in=lead_ids).order_by("pk").values_list("pk"))
        for known in _under_way(lead_ids, now).values():
            if part := _which(known, names, text):
                part.their_id = part.their_id or plain_id(their_id)
                tell(part, State.DELIVERED, at=at)
                if told_of := _store([part], (*TOLD, "their_id")):
                    announcements.messages_told_of.send(Message, messages=told_of, now=now)
                return True
    return False


# --- Told by a status


def note_news(news: Sequence[News], known: list[bool]) -> list[Message]:
    """Note on parts what became of them; return their messages. `known` learns which news were of ours."""
    names = {plain_id(text) for notice in news for text in notice.ids} - {""}
    rows = MessagePart.objects.filter(their_id__in=names).select_related("message")
    by_name: dict[str, list[MessagePart]] = {}
    for part in rows.select_for_update(of=("self",)).order_by("pk"):
        by_name.setdefault(part.their_id, []).append(part)
    changed: dict[Any, MessagePart] = {}
    for place, notice in enumerate(news):
        about = [part for text in notice.ids for part in by_name.get(plain_id(text), ())]
        known[place] = known[place] or bool(about)
        for part in about:
            if tell(part, notice.state, at=notice.at, reason=notice.reason):
                changed[part.pk] = part
    return _store(changed.values(), TOLD)


TOLD = ("state", "reason", "sent_at", "delivered_at")


def tell(part: MessagePart, state: str, *, at: datetime, reason: str = "") -> bool:
    """Let a part know what became of it, in memory; False when it knew, or knows better."""
    new_state = State(state)
    if ORDER.get(State(part.state), 9) >= ORDER[new_state]:
        return False
    part.state, part.reason = new_state, reason[:500]
    if new_state is not State.NOT_DELIVERED:
        part.sent_at = part.sent_at or at
    if new_state is State.DELIVERED:
        part.delivered_at = part.delivered_at or at
    return True


def _store(parts: Collection[MessagePart], columns: Sequence[str]) -> list[Message]:
    """Save parts and what they make of their messages; return the messages."""
    if not parts:
        return []
    update(list(parts), columns)
    ids = {part.message_id for part in parts}
    together: dict[Any, list[MessagePart]] = {}
    for part in MessagePart.objects.filter(message__in=ids).order_by("position"):
        together.setdefault(part.message_id, []).append(part)
    rows = Message.objects.filter(pk__in=ids).select_for_update(of=("self",)).select_related("lead__pipeline")
    messages = list(rows.order_by("pk"))
    update([message for message in messages if sum_up(message, together[message.pk])], SUMMED)
    return messages
