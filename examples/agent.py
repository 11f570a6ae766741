"""A complete small agent: hears people, answers them, and keeps the bridge informed.

    .venv/bin/python examples/agent.py --bridge http://127.0.0.1:8000 --key kb_… --port 9000 --secret whsec_…

WhatsApp is played by the terminal: a line `+5581999990000 Oi!` is a message of that person, with WhatsApp's id and
clock if it begins `[wamid.7 2026-11-22T13:00:00Z] `, and what the agent says is printed. Everything towards the bridge
is as in earnest: every message is reported with its own time, permission is asked before every reply, meetings are
booked, moved and called off by their id, follow-ups are sent when the bridge says so, what did not reach anybody is no
message, and silence is kept while a person is talking.

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
from dataclasses import dataclass, field
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

    def report(
        self,
        phone: str,
        *,
        message: dict[str, Any] | None = None,
        lead: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
    ) -> Any:
        """Report a message, or what was understood from one; only what is said changes. What is not taken up is told.

        A message has its own time, `sent_at`; what was understood is of now, `occurred_at`, however old the message is.
        A message alone is told by itself alone, so that one which comes twice makes the same report.
        """
        body: dict[str, Any] = {"lead": {"phone": phone, **(lead or {})}}
        if lead or context:
            body |= {"context": context or {}, "occurred_at": now()}
        if message:
            body["message"] = message
        known = self._call("POST", "interactions/", json=body)
        for one in known["ignored"]:
            print(f"{phone} !! {one['field']}: {one['reason']}", flush=True)
        return known

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
            if not answer.ok:
                # A 4xx says what is wrong field by field; trying again does not help.
                raise requests.HTTPError(f"{method} {path}: {answer.status_code}: {answer.text[:500]}", response=answer)
            return answer.json() if answer.content else None


def now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass
class Understood:
    """What a message teaches of the lead and of the conversation, and the answer to it."""

    reply: str
    lead: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)


WHEN = r"(\d\d)/(\d\d)/(\d{4}) às (\d\d:\d\d)"


def understand(text: str, appointment: str) -> Understood:
    """Return what a message teaches, and the answer. A real agent asks its model, and its calendar for the id."""
    if found := re.search(r"(?:me chamo|meu nome é) ([\w ]+)", text, re.IGNORECASE):
        name = found[1].strip().title()
        reply = f"Prazer, {name.split()[0]}! Temos quatro soluções. Quer ouvir?"
        return Understood(reply, {"name": name}, {"conversation_stage": "estágio_1_apresentar_soluções"})
    if found := re.search(r"R\$ ?[\d.,]*\d", text):
        # As it was written: the bridge reads amounts the pipeline's way.
        facts = {"bill_value": found[0], "chosen_flow": "Aluguel de Lote", "qualification_score": 82}
        context = {"conversation_stage": "qualificação"}
        return Understood("Perfeito, você pode economizar bastante!", facts, context)
    if found := re.search(rf"(remarcar|marcar).*{WHEN}", text, re.IGNORECASE):
        _, day, month, year, clock = found.groups()
        # Moved or not, it is the same appointment; without an offset it is on the pipeline's clock.
        status = "rescheduled" if found[1].lower() == "remarcar" else "scheduled"
        meeting = {"id": appointment, "status": status, "starts_at": f"{year}-{month}-{day}T{clock}:00"}
        return Understood(f"Marcado para {day}/{month} às {clock}.", {}, {"meeting": meeting})
    if "cancelar" in text.lower():
        return Understood("Cancelado, sem problema.", {}, {"meeting": {"id": appointment, "status": "cancelled"}})
    if "caro" in text.lower():
        return Understood("Entendo. Sem investimento inicial, vale a pena.", {}, {"objections_raised": ["preço"]})
    if "outro plano" in text.lower():
        # What a model makes of a list: no flow is called so, and the bridge says that it shows it nowhere.
        return Understood("Vou verificar esse plano.", {"chosen_flow": "Opção E"})
    return Understood("Olá! Como você se chama?", {}, {"conversation_stage": "estágio_0_coleta_nome"})


class UnreachableError(Exception):
    """Nobody has WhatsApp at this number."""


class WhatsApp:
    """Where people are; here, the terminal."""

    def __init__(self, unreachable: list[str]) -> None:
        self._unreachable = unreachable

    def send(self, address: str, text: str) -> None:
        if address in self._unreachable:
            raise UnreachableError
        print(f"{address} <- {text}", flush=True)


class Agent:
    """What to say, and when to say nothing."""

    WANTS_A_PERSON = re.compile(r"\b(atendente|humano|pessoa)\b", re.IGNORECASE)

    def __init__(self, bridge: Bridge, whatsapp: WhatsApp) -> None:
        self._bridge, self._whatsapp = bridge, whatsapp
        self._heard: set[str] = set()

    def hear(self, phone: str, text: str, message_id: str, sent_at: str) -> None:
        # Reported as it comes, whether or not we may answer: nothing is lost while a person is talking or we think.
        message = {"id": message_id, "direction": "inbound", "sent_at": sent_at, "text": text}
        known = self._bridge.report(phone, message=message)
        if message_id in self._heard:
            # WhatsApp delivers some twice: the bridge has acted once, and so do we.
            return
        self._heard.add(message_id)
        if self.WANTS_A_PERSON.search(text):
            self._bridge.hand_off(known["lead"]["id"], "quer falar com uma pessoa")
            return
        understood = understand(text, appointment=f"evt-{known['lead']['id']}")
        answer = None
        if self._bridge.may_reply(phone) and self._says(phone, understood.reply):
            answer = {"id": f"{message_id}-reply", "direction": "outbound", "sent_at": now(), "text": understood.reply}
        if answer or understood.lead or understood.context:
            self._bridge.report(phone, message=answer, lead=understood.lead, context=understood.context)

    def _says(self, phone: str, text: str) -> bool:
        """Say it; False when it reached nobody: then it is not reported, for it was no message."""
        try:
            self._whatsapp.send(phone, text)
        except UnreachableError:
            return False
        return True

    def heed(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do what an event of the bridge asks; return what it is answered."""
        data, kind = event["data"], event["type"]
        if kind == "followup.due":
            return self._follow_up(data)
        # Of a person who takes over or gives back we need no memory: `may_reply` is asked before every word.
        print(f"{data['lead']['phone']} -- {kind}: {data.get('reason')}", flush=True)
        return 200, {}

    def _follow_up(self, data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if not data["text"]:
            # Declined: nobody is given up on by what was not said.
            return 200, {"skip": True, "reason": "nothing to say"}
        # The address last written from stands first; WhatsApp may spell it otherwise than the phone.
        roads = [one["value"] for one in data["lead"]["addresses"] if one["kind"] in ("whatsapp", "phone")]
        address = roads[0].partition("@")[0]
        try:
            # Not reported again: the bridge knows what it asked for.
            self._whatsapp.send(address if address.startswith("+") else f"+{address}", data["text"])
        except UnreachableError:
            return 410, {"reason": "invalid_number"}
        return 200, {}


class Events(BaseHTTPRequestHandler):
    """Where the bridge calls: signed, and possibly more than once with the same id."""

    agent: Agent
    verifier: Webhook
    answered: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
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
                status, answer = self.agent.heed(event)
                self.answered[event_id] = status, json.dumps(answer).encode()
                while len(self.answered) > self.REMEMBERED:
                    self.answered.popitem(last=False)
            self._answer(*self.answered[event_id])

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: a phone number does not belong in a log."""


LINE = re.compile(r"(\S+) (?:\[(\S+) (\S+)\] )?(.+)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bridge", required=True, help="the bridge's address")
    parser.add_argument("--key", required=True, help="from manage.py api_key NAME")
    parser.add_argument("--port", type=int, default=9000, help="where the bridge calls (its AGENT_WEBHOOK_URL)")
    parser.add_argument("--secret", required=True, help="the bridge's AGENT_WEBHOOK_SECRET")
    parser.add_argument("--unreachable", nargs="*", default=[], help="numbers that play having no WhatsApp")
    options = parser.parse_args()
    agent = Agent(Bridge(options.bridge, options.key), WhatsApp(options.unreachable))
    Events.agent, Events.verifier = agent, Webhook(options.secret)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Events)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for line in sys.stdin:
        if found := LINE.fullmatch(line.strip()):
            phone, message_id, sent_at, text = found.groups()
            try:
                agent.hear(phone, text, message_id or f"example-{uuid.uuid4()}", sent_at or now())
            except requests.RequestException as error:
                print(f"not reported: {error}", file=sys.stderr)
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
