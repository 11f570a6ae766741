"""Cal.com: what became of bookings.

`{triggerEvent, createdAt, payload}`. A booking link's `metadata[lead]` comes back in the booking. One that is moved has
a new `uid` and names the old one. Whether anybody came is told by staff alone (a no-show), never by the clock.
Source: cal.com/docs/developing/guides/automation/webhooks, and the project's webhook payloads.
"""

from __future__ import annotations

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
    "BOOKING_CREATED": "scheduled",
    "BOOKING_RESCHEDULED": "rescheduled",
    "BOOKING_CANCELLED": "cancelled",
    "BOOKING_REJECTED": "cancelled",
    "BOOKING_NO_SHOW_UPDATED": "no_show",
    "AFTER_GUESTS_CAL_VIDEO_NO_SHOW": "no_show",
}
# How Cal.com writes an address for whoever booked by phone alone.
NO_EMAIL = "@sms.cal.com"


def is_signed(call: Call, settings: Mapping[str, str]) -> bool:
    return signatures.is_hex_of(call.headers.get("x-cal-signature-256", ""), settings["secret"], call.body)


def read(body: Any) -> list[Told]:
    event = text(at(body, "triggerEvent"), 60)
    payload = mapping(at(body, "payload"))
    status = EVENTS.get(event)
    if status is None:
        return [Ignored(event or "?", "no news of a booking")]
    if event.startswith("AFTER_"):
        payload = {**mapping(payload.get("booking")), **payload}
    uid = text(payload.get("uid") or payload.get("bookingUid"), LONGEST_ID)
    if not uid:
        return [Ignored(event, "a booking without an id")]
    if text(payload.get("status"), 20).upper() in ("PENDING", "AWAITING_HOST") and status in (
        "scheduled",
        "rescheduled",
    ):
        return [Ignored(event, "asked for, and not booked yet")]
    attendees = [mapping(attendee) for attendee in items(payload.get("attendees"))]
    first = attendees[0] if attendees else {}
    return [
        Booking(
            status=status,
            id=uid,
            at=moment(at(body, "createdAt")),
            mark=text(at(payload, "metadata", "lead"), 100).strip(),
            phones=_phones(payload, first),
            emails=_emails(payload, first),
            name=line(first.get("name") or at(payload, "responses", "name", "value")),
            starts_at=moment(payload.get("startTime")),
            link=_link(payload),
            replaces=text(payload.get("rescheduleUid"), LONGEST_ID) if status == "rescheduled" else "",
            is_taken_back=event == "BOOKING_NO_SHOW_UPDATED"
            and not any(yes(attendee.get("noShow")) for attendee in attendees),
        )
    ]


def _phones(payload: Mapping[str, Any], first: Mapping[str, Any]) -> tuple[str, ...]:
    candidates = (
        at(payload, "responses", "attendeePhoneNumber", "value"),
        first.get("phoneNumber"),
        payload.get("smsReminderNumber"),
        at(payload, "responses", "smsReminderNumber", "value"),
    )
    email = text(first.get("email"), 254)
    by_email = f"+{email.removesuffix(NO_EMAIL)}" if email.endswith(NO_EMAIL) else ""
    return tuple(dict.fromkeys(filter(None, (*(line(candidate, 40) for candidate in candidates), by_email))))


def _emails(payload: Mapping[str, Any], first: Mapping[str, Any]) -> tuple[str, ...]:
    candidates = (first.get("email"), at(payload, "responses", "email", "value"))
    found = (text(candidate, 254).strip().lower() for candidate in candidates)
    return tuple(dict.fromkeys(email for email in found if "@" in email and not email.endswith(NO_EMAIL)))


def _link(payload: Mapping[str, Any]) -> str:
    candidates = (at(payload, "metadata", "videoCallUrl"), at(payload, "videoCallData", "url"), payload.get("location"))
    return next(filter(None, map(web_address, candidates)), "")
