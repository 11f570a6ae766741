"""Calendly: what became of bookings.

`{event, created_at, payload}`; the payload is the invitee, by whose `uri` a booking is known here. Moving one is two
events in either order: the old invitee cancelled, as rescheduled, and a new one created that names the old.
Source: developer.calendly.com, webhook payload of an invitee.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bridge.intakes import signatures
from bridge.intakes.source_news import (
    LONGEST_ID,
    Booked,
    Booking,
    Call,
    Ignored,
    Told,
    at,
    items,
    line,
    mapping,
    moment,
    text,
    web_address,
    yes,
)

SETTINGS = ("secret",)
EVENTS: dict[str, Booked] = {
    "invitee.created": "scheduled",
    "invitee.canceled": "cancelled",
    "invitee_no_show.created": "no_show",
    "invitee_no_show.deleted": "no_show",
}
LOOKS_LIKE_A_PHONE = re.compile(r"\+?[\d\s().-]{8,25}")


def is_signed(call: Call, settings: Mapping[str, str]) -> bool:
    parts = dict(part.strip().partition("=")[::2] for part in _header(call).split(","))
    stamp, signature = parts.get("t", ""), parts.get("v1", "")
    is_right = signatures.is_hex_of(signature, settings["secret"], f"{stamp}.".encode(), call.body)
    return is_right and signatures.is_recent(stamp, call.now)


def _header(call: Call) -> str:
    return call.headers.get("calendly-webhook-signature", "")


def read(body: Any) -> list[Told]:
    event = text(at(body, "event"), 60)
    invitee = mapping(at(body, "payload"))
    status = EVENTS.get(event)
    uri = text(invitee.get("uri"), LONGEST_ID)
    if status is None or not uri:
        return [Ignored(event or "?", "no news of a booking")]
    old = text(invitee.get("old_invitee"), LONGEST_ID) if status == "scheduled" else ""
    return [
        Booking(
            status="rescheduled" if old else status,
            id=uri,
            at=moment(at(body, "created_at")),
            mark=text(at(invitee, "tracking", "utm_content"), 100).strip(),
            phones=_phones(invitee),
            emails=tuple(email for email in [text(invitee.get("email"), 254).strip().lower()] if "@" in email),
            name=line(invitee.get("name")),
            starts_at=moment(at(invitee, "scheduled_event", "start_time")),
            link=_link(mapping(invitee.get("scheduled_event"))),
            replaces=old,
            is_moved_away=status == "cancelled" and yes(invitee.get("rescheduled")),
            is_taken_back=event == "invitee_no_show.deleted",
        )
    ]


def _phones(invitee: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = [line(invitee.get("text_reminder_number"), 40)]
    # What was answered to a question; a number among other words is nobody's for sure.
    answers = (line(at(answer, "answer"), 40) for answer in items(invitee.get("questions_and_answers")))
    numbers += [answer for answer in answers if LOOKS_LIKE_A_PHONE.fullmatch(answer)]
    return tuple(dict.fromkeys(filter(None, numbers)))


def _link(event: Mapping[str, Any]) -> str:
    candidates = (at(event, "location", "join_url"), at(event, "location", "location"))
    return next(filter(None, map(web_address, candidates)), "")
