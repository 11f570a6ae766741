"""Chatwoot: the inbox behind which any channel may be.

`message_created`, with everything of the message on top. `message_type` says which way it went, `sender.type` who of
ours wrote: an agent bot is the agent, a user is a person, nobody is Chatwoot itself. A private note is no message. In
messages of ours the lead stands in `conversation.meta.sender`.
Source: the project's serializers and webhook jobs, and captured bodies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bridge.intakes import signatures, whatsapp_bodies
from bridge.intakes.source_news import (
    LONGEST_ID,
    LONGEST_REFERENCE,
    Address,
    Attachment,
    Call,
    Delivery,
    Direction,
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

SETTINGS = ("secret",)
# A text on top, a number further down; some versions and forks have the number on top.
TYPES = {"0": "incoming", "1": "outgoing", "2": "activity", "3": "template"}
SENDERS: dict[str, Direction] = {"agent_bot": "outbound", "agentbot": "outbound", "user": "staff"}
STATUSES: dict[str, tuple[Delivery, bool]] = {
    "delivered": ("delivered", False),
    "read": ("delivered", True),
    "failed": ("not_delivered", False),
}
KINDS = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "file": "document",
    "location": "location",
    "contact": "contact",
    "ig_reel": "video",
    "story_mention": "image",
}
# What a channel's own id of a person is.
CHANNELS = {
    "Channel::Whatsapp": "whatsapp",
    "Channel::Instagram": "instagram",
    "Channel::FacebookPage": "external",
    "Channel::Telegram": "telegram",
    "Channel::Sms": "phone",
    "Channel::TwilioSms": "phone",
}
EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
WHATSAPP_PREFIX = "whatsapp:"
# Whoever opens a website's chat types what number and e-mail they have, and may be anybody.
ANYBODYS = "Channel::WebWidget"


def is_signed(call: Call, settings: Mapping[str, str]) -> bool:
    name, _, signature = call.headers.get("x-chatwoot-signature", "").partition("=")
    stamp = call.headers.get("x-chatwoot-timestamp", "")
    is_right = signatures.is_hex_of(signature, settings["secret"], f"{stamp}.".encode(), call.body)
    return name == "sha256" and is_right and signatures.is_recent(stamp, call.now)


def read(body: Any) -> list[Told]:
    event = text(at(body, "event"), 60)
    if event == "message_created":
        return [_message(mapping(body))]
    if event == "message_updated":
        return [_status(mapping(body))]
    return [Ignored(event or "?", "no news of a conversation")]


def _message(body: Mapping[str, Any]) -> Told:
    what = "message_created"
    kind = text(body.get("message_type"), 20)
    kind = TYPES.get(kind, kind)
    attributes = mapping(body.get("content_attributes"))
    if yes(body.get("private")):
        return Ignored(what, "a private note")
    if kind not in ("incoming", "outgoing"):
        return Ignored(what, f"Chatwoot's own ({kind or '?'})")
    if yes(attributes.get("deleted")):
        return Ignored(what, "a deletion")
    if yes(attributes.get("is_reaction")) or attributes.get("reaction"):
        return Ignored(what, "a reaction")
    sender = mapping(body.get("sender"))
    direction: Direction = "inbound"
    if kind == "outgoing":
        who = SENDERS.get(text(sender.get("type"), 20).lower())
        if who is None or attributes.get("automation_rule_id"):
            return Ignored(what, "Chatwoot's own (automatic)")
        direction = who
    contact = sender if kind == "incoming" else mapping(at(body, "conversation", "meta", "sender"))
    addresses = _addresses(contact, body)
    if isinstance(addresses, str):
        return Ignored(what, addresses)
    is_anybody = text(at(body, "conversation", "channel"), 60) == ANYBODYS
    proven = tuple(address for address in addresses if address.kind == "external") if is_anybody else ()
    email = text(contact.get("email"), 254).strip().lower()
    words, (file_kind, files) = text(body.get("content")), _files(body)
    if not words.strip() and not files:
        return Ignored(what, "nothing in it that could be read")
    # The messenger's id, where there is one, and Chatwoot's own.
    names = [text(body.get("source_id"), LONGEST_ID).strip(), text(body.get("id"), LONGEST_ID)]
    names = [part for part in names if part]
    name = line(contact.get("name"))
    return Message(
        direction=direction,
        addresses=proven or addresses,
        claimed=tuple(address for address in addresses if address not in proven) if proven else (),
        id=names[0] if names else "",
        other_id=names[1] if len(names) > 1 else "",
        at=moment(body.get("created_at")),
        text=words,
        kind=file_kind if files else "text",
        attachments=files,
        name="" if direction != "inbound" or whatsapp_bodies.is_hidden_number(name, addresses) else name,
        email=email if EMAIL.fullmatch(email) else "",
        author=line(sender.get("name")) if direction == "staff" else "",
    )


def _addresses(contact: Mapping[str, Any], body: Mapping[str, Any]) -> tuple[Address, ...] | str:
    """Return the contact's addresses, or why there is no person behind them."""
    found: list[Address] = []
    phone = text(contact.get("phone_number"), 40).strip()
    if phone:
        found.append(Address("phone", phone))
    identifier = text(contact.get("identifier"), 200).strip()
    source = text(at(body, "conversation", "contact_inbox", "source_id"), 200).strip()
    for given in (identifier, source):
        if reason := whatsapp_bodies.why_no_chat(given):
            return reason
        # Evolution and others put WhatsApp's ids there.
        found += whatsapp_bodies.who(given)
    channel = text(at(body, "conversation", "channel"), 60)
    kind = CHANNELS.get(channel, "")
    plain = source.removeprefix(WHATSAPP_PREFIX)
    if kind == "whatsapp":
        found += whatsapp_bodies.who(f"{plain}@s.whatsapp.net")
        if plain and not plain.isdigit() and "@" not in plain and not plain.startswith("+"):
            found.append(Address("bsuid", plain))
    elif kind == "phone" and plain:
        found.append(Address("phone", plain))
    elif kind in ("instagram", "telegram") and source:
        found.append(Address(kind, source))
    elif kind == "external" and source:
        found.append(Address(kind, f"facebook:{source}"))
    email = text(contact.get("email"), 254).strip().lower()
    if EMAIL.fullmatch(email):
        found.append(Address("email", email))
    account, number = text(at(body, "account", "id"), 40), text(contact.get("id"), 40)
    if number:
        # What is always there: the contact itself.
        found.append(Address("external", f"chatwoot:{account}:{number}"))
    return tuple(dict.fromkeys(found)) or "no contact"


def _files(body: Mapping[str, Any]) -> tuple[str, tuple[Attachment, ...]]:
    files = []
    for attachment in map(mapping, items(body.get("attachments"))):
        kind = KINDS.get(text(attachment.get("file_type"), 20).lower(), "other")
        place = text(attachment.get("data_url") or attachment.get("external_url"), LONGEST_REFERENCE)
        name = line(attachment.get("fallback_title")) or line(place.rpartition("/")[2].partition("?")[0])
        files.append(Attachment(kind, line(attachment.get("content_type"), 100), name, place))
    return (files[0].kind if files else "text"), tuple(files)


def _status(body: Mapping[str, Any]) -> Told:
    reported = text(body.get("status"), 20).lower()
    ids = tuple(filter(None, (text(body.get(key), LONGEST_ID).strip() for key in ("source_id", "id"))))
    kind = text(body.get("message_type"), 20)
    if TYPES.get(kind, kind) != "outgoing" or yes(body.get("private")) or reported not in STATUSES or not ids:
        return Ignored("message_updated", f"status {reported or '?'}")
    state, is_read = STATUSES[reported]
    return Status(ids, state, None, is_read, line(at(body, "content_attributes", "external_error"), 400))
