"""A complete small agent: hears people, answers them, and keeps the bridge informed.

    python examples/agent.py --bridge http://127.0.0.1:8000 --key kb_… --port 9000 --secret whsec_…

WhatsApp is played by the terminal: a line `+5581999990000 Oi!` is a message of that person, and what the agent says is
printed. Everything towards the bridge is as in earnest: every message is reported, permission is asked before every
reply, follow-ups are sent when the bridge says so, and silence is kept while a person is talking.

Needs `requests` and `standardwebhooks`, nothing of the bridge's own.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
import time
import uuid
from collections import OrderedDict
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from standardwebhooks import Webhook, WebhookVerificationError


class Bridge:
    """The bridge's API. A call that was not answered is made again: with the same message id it acts once."""

    TRIES = 5

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/") + "/api/v1/"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Api-Key {key}"

    def report(self, phone: str, direction: str, text: str, lead: dict[str, Any], context: dict[str, Any]) -> Any:
        """Report a message and what was understood from it; only what is said changes."""
        sent_at = datetime.now(UTC).isoformat()
        message = {"id": f"example-{uuid.uuid4()}", "direction": direction, "sent_at": sent_at, "text": text}
        body = {"lead": {"phone": phone, **lead}, "context": context, "message": message}
        return self._call("POST", "interactions/", json=body)

    def may_reply(self, phone: str) -> bool:
        """Ask right before speaking. No answer means no: a person may be talking."""
        try:
            return bool(self._call("GET", "agent/may-reply/", params={"phone": phone})["may_reply"])
        except requests.RequestException:
            return False

    def hand_off(self, lead_id: str, reason: str) -> None:
        self._call("POST", f"leads/{lead_id}/handoff/", json={"reason": reason})

    def _call(self, method: str, path: str, **more: Any) -> Any:
        for attempt in range(1, self.TRIES + 1):
            try:
                answer = self._session.request(method, self._url + path, timeout=(5, 20), **more)
            except (requests.ConnectionError, requests.Timeout):
                if attempt == self.TRIES:
                    raise
                time.sleep(attempt)
                continue
            if answer.status_code in (429, 503) and attempt < self.TRIES:
                time.sleep(float(answer.headers.get("Retry-After", attempt)))
                continue
            # A 4xx says what is wrong field by field; trying again does not help.
            answer.raise_for_status()
            return answer.json() if answer.content else None


def understand(text: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return what a message teaches of the lead, of the conversation, and the answer. A real agent asks its model."""
    if found := re.search(r"(?:me chamo|meu nome é) ([\w ]+)", text, re.IGNORECASE):
        name = found[1].strip().title()
        reply = f"Prazer, {name.split()[0]}! Temos quatro soluções. Quer ouvir?"
        return {"name": name}, {"conversation_stage": "estágio_1_apresentar_soluções"}, reply
    if found := re.search(r"R\$ ?[\d.,]*\d", text):
        # As it was written: the bridge reads amounts the pipeline's way.
        facts = {"bill_value": found[0], "chosen_flow": "Aluguel de Lote", "qualification_score": 82}
        return facts, {"conversation_stage": "qualificação"}, "Perfeito, você pode economizar bastante!"
    if "caro" in text.lower():
        return {}, {"objections_raised": ["preço"]}, "Entendo. Sem investimento inicial, vale a pena."
    return {}, {"conversation_stage": "estágio_0_coleta_nome"}, "Olá! Como você se chama?"


class Agent:
    """What to say, and when to say nothing."""

    WANTS_A_PERSON = re.compile(r"\b(atendente|humano|pessoa)\b", re.IGNORECASE)

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def hear(self, phone: str, text: str) -> None:
        lead, context, reply = understand(text)
        # Reported whether or not we may answer: nothing is lost from the record while a person is talking.
        known = self._bridge.report(phone, "inbound", text, lead, context)
        if self.WANTS_A_PERSON.search(text):
            self._bridge.hand_off(known["lead"]["id"], "quer falar com uma pessoa")
            return
        if self._bridge.may_reply(phone):
            self.say(phone, reply)
            self._bridge.report(phone, "outbound", reply, {}, {})

    def say(self, phone: str, text: str) -> None:
        """Send on WhatsApp, here: print."""
        print(f"{phone} <- {text}", flush=True)

    def heed(self, event: dict[str, Any]) -> dict[str, Any]:
        """Do what an event of the bridge asks; return what it is answered."""
        data, kind = event["data"], event["type"]
        if kind == "followup.due":
            if not data["text"]:
                return {"skip": True}
            # Not reported again: the bridge knows what it asked for.
            self.say(data["lead"]["phone"], data["text"])
        else:
            print(f"{data['lead']['phone']} -- {kind}: {data.get('reason')}", flush=True)
        return {}


class Events(BaseHTTPRequestHandler):
    """Where the bridge calls: signed, and possibly more than once with the same id."""

    agent: Agent
    verifier: Webhook
    answered: OrderedDict[str, bytes] = OrderedDict()
    lock = threading.Lock()
    REMEMBERED = 10_000

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            event = self.verifier.verify(body, dict(self.headers.items()))
        except WebhookVerificationError:
            self._answer(401, b"{}")
            return
        with self.lock:
            event_id = self.headers["webhook-id"]
            if event_id not in self.answered:
                self.answered[event_id] = json.dumps(self.agent.heed(event)).encode()
                while len(self.answered) > self.REMEMBERED:
                    self.answered.popitem(last=False)
            self._answer(200, self.answered[event_id])

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: a phone number does not belong in a log."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bridge", required=True, help="the bridge's address")
    parser.add_argument("--key", required=True, help="from manage.py api_key NAME")
    parser.add_argument("--port", type=int, default=9000, help="where the bridge calls (its AGENT_WEBHOOK_URL)")
    parser.add_argument("--secret", required=True, help="the bridge's AGENT_WEBHOOK_SECRET")
    options = parser.parse_args()
    agent = Agent(Bridge(options.bridge, options.key))
    Events.agent, Events.verifier = agent, Webhook(options.secret)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Events)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for line in sys.stdin:
        phone, _, text = line.strip().partition(" ")
        if text:
            agent.hear(phone, text)
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
