"""Is this message one that was told before? Every message of a conversation has a row, however many roads tell of it.

The agent reports what was said, and an intake hears the same from the messenger; either may come first. What names a
message is the messenger's id, in one spelling (`plain_id`). Where a report has none, a message of the same side with
the same words, that the other road told within two minutes, is the same one; each is met once, so that "ok" said twice
stays two. What we sent ourselves is known by its parts (leads/message_parts.py).

What was written by hand and what the agent sent look alike to some messengers. So words that the agent has just
reported as its own are the agent's, whatever the intake says; and where a report comes only after a person was thought
to have written, that is taken back (leads/pauses_by_mistake.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from common.statements import insert_missing, update
from leads import announcements, message_parts, untold_messages
from leads.interaction_values import Interaction, Recorded
from leads.message_ids import plain_id as plain_id
from leads.message_parts import News
from leads.models import Lead, MessagePart
from leads.models import Message as Row

# How far the times are apart that two roads tell of one message.
NEAR = timedelta(minutes=2)
LONGEST_AUTHOR = 250
TOLD_BY_ROADS = ("message_id", "other_id", "direction", "author", "channel", "kind", "text", "attachments")
STORED = (*TOLD_BY_ROADS, "is_reported", "is_heard", *untold_messages.COLUMNS)
OURS = frozenset({Row.Direction.OUTBOUND, Row.Direction.STAFF, Row.Direction.BOT})
# Who wrote it is taken for another than the agent, until the agent says that it was its own.
UNSURE = frozenset({Row.Direction.STAFF, Row.Direction.BOT})
State = Row.State


@dataclass
class Met:
    """Interactions as they count: without the messages that were told before.

    mistaken: rows of messages that were thought a person's, and are the agent's.
    """

    interactions: list[Interaction]
    mistaken: list[Row] = field(default_factory=list)


def meet(reports: Sequence[tuple[Interaction, Lead]], *, now: datetime) -> Met:
    """Store the messages that are new, and return what is left to act on. Two statements, or one, or none.

    Runs under the locks of the leads' rows. The past, told afterwards, is kept by `keep_past`.
    """
    met = Met([interaction for interaction, _ in reports])
    spoken = [
        (place, heard, lead)
        for place, (heard, lead) in enumerate(reports)
        if heard.message and not heard.history and not heard.is_stored
    ]
    for place in message_parts.recognize(spoken, now=now) if spoken else ():
        met.interactions[place] = replace(met.interactions[place], message=None, is_told_before=True)
        spoken = [each for each in spoken if each[0] != place]
    if not spoken:
        return met
    near = _near(spoken, now)
    fresh: list[tuple[int, Row]] = []
    changed: list[Row] = []
    for place, interaction, lead in spoken:
        row = _row(interaction, lead, now)
        known = _match(row, interaction, near.get(lead.pk, ()))
        if known is None:
            fresh.append((place, row))
        else:
            met.interactions[place] = _join(known, row, interaction, met)
            changed.append(known)
    stored = insert_missing([row for _, row in fresh], returning="id")
    lost = [(place, row) for place, row in fresh if row.pk not in stored]
    for place, row in lost:
        # Another road told of it before, by the same id.
        known = Row.objects.get(lead=row.lead_id, message_id=row.message_id)
        met.interactions[place] = _join(known, row, met.interactions[place], met)
        changed.append(known)
    update(changed, STORED)
    return met


def keep_past(recorded: Iterable[Recorded], *, now: datetime) -> None:
    """Store the messages of a conversation's past, told afterwards."""
    past = [record for record in recorded if record.interaction.history and record.interaction.message]
    insert_missing([_row(record.interaction, record.lead, now) for record in past], returning="id")


def said_by_agent(lead: Lead, text: str, at: datetime) -> bool:
    """Say whether the agent said these words at about this time."""
    wanted = _words(text)
    near = Row.objects.filter(lead=lead, direction=Row.Direction.OUTBOUND, at__range=(at - NEAR, at + NEAR))
    return bool(wanted) and wanted in map(_words, near.values_list("text", flat=True))


# --- What became of a message of ours

