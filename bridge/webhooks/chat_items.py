"""What was said in a chat of Kommo's, and by whom, out of a webhook's item. Pure, and total.

Source: https://developers.kommo.com/docs/webhooks-general (2026-07-02, outgoing messages), and bodies of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.webhooks.parsing import number
from bridge.webhooks.who_wrote import LEAD_TYPES, moment, word

# Kommo's words for what a message is -> ours (leads.models.Message.Kind).
KINDS = {
    "text": "text",
    "voice": "audio",
    "audio": "audio",
    "picture": "image",
    "image": "image",
    "photo": "image",
    "video": "video",
    "file": "document",
    "document": "document",
    "sticker": "sticker",
    "location": "location",
    "contact": "contact",
}
# Who wrote: the client, a person of the account, a program of whoever's; or our side, and the webhook does not say who.
LEAD, PERSON, BOT, UNSAID = "external", "internal", "bot", ""
LONGEST_TEXT, LONGEST_ID, LONGEST_NAME, LONGEST_LINK = 65_536, 200, 250, 2000


@dataclass(frozen=True)
class Chat:
    """One message of a chat. `author`: LEAD, PERSON, BOT or UNSAID; ids are 0, and texts empty, where nothing is said.

    attachment: {"kind", "mime", "name", "reference"} or None. at: Unix seconds, 0 for none.
    """

    id: str
    author: str
    user_id: int
    name: str
    text: str
    kind: str
    attachment: dict[str, str] | None
    at: int
    lead_id: int
    contact_id: int
    chat_id: str

    @property
    def is_linked(self) -> bool:
        return bool(self.lead_id)


def read(action: str, data: Mapping[str, Any]) -> Chat | None:
    """Return the message an item tells of; None for what is none, or does not say which one, or from which side."""
    given = data.get("author")
    who: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    author = LEAD if word(data.get("type")) == "incoming" else word(who.get("type"))
    if author not in (LEAD, PERSON, BOT) and word(data.get("type")) == "outgoing":
        author = UNSAID
    name, id_ = _line(who.get("name"), LONGEST_NAME), _line(data.get("id"), LONGEST_ID)
    if action != "add" or author not in (LEAD, PERSON, BOT, UNSAID) or not id_:
        return None
    attachment = _attachment(data.get("attachment"))
    is_lead = word(data.get("entity_type") or data.get("element_type")) in LEAD_TYPES
    message_type = word(data.get("message_type"))
    return Chat(
        id=id_,
        author=author,
        user_id=number(who.get("user_id")) or 0,
        name=name,
        text=_text(data.get("text"), LONGEST_TEXT),
        kind=attachment["kind"]
        if attachment and message_type in ("", "text")
        else KINDS.get(message_type, "other" if message_type else "text"),
        attachment=attachment,
        at=moment(data.get("created_at")),
        lead_id=(number(data.get("entity_id")) or number(data.get("element_id")) or 0) if is_lead else 0,
        contact_id=number(data.get("contact_id")) or 0,
        chat_id=_line(data.get("chat_id"), LONGEST_ID),
    )


def _attachment(given: Any) -> dict[str, str] | None:
    """Return where the file of a message is to be had; None while there is but a placeholder for it."""
    if not isinstance(given, Mapping) or not (link := _line(given.get("link") or given.get("media"), LONGEST_LINK)):
        return None
    kind = KINDS.get(word(given.get("type")), "document")
    return {"kind": kind, "mime": "", "name": _line(given.get("file_name"), LONGEST_NAME), "reference": link}


def _text(value: Any, longest: int) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _line(value: Any, longest: int) -> str:
    return " ".join(_text(value, 10 * longest).split())[:longest]
