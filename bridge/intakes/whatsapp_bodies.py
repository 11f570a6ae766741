"""What the sources that speak WhatsApp's own language have in common: its ids of people, and its bodies of messages.

Pure. Sources: Evolution API `whatsapp.baileys.service.ts`, WAHA's engines NOWEB and GOWS, Baileys' `WAProto`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.intakes.source_news import LONGEST_REFERENCE, Address, Attachment, at, line, mapping, text

PERSONAL_HOSTS = frozenset({"s.whatsapp.net", "c.us"})
JID = re.compile(r"(?P<user>\d{5,20})(?:[.:_]\d+)*@(?P<host>[a-z.]+)")
# What holds a message in it, one level further down.
WRAPPERS = (
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "deviceSentMessage",
    "botInvokeMessage",
    "associatedChildMessage",
    "groupMentionedMessage",
)
MEDIA = {
    "imageMessage": "image",
    "videoMessage": "video",
    "ptvMessage": "video",
    "audioMessage": "audio",
    "documentMessage": "document",
    "stickerMessage": "sticker",
    "lottieStickerMessage": "sticker",
}
# Where the words of an answer to buttons, lists and templates stand.
CHOICES = (
    ("buttonsResponseMessage", "selectedDisplayText"),
    ("buttonsResponseMessage", "selectedButtonId"),
    ("templateButtonReplyMessage", "selectedDisplayText"),
    ("templateButtonReplyMessage", "selectedId"),
    ("listResponseMessage", "title"),
    ("listResponseMessage", "description"),
    ("interactiveResponseMessage", "body", "text"),
    ("interactiveResponseMessage", "nativeFlowResponseMessage", "paramsJson"),
    ("templateMessage", "hydratedTemplate", "hydratedContentText"),
    ("templateMessage", "hydratedFourRowTemplate", "hydratedContentText"),
    ("buttonsMessage", "contentText"),
    ("listMessage", "description"),
    ("interactiveMessage", "body", "text"),
    ("groupInviteMessage", "caption"),
)
# Not messages: what they do to others, or to the conversation.
NO_MESSAGES = {
    "reactionMessage": "a reaction",
    "encReactionMessage": "a reaction",
    "protocolMessage": "an edit, a deletion or a setting",
    "editedMessage": "an edit",
    "secretEncryptedMessage": "an edit",
    "pollUpdateMessage": "a vote",
    "pinInChatMessage": "a pin",
    "keepInChatMessage": "a setting",
    "senderKeyDistributionMessage": "a key",
    "call": "a call",
    "callLogMesssage": "a call",
    "callLogMessage": "a call",
    "bcallMessage": "a call",
    "placeholderMessage": "nothing that is there yet",
}
DEEPEST = 6


@dataclass(frozen=True)
class Content:
    """What a message holds. `no_message`: why it is none."""

    text: str = ""
    kind: str = "text"
    attachments: tuple[Attachment, ...] = ()
    no_message: str = ""


def who(*jids: Any, ours: Iterable[Any] = ()) -> tuple[Address, ...]:
    """Return the addresses among WhatsApp's ids, a number before a hidden one; those of the company's are left out."""
    own = {plain_jid(jid) for jid in ours} - {""}
    found = [jid for jid in dict.fromkeys(map(plain_jid, jids)) if jid and jid not in own]
    numbers = [Address("whatsapp", jid) for jid in found if not jid.endswith("@lid")]
    return (*numbers, *(Address("lid", jid) for jid in found if jid.endswith("@lid")))


def plain_jid(value: Any) -> str:
    """Return a person's id without the device they wrote from; empty for everything else."""
    found = JID.fullmatch(text(value, 100).strip().lower())
    if found is None or found["host"] not in {*PERSONAL_HOSTS, "lid"}:
        return ""
    return f"{found['user']}@{'lid' if found['host'] == 'lid' else 's.whatsapp.net'}"


def why_no_chat(jid: Any) -> str:
    """Return why a chat is no conversation with one person; empty where it may be one."""
    host = text(jid, 200).strip().lower().rpartition("@")[2]
    if host == "g.us":
        return "a group"
    if host == "broadcast":
        return "a status or a broadcast"
    return "a newsletter" if host == "newsletter" else ""


def is_hidden_number(name: str, addresses: Iterable[Address]) -> bool:
    """Say whether a name is only the digits of an address, which stand there when nobody gave one."""
    digits = "".join(sign for sign in name if sign.isdigit())
    return bool(digits) and any(address.value.partition("@")[0] == digits for address in addresses)


def content(message: Any) -> Content:
    """Return what one of WhatsApp's messages holds; of what it quotes, nothing."""
    body = mapping(message)
    for _ in range(DEEPEST):
        inner = next((wrapped for key in WRAPPERS if (wrapped := at(body, key, "message"))), None)
        if not isinstance(inner, Mapping):
            break
        body = inner
    words = text(body.get("conversation")) or text(at(body, "extendedTextMessage", "text"))
    if words.strip():
        return Content(words)
    for key, kind in MEDIA.items():
        if isinstance(body.get(key), Mapping):
            return _media(body, mapping(body[key]), kind)
    for path in CHOICES:
        if (answer := text(at(body, *path))).strip():
            return Content(of_json(answer))
    return _place_or_person(body) or _nothing(body)


def _media(body: Mapping[str, Any], file: Mapping[str, Any], kind: str) -> Content:
    name = line(file.get("fileName") or file.get("title"))
    reference = next(
        (url for url in (body.get("mediaUrl"), file.get("mediaUrl"), file.get("url")) if isinstance(url, str) and url),
        "",
    )
    attachment = Attachment(kind, line(file.get("mimetype"), 100), name, text(reference, LONGEST_REFERENCE))
    return Content(text(file.get("caption")), kind, (attachment,))


def _place_or_person(body: Mapping[str, Any]) -> Content | None:
    for key in ("locationMessage", "liveLocationMessage"):
        if isinstance(body.get(key), Mapping):
            place = mapping(body[key])
            words = ", ".join(filter(None, (line(place.get("name")), line(place.get("address")))))
            return Content(words or text(place.get("caption")), "location")
    if isinstance(body.get("contactMessage"), Mapping):
        return Content(line(at(body, "contactMessage", "displayName")), "contact")
    if isinstance(body.get("contactsArrayMessage"), Mapping):
        return Content(line(at(body, "contactsArrayMessage", "displayName")), "contact")
    for key in ("pollCreationMessage", "pollCreationMessageV2", "pollCreationMessageV3"):
        if isinstance(body.get(key), Mapping):
            return Content(line(at(body, key, "name")), "other")
    if isinstance(body.get("orderMessage"), Mapping):
        return Content(text(at(body, "orderMessage", "message")), "other")
    return None


def _nothing(body: Mapping[str, Any]) -> Content:
    for key, reason in NO_MESSAGES.items():
        if key in body:
            return Content(no_message=reason)
    return Content(no_message="nothing in it that could be read")


def of_json(answer: str) -> str:
    """Return the words of an answer to a flow, which comes as JSON."""
    if not answer.startswith("{"):
        return answer
    try:
        answers = json.loads(answer)
    except ValueError:
        return answer
    words = [line(value) for key, value in mapping(answers).items() if key not in ("flow_token", "id")]
    return ", ".join(filter(None, words)) or answer