# A status may overtake another: none takes a message back to where it was, but for a failure that is told last.
ORDER = {State.QUEUED: 0, State.SENT: 1, State.NOT_DELIVERED: 2, State.DELIVERED: 3}


@transaction.atomic
def note_news(news: Sequence[News]) -> list[bool]:
    """Note on messages what became of them; say of each news whether any of ours was meant. Three statements."""
    names = {plain_id(text) for notice in news for text in notice.ids} - {""}
    if not names:
        return [False] * len(news)
    rows = Row.objects.filter(Q(message_id__in=names) | Q(other_id__in=names))
    by_name: dict[str, list[Row]] = {}
    for row in rows.exclude(direction=Row.Direction.INBOUND).select_for_update(of=("self",)).order_by("pk"):
        for name in {row.message_id, row.other_id} - {""}:
            by_name.setdefault(name, []).append(row)
    changed: dict[Any, Row] = {}
    known: list[bool] = []
    for notice in news:
        about = [row for text in notice.ids for row in by_name.get(plain_id(text), ())]
        known.append(bool(about))
        for row in about:
            if _note(row, notice):
                changed[row.pk] = row
    update(changed.values(), ("state", "reason", "sent_at", "delivered_at", "read_at"))
    told_of = message_parts.note_news(news, known)
    if told_of or changed:
        at = max(notice.at for notice in news)
        announcements.messages_told_of.send(Row, messages=[*changed.values(), *told_of], now=at)
    return known


def _note(row: Row, news: News) -> bool:
    """Let a message know what became of it, in memory; False when it knew."""
    before = (row.state, row.sent_at, row.delivered_at, row.read_at)
    if ORDER.get(State(row.state), 0) < ORDER[State(news.state)]:
        row.state, row.reason = State(news.state), news.reason[:500]
    if news.state != State.NOT_DELIVERED:
        row.sent_at = row.sent_at or row.at
    if news.state == State.DELIVERED:
        row.delivered_at = row.delivered_at or news.at
    if news.is_read:
        row.read_at = row.read_at or news.at
    return before != (row.state, row.sent_at, row.delivered_at, row.read_at)


def names_of(leads: Collection[Lead]) -> set[str]:
    """Return every id by which a message of these leads is known."""
    rows = Row.objects.filter(lead__in=leads).values_list("message_id", "other_id")
    of_parts = MessagePart.objects.filter(message__lead__in=leads).values_list("their_id", flat=True)
    return {name for name in (*chain.from_iterable(rows), *of_parts) if name}


def forget(leads: Collection[Any]) -> None:
    """Leave of the messages of people who are erased that there were some, when, and by which side."""
    rows = Row.objects.filter(lead__in=leads)
    # An id of WhatsApp's holds the number.
    rows.update(
        message_id="", other_id="", author="", text="", attachments=[], reason="", telling="", untold_since=None
    )
    MessagePart.objects.filter(message__lead__in=leads).update(text="", their_id="", reason="")


# --- Finding the same one


def _row(interaction: Interaction, lead: Lead, now: datetime) -> Row:
    message = interaction.message
    assert message is not None
    at = min(message.sent_at or interaction.occurred_at, now)
    is_ours = message.direction.value != Row.Direction.INBOUND
    row = Row(
        lead_id=lead.pk,
        message_id=plain_id(message.id),
        other_id=plain_id(message.other_id),
        direction=message.direction.value,
        author=message.author[:LONGEST_AUTHOR],
        channel=interaction.via,
        kind=message.kind,
        text=message.text,
        attachments=[dict(attachment) for attachment in message.attachments],
        state=State.SENT if is_ours else State.RECEIVED,
        at=at,
        sent_at=at if is_ours else None,
        is_reported=not interaction.via,
        is_heard=bool(interaction.via),
    )
    if not interaction.history:
        untold_messages.begin(row, interaction.heard_at)
    return row


