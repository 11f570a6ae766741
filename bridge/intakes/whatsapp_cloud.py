"""WhatsApp's Cloud API.

`entry[].changes[].value`, each level a list. `messages` is what leads wrote, `message_echoes` what staff wrote in the
WhatsApp Business app, `statuses` what became of ours; what the API sent is never echoed. A person may come without a
number, by their BSUID alone. `contacts[]` belongs to the messages by its ids, not by its place.
Source: developers.facebook.com/docs/whatsapp/cloud-api/webhooks, and captured bodies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.intakes import signatures, whatsapp_bodies
from bridge.intakes.source_news import (
    LONGEST_ID,
    LONGEST_REFERENCE,
    Address,
    Attachment,
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
)

SETTINGS = ("app_secret", "verify_token")
STATUSES: dict[str, tuple[Delivery, bool]] = {
    "sent": ("sent", False),
    "delivered": ("delivered", False),
    "read": ("delivered", True),
    "played": ("delivered", True),
    "failed": ("not_delivered", False),
}
MEDIA = frozenset({"image", "audio", "video", "document", "sticker"})
NO_MESSAGES = {
    "reaction": "a reaction",
    "system": "a notice of WhatsApp's",
    "unsupported": "something that WhatsApp does not pass on",
    "errors": "something that WhatsApp does not pass on",
    "edit": "an edit",
    "revoke": "a deletion",
    "request_welcome": "a chat that was opened, without a word",
    "pin": "a pin",
}
WORDS = (
    ("text", "body"),
    ("button", "text"),
    ("interactive", "button_reply", "title"),
    ("interactive", "list_reply", "title"),
    ("interactive", "nfm_reply", "response_json"),
    ("interactive", "nfm_reply", "body"),
    ("interactive", "body", "text"),
)


def is_signed(call: Call, settings: Mapping[str, str]) -> bool:
    name, _, signature = call.headers.get("x-hub-signature-256", "").partition("=")
    return name == "sha256" and signatures.is_hex_of(signature, settings["app_secret"], call.body)


def read(body: Any) -> list[Told]:
    news = [piece for value in _values(body) for piece in _of_value(value)]
    return news or [Ignored("?", "no news of a conversation")]


def _values(body: Any) -> Iterator[Mapping[str, Any]]:
    for entry in items(at(body, "entry")):
        for change in items(at(entry, "changes")):
            yield mapping(at(change, "value"))


def _of_value(value: Mapping[str, Any]) -> Iterator[Told]:
    own = _digits(at(value, "metadata", "display_phone_number"))
    contacts = _Contacts.of([mapping(contact) for contact in items(value.get("contacts"))])
    for message in map(mapping, items(value.get("messages"))):
        yield _message(message, contacts, own, by_staff=False)
    for message in map(mapping, items(value.get("message_echoes"))):
        yield _message(message, contacts, own, by_staff=True)
    for status in map(mapping, items(value.get("statuses"))):
        yield _status(status)


def _message(message: Mapping[str, Any], contacts: _Contacts, own: str, *, by_staff: bool) -> Told:
    kind = text(message.get("type"), 40)
    what = "message_echoes" if by_staff else "messages"
    if message.get("group_id") or at(message, "context", "group_id"):
        return Ignored(what, "a group")
    if kind in NO_MESSAGES:
        return Ignored(what, NO_MESSAGES[kind])
    number = _digits(message.get("to" if by_staff else "from"))
    user_id = text(message.get("to_user_id" if by_staff else "from_user_id"), 100).strip()
    if not (number or user_id) and len(contacts.all) == 1:
        number, user_id = _names(contacts.all[0])
    contact = contacts.first(number, user_id)
    number = number or _digits(contact.get("wa_id"))
    user_id = user_id or text(contact.get("user_id"), 100).strip()
    addresses = (
        *whatsapp_bodies.who(f"{number}@s.whatsapp.net", ours=(f"{own}@s.whatsapp.net",)),
        *([Address("bsuid", user_id)] if user_id else ()),
    )
    if not addresses:
        return Ignored(what, "no chat with a person")
    content = _content(message, kind)
    if content.no_message:
        return Ignored(what, content.no_message)
    return Message(
        direction="staff" if by_staff else "inbound",
        addresses=addresses,
        id=text(message.get("id"), LONGEST_ID),
        at=moment(message.get("timestamp")),
        text=content.text,
        kind=content.kind,
        attachments=content.attachments,
        name="" if by_staff else line(at(contact, "profile", "name")),
    )


@dataclass(frozen=True)
class _Contacts:
    """The contacts of a body, found by what they are known by: a body may have thousands, and as many messages."""

    all: Sequence[Mapping[str, Any]]
    places: Mapping[str, int]

    @classmethod
    def of(cls, contacts: Sequence[Mapping[str, Any]]) -> _Contacts:
        places: dict[str, int] = {}
        for place, contact in enumerate(contacts):
            for name in filter(None, _names(contact)):
                places.setdefault(name, place)
        return cls(contacts, places)

    def first(self, *names: str) -> Mapping[str, Any]:
        """Return the first contact that is known by one of these names; an empty one where there is none."""
        found = [self.places[name] for name in names if name in self.places]
        return self.all[min(found)] if found else {}


def _names(contact: Mapping[str, Any]) -> tuple[str, str]:
    """Return by what a contact is known: their number, and their id in the business' portfolio."""
    return _digits(contact.get("wa_id")), text(contact.get("user_id"), 100).strip()


def _digits(value: Any) -> str:
    return "".join(sign for sign in text(value, 40) if sign.isascii() and sign.isdigit())


def _content(message: Mapping[str, Any], kind: str) -> whatsapp_bodies.Content:
    for path in WORDS:
        if (words := text(at(message, *path))).strip():
            return whatsapp_bodies.Content(whatsapp_bodies.of_json(words))
    if kind in MEDIA:
        file = mapping(message.get(kind))
        reference = text(file.get("link") or file.get("url") or file.get("id"), LONGEST_REFERENCE)
        attachment = Attachment(kind, line(file.get("mime_type"), 100), line(file.get("filename")), reference)
        return whatsapp_bodies.Content(text(file.get("caption")), kind, (attachment,))
    if kind == "location":
        place = mapping(message.get("location"))
        return whatsapp_bodies.Content(
            ", ".join(filter(None, (line(place.get("name")), line(place.get("address"))))), "location"
        )
    if kind == "contacts":
        return whatsapp_bodies.Content(
            ", ".join(
                filter(
                    None, (line(at(contact, "name", "formatted_name")) for contact in items(message.get("contacts")))
                )
            ),
            "contact",
        )
    if kind == "order":
        return whatsapp_bodies.Content(text(at(message, "order", "text")), "other")
    return whatsapp_bodies.Content(no_message=f"nothing in it that could be read ({kind or '?'})")


def _status(status: Mapping[str, Any]) -> Told:
    reported, message_id = text(status.get("status"), 20).lower(), text(status.get("id"), LONGEST_ID)
    if reported not in STATUSES or not message_id:
        return Ignored("statuses", f"status {reported or '?'}")
    state, is_read = STATUSES[reported]
    error: Any = next(iter(items(status.get("errors"))), {})
    words = (at(error, "code"), at(error, "error_data", "details") or at(error, "title") or at(error, "message"))
    reason = " ".join(filter(None, (line(word, 400) for word in words))) if state == "not_delivered" else ""
    return Status((message_id,), state, moment(status.get("timestamp")), is_read, reason)
