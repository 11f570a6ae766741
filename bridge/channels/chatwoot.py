"""Chatwoot: into the newest conversation of the lead's contact, whichever channel is behind it.

Source: https://developers.chatwoot.com/api-reference/messages/create-new-message
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from bridge.channels.part_values import Part, Person, Request, Sent, at, judged, named
from common.reasons import Reason
from followups.signed_calls import Answer
from leads.addresses import Kind

SETTINGS = ("url", "account_id", "token")
LIMIT = 4096
MARK = "chatwoot:"


def why_not(person: Person) -> str:
    known = person.number or person.value(Kind.EMAIL) or any(_contact(address) for address in person.addresses)
    return "" if known else Reason("chatwoot_knows_no_contact")


def search(settings: dict[str, str], person: Person) -> Request | None:
    """Return the call that finds the contact by its number or e-mail; None where its id is known."""
    if contact_of(settings, person):
        return None
    term = f"+{person.number}" if person.number else person.value(Kind.EMAIL)
    return _get(settings, f"/contacts/search?{urlencode({'q': term})}")


def found(answer: Answer) -> str:
    """Return the id of the first contact a search brings; empty for none."""
    return named(at(answer.body, "payload", 0, "id"))


def conversations(settings: dict[str, str], contact: str) -> Request:
    return _get(settings, f"/contacts/{contact}/conversations")


def newest(answer: Answer) -> str:
    """Return the id of the conversation that was alive last, open ones before all others; empty for none."""
    rows = at(answer.body, "payload")
    known = [row for row in rows if isinstance(row, dict) and named(row.get("id"))] if isinstance(rows, list) else []
    best = max(known, key=_how_alive, default={})
    return named(best.get("id"))


def message(settings: dict[str, str], conversation: str, part: Part) -> Request:
    body = {"content": part.text, "message_type": "outgoing", "private": False}
    return Request(_url(settings, f"/conversations/{conversation}/messages"), body, _headers(settings))


def read(answer: Answer) -> Sent:
    return judged(answer, who="Chatwoot", their_id=named(at(answer.body, "id")))


def contact_of(settings: dict[str, str], person: Person) -> str:
    """Return the contact's id in this account, as the way in has learnt it; empty where it has not."""
    for address in person.addresses:
        account, _, contact = _contact(address).partition(":")
        if contact and account == settings["account_id"]:
            return contact
    return ""


def inboxes(settings: dict[str, str]) -> Request:
    return _get(settings, "/inboxes")


def _contact(address: Any) -> str:
    is_one = address["kind"] == Kind.EXTERNAL and address["value"].startswith(MARK)
    return str(address["value"].removeprefix(MARK)) if is_one else ""


def _how_alive(conversation: dict[str, Any]) -> tuple[bool, float]:
    last = conversation.get("last_activity_at") or conversation.get("timestamp") or 0
    return conversation.get("status") == "open", float(last) if isinstance(last, (int, float)) else 0.0


def _get(settings: dict[str, str], path: str) -> Request:
    return Request(_url(settings, path), None, _headers(settings), method="GET")


def _url(settings: dict[str, str], path: str) -> str:
    return f"{settings['url'].rstrip('/')}/api/v1/accounts/{settings['account_id']}{path}"


def _headers(settings: dict[str, str]) -> dict[str, str]:
    return {"api_access_token": settings["token"]}
