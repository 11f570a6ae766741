"""Z-API. It signs nothing, so its address is its only proof.

`type` tells what a call is: `ReceivedCallback` is every message, theirs and, with "notify sent by me", ours. `phone` is
the chat, always. `fromMe` without `fromApi` was written by hand. Source: developer.z-api.io, and captured bodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.intakes import whatsapp_bodies
from bridge.intakes.source_news import (
    LONGEST_ID,
    LONGEST_REFERENCE,
    Address,
    Attachment,
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

STATUSES: dict[str, tuple[Delivery, bool]] = {
    "SENT": ("sent", False),
    "RECEIVED": ("delivered", False),
    "READ": ("delivered", True),
    "PLAYED": ("delivered", True),
}
# Key of a file -> its kind, and where it is to be had.
MEDIA = {
    "image": ("image", "imageUrl"),
    "audio": ("audio", "audioUrl"),
    "video": ("video", "videoUrl"),
    "ptv": ("video", "ptvUrl"),
    "document": ("document", "documentUrl"),
    "sticker": ("sticker", "stickerUrl"),
}
WORDS = (
    ("text", "message"),
    ("buttonsResponseMessage", "message"),
    ("listResponseMessage", "message"),
    ("listResponseMessage", "title"),
    ("buttonReply", "message"),
    ("hydratedTemplate", "message"),
    ("template", "message"),
    ("buttonsMessage", "message"),
    ("listMessage", "description"),
)
NO_CHATS = {"isGroup": "a group", "isNewsletter": "a newsletter", "broadcast": "a broadcast"}
NO_MESSAGES = {"isEdit": "an edit", "waitingMessage": "a message whose text is still to come"}


def read(body: Any) -> list[Told]:
    kind = text(at(body, "type"), 60)
    if kind in ("ReceivedCallback", "SentCallback"):
        return [_message(kind, mapping(body))]
    if kind == "MessageStatusCallback":
        return [_status(mapping(body))]
    if kind == "DeliveryCallback":
        message_id = text(at(body, "messageId"), LONGEST_ID)
        failed = text(at(body, "error"), 300)
        if message_id:
            return [
                Status((message_id,), "not_delivered" if failed else "sent", moment(at(body, "momment")), reason=failed)
            ]
    return [Ignored(kind or "?", "no news of a conversation")]


def _message(kind: str, body: Mapping[str, Any]) -> Told:
    for flag, reason in {**NO_CHATS, **NO_MESSAGES}.items():
        if yes(body.get(flag)):
            return Ignored(kind, reason)
    chat = text(body.get("phone"), 100).strip().lower()
    if chat.endswith("-group") or (reason := whatsapp_bodies.why_no_chat(chat)):
        return Ignored(kind, reason if "@" in chat else "a group")
    addresses = _addresses(chat, body)
    if not addresses:
        return Ignored(kind, "no chat with a person")
    if (content := _content(body)).no_message:
        return Ignored(kind, content.no_message)
    from_us = yes(body.get("fromMe"))
    name = "" if from_us else line(body.get("senderName")) or line(body.get("chatName"))
    return Message(
        direction="inbound" if not from_us else "outbound" if yes(body.get("fromApi")) else "staff",
        addresses=addresses,
        id=text(body.get("messageId"), LONGEST_ID),
        at=moment(body.get("momment")),
        text=content.text,
        kind=content.kind,
        attachments=content.attachments,
        name="" if whatsapp_bodies.is_hidden_number(name, addresses) else name,
    )


def _addresses(chat: str, body: Mapping[str, Any]) -> tuple[Address, ...]:
    own = "".join(sign for sign in text(body.get("connectedPhone"), 40) if sign.isdigit())
    jid = chat if "@" in chat else f"{chat}@s.whatsapp.net"
    # Of a message of ours `senderLid` is the company's.
    hidden = (body.get("chatLid"), None if yes(body.get("fromMe")) else body.get("senderLid"))
    return whatsapp_bodies.who(jid, *hidden, ours=(f"{own}@s.whatsapp.net",))


def _content(body: Mapping[str, Any]) -> whatsapp_bodies.Content:
    for path in WORDS:
        if (words := text(at(body, *path))).strip():
            return whatsapp_bodies.Content(words)
    for key, (kind, address) in MEDIA.items():
        if isinstance(body.get(key), Mapping):
            file = mapping(body[key])
            name = line(file.get("fileName") or file.get("title"))
            reference = text(file.get(address), LONGEST_REFERENCE)
            attachment = Attachment(kind, line(file.get("mimeType"), 100), name, reference)
            return whatsapp_bodies.Content(text(file.get("caption")), kind, (attachment,))
    if isinstance(body.get("location"), Mapping):
        place = mapping(body["location"])
        return whatsapp_bodies.Content(
            ", ".join(filter(None, (line(place.get("name")), line(place.get("address"))))), "location"
        )
    if isinstance(body.get("contact"), Mapping) or items(body.get("contacts")):
        return whatsapp_bodies.Content(line(at(body, "contact", "displayName")), "contact")
    if isinstance(body.get("poll"), Mapping):
        return whatsapp_bodies.Content(line(at(body, "poll", "question")), "other")
    if "reaction" in body:
        return whatsapp_bodies.Content(no_message="a reaction")
    return whatsapp_bodies.Content(no_message="nothing in it that could be read")


def _status(body: Mapping[str, Any]) -> Told:
    reported = text(body.get("status"), 20).upper()
    ids = body.get("ids")
    names = tuple(filter(None, (text(message_id, LONGEST_ID) for message_id in ids))) if isinstance(ids, list) else ()
    if yes(body.get("isGroup")) or reported not in STATUSES or not names:
        return Ignored("MessageStatusCallback", f"status {reported or '?'}")
    state, is_read = STATUSES[reported]
    return Status(names, state, moment(body.get("momment")), is_read)
