"""What was said to and by one lead, as people know it from a messenger: bubbles, the newest at the bottom.

From the rows of messages, whichever road told of them; a page begins below a message's time and id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from bridge.admin import moments_shown
from bridge.reasons import in_words
from leads.messages_without_words import SHOWN as WORDS_FOR_KINDS
from leads.models import Lead, Message
from leads.same_message import plain_id

SHOWN = 30
Direction, Kind, State = Message.Direction, Message.Kind, Message.State

ICONS = {
    Kind.IMAGE: "image",
    Kind.AUDIO: "mic",
    Kind.VIDEO: "videocam",
    Kind.DOCUMENT: "description",
    Kind.STICKER: "sentiment_satisfied",
    Kind.LOCATION: "location_on",
    Kind.CONTACT: "contact_page",
    Kind.OTHER: "help",
}


@dataclass(frozen=True)
class Mark:
    """What became of a message of ours: an icon, the word for it, a tone, and why, where that is known."""

    icon: str
    label: str
    tone: str = "neutral"
    reason: str = ""


@dataclass(frozen=True)
class File:
    icon: str
    label: str


@dataclass(frozen=True)
class Bubble:
    """One message. `side`: theirs or ours; `author`: the agent, a person by their name, another bot.

    channel: the way it came or left by. files: what is more than text, in words. parts: what became of each piece of a
    text that left in several. is_first: whoever wrote the one before it on the page is somebody else.
    """

    at: datetime
    side: str
    author: str
    icon: str
    text: str
    channel: str = ""
    files: Sequence[File] = ()
    mark: Mark | None = None
    parts: Sequence[tuple[str, Mark]] = ()
    is_first: bool = True
    says_channel: bool = False


@dataclass(frozen=True)
class Page:
    """`older`: where the page before this one begins, if there is one."""

    bubbles: list[Bubble] = field(default_factory=list)
    older: str = ""

    @property
    def last_channel(self) -> str:
        """Return the way by which the lead wrote last, on this page."""
        return next((entry.channel for entry in reversed(self.bubbles) if entry.side == "theirs"), "")


def page(lead: Lead, *, before: str) -> Page:
    """Return the newest messages below a key ("" for the newest of all), oldest first. Two queries."""
    rows = lead.messages.order_by("-at", "-id").select_related("outgoing__channel").prefetch_related("parts")
    if key := _key(before):
        at, pk = key
        rows = rows.filter(at__lte=at).exclude(at=at, pk__gte=pk)
    found = list(rows[: SHOWN + 1])
    shown = found[:SHOWN]
    older = f"{shown[-1].at.isoformat()}~{shown[-1].pk}" if len(found) > SHOWN else ""
    return Page(_in_a_row(lead, reversed(shown)), older)


def of_names(lead: Lead, names: Iterable[str]) -> dict[str, Bubble]:
    """Return messages of a lead by every id they are known by. Two queries, or none."""
    wanted = {plain_id(name) for name in names} - {""}
    if not wanted:
        return {}
    rows = lead.messages.filter(Q(message_id__in=wanted) | Q(other_id__in=wanted))
    rows = rows.select_related("outgoing__channel").prefetch_related("parts")
    return {name: bubble(row, lead) for row in rows for name in (row.message_id, row.other_id) if name}


def bubble(row: Message, lead: Lead) -> Bubble:
    """Return how a message is shown; `lead` is whose it is."""
    direction = Direction(row.direction)
    kind = Kind(row.kind)
    author, icon = who(direction, row.author, lead)
    return Bubble(
        at=row.at,
        side="theirs" if direction is Direction.INBOUND else "ours",
        author=author,
        icon=icon,
        text=_text(row, kind, lead),
        channel=row.channel or _channel_ahead(row),
        files=_files(row, kind),
        mark=None if direction is Direction.INBOUND else mark(row),
        parts=_parts(row),
    )


def line(row: Message, lead: Lead) -> str:
    """Return what was said, for one line of a list: its words or, where there are none, its kind."""
    kind = Kind(row.kind)
    return " ".join(_text(row, kind, lead).split()) or ("" if kind is Kind.TEXT else str(kind.label))


def who(direction: Message.Direction, author: str, lead: Lead) -> tuple[str, str]:
    """Return who wrote it, as people call them, and an icon."""
    if direction is Direction.INBOUND:
        return lead.name or str(Direction.INBOUND.label), "person"
    if direction is Direction.STAFF:
        return author or str(Direction.STAFF.label), "support_agent"
    name = str(direction.label)
    return (f"{name} ({author})" if author else name), "smart_toy"


def mark(row: Any) -> Mark:
    """Return what became of a message, or of a part of one."""
    if getattr(row, "read_at", None):
        return Mark("done_all", _("read"), "info")
    marks = {
        State.QUEUED: ("schedule", "neutral"),
        State.SENT: ("done", "neutral"),
        State.DELIVERED: ("done_all", "neutral"),
        State.NOT_DELIVERED: ("error", "danger"),
        State.REFUSED: ("block", "danger"),
        "unconfirmed": ("help", "warning"),
    }
    icon, tone = marks.get(row.state, ("schedule", "neutral"))
    reason = row.reason
    if row.state == State.QUEUED and (ahead := _ahead(row)):
        reason = reason or ahead.reason
    return Mark(icon, str(row.get_state_display()), tone, in_words(reason))


def _text(row: Message, kind: Message.Kind, lead: Lead) -> str:
    if lead.erased_at and not row.text:
        return _("erased")
    # Where there were no words, its kind stands in their place; here the kind is shown by itself.
    in_their_place = {words.get(row.kind) for words in WORDS_FOR_KINDS.values()}
    return "" if kind is not Kind.TEXT and row.text in in_their_place else row.text


def _files(row: Message, kind: Message.Kind) -> list[File]:
    found = [
        File(
            ICONS.get(Kind(attachment["kind"]), "attach_file"),
            _labelled(Kind(attachment["kind"]), attachment.get("name", "")),
        )
        for attachment in row.attachments
        if isinstance(attachment, dict) and attachment.get("kind") in Kind.values
    ]
    return found or ([File(ICONS[kind], _labelled(kind, ""))] if kind in ICONS else [])


def _labelled(kind: Message.Kind, name: str) -> str:
    return f"{kind.label}: {name}" if name else str(kind.label)


def _parts(row: Message) -> list[tuple[str, Mark]]:
    """Return the pieces a text left in, with what became of each; nothing for one that left whole."""
    pieces = sorted(row.parts.all(), key=lambda part: part.position)
    return [(part.text, mark(part)) for part in pieces] if len(pieces) > 1 else []


def _ahead(row: Any) -> Any:
    return getattr(row, "outgoing", None)


def _channel_ahead(row: Message) -> str:
    """Return the way a message is going to leave by."""
    ahead = _ahead(row)
    return ahead.channel.slug if ahead and ahead.channel else ""


def _in_a_row(lead: Lead, rows: Iterable[Message]) -> list[Bubble]:
    """Return bubbles that say who wrote, and by which way, only where that changes."""
    found: list[Bubble] = []
    before: tuple[Any, ...] = ()
    for row in rows:
        shown = bubble(row, lead)
        now = (shown.side, shown.author, localtime(shown.at).date())
        is_first = not found or now != before
        says_channel = bool(shown.channel) and (not found or found[-1].channel != shown.channel)
        found.append(replace(shown, is_first=is_first, says_channel=says_channel))
        before = now
    return found


def _key(text: str) -> tuple[datetime, UUID] | None:
    """Return the key a page begins below; None for the newest, and for what is no key."""
    value, _mark, pk = text.partition("~")
    try:
        at, number = moments_shown.read(value), UUID(pk)
    except ValueError:
        return None
    return (at, number) if at else None
