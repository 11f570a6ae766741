"""What leaves by a way out, and what came of it; in one shape for all kinds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from common.reasons import Reason
from followups.channels import Gone
from followups.signed_calls import Answer
from leads.addresses import Kind

LONGEST_REASON = 300
# Answers after which nobody knows whether the server behind has taken it.
LOST = (None, 502, 504)
REFUSED_FOR = timedelta(minutes=1)


class Outcome(StrEnum):
    # Handed over; what became of it is told later.
    SENT = "sent"
    # Handed over to somebody whose word is the proof.
    DELIVERED = "delivered"
    # Not now; the same part is tried again.
    RETRY = "retry"
    # Not by this way; another may be tried.
    FAILED = "failed"
    # The answer was lost on a way that would say it twice: nobody knows.
    UNCONFIRMED = "unconfirmed"
    # Whoever was to say it will not.
    DECLINED = "declined"
    # Nothing is sent by this way, and that is meant.
    NOTHING = "nothing"


@dataclass(frozen=True)
class Sent:
    """What came of one part.

    their_id: by which the messenger will tell of it. text: what was really said, where that is another. rests: for how
    long nothing more is to be tried by this way. gone: whether nothing will ever reach this address.
    """

    outcome: Outcome
    reason: str = ""
    their_id: str = ""
    retry_after_seconds: float | None = None
    text: str = ""
    gone: Gone | None = None
    rests: timedelta | None = None


@dataclass(frozen=True)
class Person:
    """To whom: addresses as the API shows them, the one last written from first, and the card, where there is one."""

    lead_id: str
    addresses: tuple[Mapping[str, str], ...] = ()
    kommo_lead_id: int | None = None
    kommo_contact_id: int | None = None
    last_inbound_at: datetime | None = None
    locale: str = "pt_BR"

    def value(self, *kinds: Kind) -> str:
        """Return the first address of one of these kinds; empty for none."""
        return next((address["value"] for address in self.addresses if address["kind"] in kinds), "")

    @property
    def number(self) -> str:
        """The digits of their number, as WhatsApp's id has them where it is known; empty for none."""
        number = self.value(Kind.WHATSAPP) or self.value(Kind.PHONE)
        return number.partition("@")[0].lstrip("+")


@dataclass(frozen=True)
class Part:
    """One part on its way. `event_id` is the same on every try."""

    event_id: str
    text: str
    is_first: bool = True
    is_last: bool = True
    template_id: str = ""
    # What the agent is told where it is the one to say it: the event's type and data.
    event: tuple[str, Mapping[str, Any]] = ("", {})


@dataclass(frozen=True)
class Request:
    """One call over HTTP."""

    url: str
    body: Mapping[str, Any] | None
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


def judged(answer: Answer, *, who: str, their_id: str = "") -> Sent:
    """Return what an answer means that says nothing more of itself."""
    if answer.is_success:
        return Sent(Outcome.SENT, their_id=their_id)
    if answer.status in LOST and answer.may_have_arrived:
        return Sent(Outcome.UNCONFIRMED, Reason("answer_was_lost", name=who, what=answer.error or answer.status))
    if answer.status is None:
        return Sent(Outcome.RETRY, Reason("cannot_be_reached", name=who, what=answer.error))
    explanation = words(f"{who} answered {answer.status}: {detail(answer.body)}")
    if answer.status == 429 or answer.status >= 500:
        return Sent(Outcome.RETRY, explanation, retry_after_seconds=answer.retry_after_seconds)
    if answer.status in (401, 403):
        # About the key, and hence about everybody's messages.
        return Sent(Outcome.FAILED, explanation, rests=REFUSED_FOR)
    return Sent(Outcome.FAILED, explanation)


def detail(body: Any) -> str:
    """Return what an error says of itself, wherever servers put it."""
    if isinstance(body, dict):
        for key in ("message", "error_description", "detail", "error", "response", "errors", "title"):
            if explanation := detail(body.get(key)):
                return explanation
    if isinstance(body, list):
        return "; ".join(filter(None, map(detail, body[:3])))
    return words(body) if isinstance(body, str) else ""


def words(text: str, longest: int = LONGEST_REASON) -> str:
    """Return a text of the other side as one line that any database takes."""
    line = " ".join(text.replace("\0", "").encode("utf-8", "ignore").decode().split()).rstrip(": ")[:longest]
    # A reason of ours stays one.
    return text if line == text else line


def at(value: Any, *path: str | int) -> Any:
    """Return what stands at a path of keys and places; None where there is nothing."""
    for key in path:
        if isinstance(key, int):
            value = value[key] if isinstance(value, list) and len(value) > key else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def named(value: Any) -> str:
    """Return an id, told as a text or a number; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).replace("\0", "").strip()[:250]
