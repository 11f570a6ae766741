"""The demo's agent, as small as one can be: takes what the bridge sends it, believes nothing unsigned, acts once.

    python bridge/demo/agent.py --port 9000 --secret whsec_… [--bridge http://127.0.0.1:8000 --key …]

What would be said on WhatsApp is printed. Who writes in a chat of Kommo's is answered there, by way of the bridge, if
it is told where that is. `GET /heard` tells, by phone, the types of the events that came. A complete agent is
`examples/agent.py`, and one for Kommo's chats `examples/kommo_chat_agent.py`.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.demo.conversations import SCHEDULED

# By what name the bridge calls Kommo's own chats.
KOMMO = "kommo"
MONEY = re.compile(r"R\$\s?[\d.,]*\d")


@dataclass(frozen=True)
class Reply:
    """What to say, empty for nothing yet, and the bill the lead has just told of."""

    text: str = ""
    bill: str = ""


def answer(messages: list[dict[str, Any]]) -> Reply:
    """Return what to say to somebody who wrote this. A model would be asked here."""
    if found := MONEY.search(" ".join(message["text"] for message in messages)):
        return Reply("Com essa conta compensa muito. Marquei nossa conversa para terça às 14h!", found[0])
    return Reply()


class Mouth:
    """Reports what it learnt, and speaks, both by way of the bridge."""

    def __init__(self, bridge: str, key: str) -> None:
        self._api, self._headers = f"{bridge}/api/v1", {"Authorization": f"Api-Key {key}"}

    def reply(self, event_id: str, data: dict[str, Any]) -> None:
        """Answer the messages of an event; told again, it does nothing more. Raises requests.RequestException."""
        lead, words = data["lead"], answer(data["messages"])
        if words.bill:
            facts = {"phone": lead["phone"], "bill_value": words.bill, "qualification_score": 82}
            context = {"conversation_stage": "agendamento", "meeting": SCHEDULED | {"id": "evt_demo_kommo"}}
            self._post("interactions/", {"lead": facts, "context": context}, event_id)
        if words.text:
            self._post(f"leads/{lead['id']}/messages/", {"text": words.text}, f"{event_id}-reply")

    def _post(self, path: str, body: dict[str, Any], key: str) -> None:
        headers = self._headers | {"Idempotency-Key": key}
        response = requests.post(f"{self._api}/{path}", json=body, headers=headers, timeout=30)
        # 409: a person has the lead by now. 422: no way leads to them.
        if response.status_code not in (409, 422):
            response.raise_for_status()


class Mailbox:
    """The events that came, each once however often it is sent."""

    def __init__(self, secret: str, reply: Callable[[str, dict[str, Any]], object] | None = None) -> None:
        self._webhook, self._reply = Webhook(secret), reply
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._heard: dict[str, list[str]] = {}

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        """Act on an event. Raises WebhookVerificationError for one that the bridge did not sign.

        What the reply raises leaves the event unknown: it comes again.
        """
        event: dict[str, Any] = self._webhook.verify(body, headers)
        data = event.get("data", {})
        phone = data.get("lead", {}).get("phone") or "?"
        with self._lock:
            if headers["webhook-id"] in self._known:
                return
        is_asked = event["type"] == "message.received" and data["channel"] == KOMMO and data["may_reply"]
        if self._reply and is_asked:
            self._reply(headers["webhook-id"], data)
        with self._lock:
            self._known.add(headers["webhook-id"])
            self._heard.setdefault(phone, []).append(event["type"])
        print(f"{event['type']:<20} {phone:<16} {data.get('text', '')}".rstrip(), flush=True)

    def heard(self) -> dict[str, list[str]]:
        with self._lock:
            return {phone: list(types) for phone, types in self._heard.items()}


def server(port: int, mailbox: Mailbox) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                mailbox.take(body, {name.lower(): value for name, value in self.headers.items()})
            except WebhookVerificationError:
                self._answer(401, {"error": "not signed by the bridge"})
            except requests.RequestException as error:
                self._answer(503, {"error": f"the bridge did not take the reply: {error}"})
            else:
                self._answer(200, {})

        def do_GET(self) -> None:
            self._answer(200, mailbox.heard())

        def _answer(self, status: int, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Requests are not worth a line; what they bring has one."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--bridge", help="where to answer what is written in Kommo's chats; with --key")
    parser.add_argument("--key", default="")
    arguments = parser.parse_args()
    reply = Mouth(arguments.bridge, arguments.key).reply if arguments.bridge else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with server(arguments.port, Mailbox(arguments.secret, reply)) as serving:
        serving.serve_forever()


if __name__ == "__main__":
    main()
