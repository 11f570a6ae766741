"""WAHA, whichever engine it runs.

`{id, event, session, me, payload, engine, …}`. `message.any` is all messages, `message` those of others: who subscribes
to both tells each twice, under one id. The chat stands in the id, `{fromMe}_{chat}_{id}`, whatever `from` and `to` say:
the engines disagree on them. Source: waha.devlike.pro, and the engines' sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bridge.intakes import signatures, whatsapp_bodies
from bridge.intakes.source_news import (
    LONGEST_ID,
    LONGEST_REFERENCE,
    Attachment,
    Call,
    Delivery,
    Direction,
    Ignored,
    Message,
    Status,
    Told,
    at,
    line,
    mapping,
    moment,
    text,
    yes,
)

SETTINGS = ("hmac_key",)
ID = re.compile(r"(?P<ours>true|false)_(?P<chat>[^_\s]+@[a-z.]+)_(?P<id>[^_\s]+)(?:_(?P<member>\S+))?")
STATUSES: dict[str, tuple[Delivery, bool]] = {
    "SERVER": ("sent", False),
    "DEVICE": ("delivered", False),
    "READ": ("delivered", True),
    "PLAYED": ("delivered", True),
    "ERROR": ("not_delivered", False),
}
BY_NUMBER = {-1: "ERROR", 1: "SERVER", 2: "DEVICE", 3: "READ", 4: "PLAYED"}
# WEBJS says of what kind a message is; these are none.
NO_MESSAGES = frozenset(
    {
        "revoked",
        "e2e_notification",
        "notification",
        "notification_template",
        "gp2",
        "protocol",
        "ciphertext",
        "call_log",
        "reaction",
        "poll_update",
        "broadcast_notification",
        "pinned_message",
    }
)
KINDS = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "ptt": "audio",
    "document": "document",
    "sticker": "sticker",
    "location": "location",
    "livelocation": "location",
    "vcard": "contact",
    "multi_vcard": "contact",
}


def is_signed(call: Call, settings: Mapping[str, str]) -> bool:
    signature = call.headers.get("x-webhook-hmac", "")
    return signatures.is_hex_of(signature, settings["hmac_key"], call.body, algorithm="sha512")


def read(body: Any) -> list[Told]:
    event = text(at(body, "event"), 100).lower()
    payload = mapping(at(body, "payload"))
    if event in ("message", "message.any"):
        return [_message(event, payload, mapping(at(body, "me")))]
    if event == "message.ack":
        return [_status(payload)]
    return [Ignored(event or "?", "no news of a conversation")]


def _message(event: str, payload: Mapping[str, Any], me: Mapping[str, Any]) -> Told:
    parts = ID.fullmatch(text(payload.get("id"), LONGEST_ID))
    from_us = yes(payload.get("fromMe")) or bool(parts and parts["ours"] == "true")
    chat = parts["chat"] if parts else _chat(payload, from_us, me)
    if reason := whatsapp_bodies.why_no_chat(chat):
        return Ignored(event, reason)
    raw = mapping(payload.get("_data"))
    if text(raw.get("type"), 40) in NO_MESSAGES:
        return Ignored(event, "a notice or a deletion")
    # Beside a number stands the hidden id, beside a hidden id the number; of a message of ours `SenderAlt` is us.
    alt = "RecipientAlt" if from_us else "SenderAlt"
    jids = (chat, at(raw, "key", "remoteJidAlt"), at(raw, "Info", alt))
    addresses = whatsapp_bodies.who(*jids, ours=(me.get("id"), me.get("lid"), me.get("jid")))
    if not addresses:
        return Ignored(event, "no chat with a person")
    found = _content(payload, raw)
    if found.no_message:
        return Ignored(event, found.no_message)
    message_id = parts["id"] if parts else text(payload.get("id"), LONGEST_ID)
    names = (raw.get("pushName"), at(raw, "Info", "PushName"), raw.get("notifyName"))
    name = "" if from_us else next(filter(None, map(line, names)), "")
    return Message(
        direction=_direction(payload, message_id) if from_us else "inbound",
        addresses=addresses,
        id=message_id,
        at=moment(payload.get("timestamp")),
        text=found.text,
        kind=found.kind,
        attachments=found.attachments,
        name="" if whatsapp_bodies.is_hidden_number(name, addresses) else name,
    )


def _chat(payload: Mapping[str, Any], from_us: bool, me: Mapping[str, Any]) -> str:
    """Return the chat of a message whose id does not name it."""
    there = text(payload.get("from"), 100)
    other = text(payload.get("to"), 100)
    is_us = whatsapp_bodies.plain_jid(there) in {
        whatsapp_bodies.plain_jid(me.get("id")),
        whatsapp_bodies.plain_jid(me.get("lid")),
    }
    return other if from_us and other and (is_us or not there) else there


def _direction(payload: Mapping[str, Any], message_id: str) -> Direction:
    """Say who of ours wrote. Versions that do not tell are told by how libraries name what they send."""
    source = text(payload.get("source"), 20).lower()
    if source in ("api", "app"):
        return "outbound" if source == "api" else "staff"
    return "outbound" if message_id.startswith("3EB0") else "staff"


def _content(payload: Mapping[str, Any], raw: Mapping[str, Any]) -> whatsapp_bodies.Content:
    words = text(payload.get("body"))
    inner = whatsapp_bodies.content(raw.get("message") or raw.get("Message"))
    if not (yes(payload.get("hasMedia")) or payload.get("media")):
        if words.strip():
            return whatsapp_bodies.Content(words)
        if isinstance(payload.get("location"), Mapping):
            place = mapping(payload["location"])
            place_words = ", ".join(filter(None, (line(place.get("name")), line(place.get("address")))))
            return whatsapp_bodies.Content(place_words or line(place.get("description")), "location")
        if payload.get("vCards"):
            return whatsapp_bodies.Content("", "contact")
        return inner
    media = mapping(payload.get("media"))
    mime = line(media.get("mimetype"), 100)
    kind = _kind(mime, text(raw.get("type") or at(raw, "Info", "MediaType"), 40).lower(), inner)
    file = Attachment(kind, mime, line(media.get("filename")), text(media.get("url"), LONGEST_REFERENCE))
    files = (file,) if file.reference or file.mime else inner.attachments
    return whatsapp_bodies.Content(words if words.strip() else inner.text, kind, files)


def _kind(mime: str, claimed_kind: str, inner: whatsapp_bodies.Content) -> str:
    if claimed_kind in KINDS:
        return KINDS[claimed_kind]
    if inner.kind != "text":
        return inner.kind
    top = mime.partition("/")[0]
    return top if top in ("image", "video", "audio") else "document" if mime else "other"


def _status(payload: Mapping[str, Any]) -> Told:
    number = payload.get("ack")
    reported = text(payload.get("ackName"), 20).upper() or BY_NUMBER.get(number if isinstance(number, int) else 0, "")
    parts = ID.fullmatch(text(payload.get("id"), LONGEST_ID))
    from_us = yes(payload.get("fromMe")) or bool(parts and parts["ours"] == "true")
    if reported not in STATUSES or not from_us:
        return Ignored("message.ack", f"status {reported or '?'}")
    state, is_read = STATUSES[reported]
    message_id = parts["id"] if parts else text(payload.get("id"), LONGEST_ID)
    reason = "WhatsApp could not deliver it" if state == "not_delivered" else ""
    return Status((message_id,), state, None, is_read, reason) if message_id else Ignored("message.ack", "no id")
