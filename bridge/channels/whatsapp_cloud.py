"""WhatsApp Cloud API, Meta's own. Outside 24 hours after the lead's last message only an approved template leaves.

A template is named as Meta names it, with its language behind a slash where that is not the pipeline's: `oi/en_US`.
Source: https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bridge.channels.part_values import Outcome, Part, Person, Request, Sent, at, judged, named, words
from common.reasons import Reason
from followups.channels import Gone
from followups.signed_calls import Answer
from leads.addresses import Kind

SETTINGS = ("phone_number_id", "token", "url")
OPTIONAL = ("url",)
HOST = "https://graph.facebook.com/v23.0"
LIMIT = 4096
WINDOW = timedelta(hours=24)
CLOSED = Reason("only_template_leaves")
# Code of an error -> what it means. Source: .../cloud-api/support/error-codes
WINDOW_CLOSED, NO_SUCH_NUMBER = {131047}, {131026, 131021}
LATER = {4, 130429, 80007, 131056, 131048, 131016, 131000, 133004}
OUR_KEY = {0, 3, 10, 190}


def why_not(person: Person) -> str:
    return "" if person.number or person.value(Kind.BSUID) else Reason("no_whatsapp_address")


def why_not_now(person: Person, template_id: str, now: datetime) -> str:
    """Return why nothing may leave at this moment; empty when it may."""
    is_open = person.last_inbound_at is not None and now - person.last_inbound_at < WINDOW
    return "" if is_open or template_id else CLOSED


def request(settings: dict[str, str], person: Person, part: Part) -> Request:
    base = (settings.get("url") or HOST).rstrip("/")
    # A number is sent `to`, a hidden id to a `recipient`.
    whom = {"to": person.number} if person.number else {"recipient": person.value(Kind.BSUID)}
    content: dict[str, Any] = {"type": "text", "text": {"preview_url": True, "body": part.text}}
    if part.template_id:
        name, _, language = part.template_id.partition("/")
        content = {"type": "template", "template": {"name": name, "language": {"code": language or person.locale}}}
    body = {"messaging_product": "whatsapp", "recipient_type": "individual", **whom, **content}
    return Request(
        f"{base}/{settings['phone_number_id']}/messages", body, {"Authorization": f"Bearer {settings['token']}"}
    )


def read(answer: Answer) -> Sent:
    code = at(answer.body, "error", "code")
    if not answer.is_success and isinstance(code, int):
        explanation = words(f"WhatsApp {code}: {at(answer.body, 'error', 'message') or ''}")
        if code in WINDOW_CLOSED:
            return Sent(Outcome.FAILED, CLOSED)
        if code in NO_SUCH_NUMBER:
            return Sent(
                Outcome.FAILED, f"no such number on WhatsApp, or it takes no messages ({code})", gone=Gone.INVALID
            )
        if code in LATER:
            return Sent(Outcome.RETRY, explanation, retry_after_seconds=answer.retry_after_seconds)
        if code in OUR_KEY:
            return Sent(Outcome.FAILED, explanation, rests=timedelta(minutes=1))
        return Sent(Outcome.FAILED, explanation)
    return judged(answer, who="WhatsApp", their_id=named(at(answer.body, "messages", 0, "id")))
