"""WAHA: WhatsApp over HTTP. `instance` is the session.

Source: https://waha.devlike.pro/docs/how-to/send-messages
"""

from __future__ import annotations

from bridge.channels.part_values import Part, Person, Request, Sent, at, judged, named
from common.reasons import Reason
from followups.signed_calls import Answer
from leads.addresses import Kind
from leads.message_ids import plain_id

SETTINGS = ("url", "instance", "api_key")
LIMIT = 4096


def why_not(person: Person) -> str:
    return "" if person.number or person.value(Kind.LID) else Reason("no_whatsapp_address")


def request(settings: dict[str, str], person: Person, part: Part) -> Request:
    last = person.addresses[0]["kind"] if person.addresses else ""
    hidden = person.value(Kind.LID)
    chat = hidden if hidden and (last == Kind.LID or not person.number) else f"{person.number}@c.us"
    body = {"session": settings["instance"], "chatId": chat, "text": part.text}
    key = {"X-Api-Key": settings["api_key"]} if settings.get("api_key") else {}
    return Request(f"{settings['url'].rstrip('/')}/api/sendText", body, key)


def read(answer: Answer) -> Sent:
    found = (at(answer.body, *path) for path in (("id",), ("id", "_serialized"), ("key", "id"), ("id", "id")))
    return judged(answer, who="WAHA", their_id=plain_id(next(filter(None, map(named, found)), "")))
