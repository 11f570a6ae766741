"""Evolution API: WhatsApp behind a server of one's own. It takes no id of ours: what may have left is not sent again.

Source: https://doc.evolution-api.com/v2/api-reference/message-controller/send-text
"""

from __future__ import annotations

from urllib.parse import quote

from bridge.channels.part_values import Outcome, Part, Person, Request, Sent, at, judged, named
from common.reasons import Reason
from followups.channels import Gone, has_no_whatsapp
from followups.signed_calls import Answer
from leads.addresses import Kind

SETTINGS = ("url", "instance", "api_key")
LIMIT = 4096


def why_not(person: Person) -> str:
    return "" if person.number or person.value(Kind.LID) else Reason("no_whatsapp_address")


def request(settings: dict[str, str], person: Person, part: Part) -> Request:
    last = person.addresses[0]["kind"] if person.addresses else ""
    hidden = person.value(Kind.LID)
    to = hidden if hidden and (last == Kind.LID or not person.number) else person.number
    url = f"{settings['url'].rstrip('/')}/message/sendText/{quote(settings['instance'], safe='')}"
    return Request(url, {"number": to, "text": part.text}, {"apikey": settings["api_key"]})


def read(answer: Answer) -> Sent:
    if answer.status == 400 and has_no_whatsapp(answer.body):
        return Sent(Outcome.FAILED, Reason("no_such_number"), gone=Gone.INVALID)
    return judged(answer, who="Evolution", their_id=named(at(answer.body, "key", "id")))
