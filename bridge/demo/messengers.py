"""What a messenger and a calendar of the demo tell by themselves, in the shapes of Evolution API and Cal.com."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bridge.demo.conversations import SCHEDULED, Conversation, Said
from leads.phone import parse

COMPANY = "558134567800@s.whatsapp.net"


def body(conversation: Conversation, turn: Said, number: int) -> dict[str, Any]:
    """Return the call by which one thing of a conversation is told; `number` is its place."""
    return _booked(conversation) if turn.heard_by == "calcom" else _written(conversation, turn, number)


def _written(conversation: Conversation, turn: Said, number: int) -> dict[str, Any]:
    is_ours, now = turn.direction == "outbound", datetime.now(UTC)
    digits = parse(conversation.phone, region="BR").e164.lstrip("+")
    return {
        "event": "send.message" if is_ours else "messages.upsert",
        "instance": "demo",
        "data": {
            "key": {"remoteJid": f"{digits}@s.whatsapp.net", "fromMe": is_ours, "id": f"3EB0DEMO{digits}{number:04d}"},
            "pushName": "Você" if is_ours else conversation.name,
            "message": {"conversation": turn.text},
            "messageType": "conversation",
            "messageTimestamp": int(now.timestamp()),
        },
        "date_time": now.isoformat(),
        "sender": COMPANY,
    }


def _booked(conversation: Conversation) -> dict[str, Any]:
    attendee = {"name": conversation.name, "phoneNumber": conversation.phone, "email": "marina@example.com"}
    return {
        "triggerEvent": "BOOKING_CREATED",
        "createdAt": datetime.now(UTC).isoformat(),
        "payload": {
            "uid": "demoBooking1",
            "status": "ACCEPTED",
            "startTime": SCHEDULED["starts_at"],
            "attendees": [attendee],
            "metadata": {"videoCallUrl": SCHEDULED["link"]},
        },
    }
