"""Z-API. `instance` and `api_key` stand in the path; `client_token` is the account's, where it asks for one.

Source: https://developer.z-api.io/message/send-message-text
"""

from __future__ import annotations

from urllib.parse import quote

from bridge.channels.part_values import Outcome, Part, Person, Request, Sent, at, detail, judged, named
from common.reasons import Reason
from followups.channels import Gone
from followups.signed_calls import Answer
from leads.addresses import Kind

SETTINGS = ("url", "instance", "api_key", "client_token")
OPTIONAL = ("url", "client_token")
HOST = "https://api.z-api.io"
LIMIT = 4096


def why_not(person: Person) -> str:
    return "" if person.number or person.value(Kind.LID) else Reason("no_whatsapp_address")


def request(settings: dict[str, str], person: Person, part: Part) -> Request:
    base = (settings.get("url") or HOST).rstrip("/")
    instance, token = (quote(settings[key], safe="") for key in ("instance", "api_key"))
    headers = {"Client-Token": settings["client_token"]} if settings.get("client_token") else {}
    body = {"phone": person.number or person.value(Kind.LID), "message": part.text}
    return Request(f"{base}/instances/{instance}/token/{token}/send-text", body, headers)


def read(answer: Answer) -> Sent:
    if answer.status == 400 and "phone number does not exist" in detail(answer.body).lower():
        return Sent(Outcome.FAILED, Reason("no_such_number"), gone=Gone.INVALID)
    # An error may come with 200.
    if answer.is_success and at(answer.body, "error"):
        return Sent(Outcome.FAILED, f"Z-API: {detail(answer.body)}"[:300])
    return judged(answer, who="Z-API", their_id=named(at(answer.body, "messageId") or at(answer.body, "id")))
