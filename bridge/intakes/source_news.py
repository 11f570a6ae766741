"""What a source tells, in one shape for all of them. Pure: parsers return it, the inbox acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Direction = Literal["inbound", "outbound", "staff"]
Delivery = Literal["sent", "delivered", "not_delivered"]
Booked = Literal["scheduled", "rescheduled", "cancelled", "completed", "no_show"]

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# A name longer than a column is cut, and a text longer than what the API takes.
LONGEST_NAME, LONGEST_TEXT, LONGEST_ID, LONGEST_REFERENCE = 250, 65_536, 250, 2000


@dataclass(frozen=True)
class Address:
    """Where a person is reached; kinds as in the API: phone, whatsapp, lid, bsuid, instagram, email, external …"""

    kind: str
    value: str


@dataclass(frozen=True)
class Attachment:
    """A file that came with a message: where it is to be had by the source's own means, never the file itself."""

    kind: str
    mime: str = ""
    name: str = ""
    reference: str = ""

    def as_json(self) -> dict[str, str]:
        return {"kind": self.kind, "mime": self.mime, "name": self.name, "reference": self.reference}


@dataclass(frozen=True)
class Message:
    """One message. `addresses`: of the lead, the surest first; `name`: theirs, never the company's.

    at: when it was written, None where the source does not say. kind: text, image, audio …; author: who of ours wrote.
    claimed: what they say of themselves, in a form of a website, and nobody has proven.
    """

    direction: Direction
    addresses: tuple[Address, ...]
    id: str
    at: datetime | None
    text: str = ""
    kind: str = "text"
    attachments: tuple[Attachment, ...] = ()
    name: str = ""
    email: str = ""
    other_id: str = ""
    author: str = ""
    claimed: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Status:
    """What became of messages of ours."""

    ids: tuple[str, ...]
    state: Delivery
    at: datetime | None = None
    is_read: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Booking:
    """What became of a meeting. `mark`: the lead's id as the booking link carried it, or whatever stands there.

    replaces: the id of the meeting this one was before it was moved. `is_moved_away`: it was cancelled because it was
    moved, and the news of where is on its way. `is_taken_back`: a no-show that was none.
    """

    status: Booked
    id: str
    at: datetime | None
    mark: str = ""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    name: str = ""
    starts_at: datetime | None = None
    link: str = ""
    replaces: str = ""
    is_moved_away: bool = False
    is_taken_back: bool = False


@dataclass(frozen=True)
class Ignored:
    """Something that is about no lead, or says nothing to us: what it is, and why."""

    what: str
    reason: str


Told = Message | Status | Booking | Ignored


@dataclass(frozen=True)
class Call:
    """A call as its signature is checked: the bytes as they came, headers by name in lower case, and the clock."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    now: datetime = EARLIEST


class UnreadableError(ValueError):
    """The body is nothing this source sends."""


# --- Reading what nobody promised


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object as it is, and anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def at(value: Any, *path: str) -> Any:
    """Return what stands at a path of keys; None where there is nothing."""
    for key in path:
        value = mapping(value).get(key)
    return value


def items(value: Any) -> list[Any]:
    """Return a list as it is, an object as a list of one, and anything else as none."""
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, Mapping) else []


def text(value: Any, longest: int = LONGEST_TEXT) -> str:
    """Return a text, or a whole number as one; everything else as nothing. PostgreSQL keeps no NUL."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    plain = str(value).replace("\0", "")
    # Half of a pair is no character, and no database takes it.
    return plain.encode("utf-8", "ignore").decode()[:longest]


def line(value: Any, longest: int = LONGEST_NAME) -> str:
    return " ".join(text(value, 10 * longest).split())[:longest]


def yes(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def web_address(value: Any) -> str:
    """Return an address that a browser opens, as short as a column takes it; empty for everything else."""
    address = text(value, 2000).strip()
    is_one = address.startswith(("https://", "http://")) and len(address) <= 1000 and not any(map(str.isspace, address))
    return address if is_one else ""


def moment(value: Any) -> datetime | None:
    """Return a time, told as seconds or milliseconds, as a number or a text, or in ISO 8601; None for what is none."""
    if isinstance(value, Mapping):
        # As JavaScript libraries write numbers of 64 bits.
        value = value.get("low")
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip()
        if not value.lstrip("-").isdecimal():
            return _iso(value)
    try:
        seconds = float(value)
        # Thousandths, millionths …: no second of ours has so many digits.
        for _ in range(3):
            seconds = seconds / 1000 if abs(seconds) > 100_000_000_000 else seconds
        found = datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return found if 2000 <= found.year <= 2100 else None


def _iso(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value[:40])
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found.astimezone(UTC) if 2000 <= found.year <= 2100 else None
    except (ValueError, OverflowError):
        return None
