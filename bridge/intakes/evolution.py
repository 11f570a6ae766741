"""Evolution API 2.3, and what differs in older ones and in forks.

`{event, instance, data, sender, …}`, one message an event. Event names come in two spellings. What staff write on the
phone comes as `messages.upsert` with `fromMe`; what the API sent as `send.message`. The chat is the lead's, never
`sender`, which is the company. Source: `whatsapp.baileys.service.ts` and `webhook.controller.ts` of the project.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bridge.intakes import signatures, whatsapp_bodies
from bridge.intakes.source_news import (
    LONGEST_ID,
    Call,
    Delivery,
    Ignored,
    Message,
    Status,
    Told,
    at,
    items,
    line,
    mapping,
    moment,
    text,
    yes,
)

SETTINGS = ("jwt_key",)
STATUSES: dict[str, tuple[Delivery, bool]] = {
    "SERVER_ACK": ("sent", False),
    "DELIVERY_ACK": ("delivered", False),
    "READ": ("delivered", True),
    "PLAYED": ("delivered", True),
    "ERROR": ("not_delivered", False),
}


def is_signed(call: Call, settings: Mapping[str, str]) -> bool:
    """Say whether the call has the token that `jwt_key` makes; it proves who calls, and says nothing of the body."""
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and signatures.is_token_of(token.strip(), settings["jwt_key"], call.now)


def read(body: Any) -> list[Told]:
    event = text(mapping(body).get("event"), 100).lower().replace("_", ".").replace("-", ".")
    data = at(body, "data")
    if event in ("messages.upsert", "send.message"):
        rows = items(at(data, "messages")) or items(data)
        news = [_message(event, mapping(row), ours=_own(body)) for row in rows]
        return news or [Ignored(event, "nothing in it")]
    if event == "messages.update":
        return list(_statuses(items(data))) or [Ignored(event, "nothing in it")]
    return [Ignored(event or "?", "no news of a conversation")]


def _own(body: Any) -> tuple[Any, ...]:
    sender = text(at(body, "sender"), 100)
    # Some write the bare number.
    return (sender, f"{sender}@s.whatsapp.net")


def _message(event: str, data: Mapping[str, Any], *, ours: Iterable[Any]) -> Told:
    key = mapping(data.get("key"))
    if reason := whatsapp_bodies.why_no_chat(key.get("remoteJid")):
        return Ignored(event, reason)
    from_us = yes(key.get("fromMe")) or event == "send.message"
    jids = [key.get("remoteJid"), key.get("remoteJidAlt")]
    if not from_us:
        # Of a message of ours these are the company.
        jids += [key.get("senderPn"), key.get("senderLid"), key.get("participantPn")]
    addresses = whatsapp_bodies.who(*jids, ours=ours)
    if not addresses:
        return Ignored(event, "no chat with a person")
    found = whatsapp_bodies.content(data.get("message"))
    if data.get("messageStubType"):
        return Ignored(event, "a notice of WhatsApp's")
    if found.no_message:
        return Ignored(event, found.no_message)
    name = "" if from_us else line(data.get("pushName"))
    return Message(
        direction="outbound" if event == "send.message" else "staff" if from_us else "inbound",
        addresses=addresses,
        id=text(key.get("id"), LONGEST_ID),
        at=moment(data.get("messageTimestamp")),
        text=found.text,
        kind=found.kind,
        attachments=found.attachments,
        name="" if whatsapp_bodies.is_hidden_number(name, addresses) else name,
    )


def _statuses(rows: Iterable[Any]) -> Iterable[Told]:
    for row in map(mapping, rows):
        reported = text(row.get("status"), 40).upper() or text(at(row, "update", "status"), 40).upper()
        state = STATUSES.get(reported)
        message_id = text(row.get("keyId") or at(row, "key", "id"), LONGEST_ID)
        from_us = yes(row.get("fromMe")) or yes(at(row, "key", "fromMe"))
        if state is None or not message_id or not from_us:
            yield Ignored("messages.update", f"status {reported or '?'}")
        else:
            outcome, is_read = state
            reason = "WhatsApp could not deliver it" if outcome == "not_delivered" else ""
            yield Status((message_id,), outcome, moment(row.get("datetime")), is_read, reason)