def _near(spoken: Sequence[tuple[int, Interaction, Lead]], now: datetime) -> dict[Any, list[Row]]:
    """Return the messages, by lead, that one of these may be told of again. No query where an id says it all."""
    asking = [(interaction, lead) for _, interaction, lead in spoken if _must_look(interaction, lead, now)]
    if not asking:
        return {}
    names = {
        plain_id(text)
        for interaction, _ in asking
        if interaction.message
        for text in (interaction.message.id, interaction.message.other_id)
    }
    times = [
        at
        for interaction, _ in asking
        if interaction.message and (at := min(interaction.message.sent_at or interaction.occurred_at, now))
    ]
    same = Q(at__range=(min(times) - NEAR, max(times) + NEAR))
    roads = {bool(interaction.via) for interaction, _ in asking}
    if len(roads) == 1:
        # By its words a message is known only where the other road told of it: whoever writes a thousand within a
        # minute has not all of them read again with each.
        same &= Q(is_heard=False) if True in roads else Q(is_reported=False)
    if named := names - {""}:
        same |= Q(message_id__in=named) | Q(other_id__in=named)
    if ours := [own for text in named if (own := _own_id(text))]:
        same |= Q(pk__in=ours)
    found: dict[Any, list[Row]] = {}
    for row in Row.objects.filter(same, lead__in=[lead.pk for _, lead in asking]).order_by("at", "id"):
        found.setdefault(row.lead_id, []).append(row)
    return found


def _must_look(interaction: Interaction, lead: Lead, now: datetime) -> bool:
    message = interaction.message
    assert message is not None
    if interaction.via or not message.id or _own_id(message.id):
        return True
    at = min(message.sent_at or interaction.occurred_at, now)
    # Words of the agent's may have been taken for a person's under another id.
    wrote_at = lead.last_staff_at
    return message.direction.value == Row.Direction.OUTBOUND and wrote_at is not None and abs(wrote_at - at) <= NEAR


def _own_id(text: str) -> UUID | None:
    """Return the id of a message that we were asked to say, where somebody reports it by that; None for any other."""
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _match(row: Row, interaction: Interaction, near: Iterable[Row]) -> Row | None:
    """Return the stored message that this one is, if it is one: by its ids, or by its words."""
    near = list(near)
    names = {row.message_id, row.other_id} - {""}
    for message in near:
        if names & {message.message_id, message.other_id, str(message.pk)}:
            return message
    alike = [message for message in near if _is_alike(message, row)]
    return min(alike, key=lambda message: abs(message.at - row.at), default=None)


def _is_alike(known: Row, row: Row) -> bool:
    """Say whether another road told the same words at about the same time, and no id says that they are others."""
    if (known.is_heard if row.is_heard else known.is_reported) or abs(known.at - row.at) > NEAR:
        return False
    if (known.direction in OURS) != (row.direction in OURS) or not (words := _words(row.text)):
        return False
    both_named = bool(known.message_id and row.message_id)
    directions = {known.direction, row.direction}
    # Agents keep ids of their own: only who wrote it is in doubt then, and the agent knows what it said.
    is_in_doubt = Row.Direction.OUTBOUND in directions and bool(directions & UNSURE)
    return words == _words(known.text) and (not both_named or is_in_doubt)


def _join(known: Row, row: Row, interaction: Interaction, met: Met) -> Interaction:
    """Let the stored message know what this road knows of it; return the interaction as it counts."""
    if row.is_heard:
        if row.attachments and not known.attachments:
            # Told first as a placeholder, and now as the file it is.
            known.text = row.text
        if not known.is_heard or row.attachments:
            known.kind = row.kind
        known.is_heard = True
        known.author = known.author or row.author
        known.channel = row.channel or known.channel
        known.attachments = row.attachments or known.attachments
    else:
        known.is_reported = True
        # Who reports it knows it.
        untold_messages.end(known)
    known.text = known.text or row.text
    if not known.message_id:
        known.message_id = row.message_id
    names = [
        message_id for message_id in (row.message_id, row.other_id) if message_id and message_id != known.message_id
    ]
    known.other_id = known.other_id or next(iter(names), "")
    repeated = replace(interaction, message=None, is_told_before=True)
    if known.direction in UNSURE and row.direction == Row.Direction.OUTBOUND:
        # What the agent, or its messenger, calls the agent's is the agent's.
        known.direction = Row.Direction.OUTBOUND
        known.author = ""
        met.mistaken.append(known)
        repeated = interaction
    return repeated


def _words(text: str) -> str:
    return " ".join(text.split())
