"""How soon messages get through, on real processes: a lead's to the agent, and the agent's to who carries it.

From a message in Kommo's chat until `message.received` reaches the agent, less the pause in which further bubbles are
waited for; against one second. From the agent's POST until the messenger is called; against half a second. Agent and
messenger stand on loopback and note when they are called. Samples are spaced at random, so that no phase of the
worker's clock is favoured.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from benchmarks import cards
from benchmarks.figures import Figure, at_most, percentile, shown
from benchmarks.harness import Bench, Broken, Progress, wait_until
from bridge.api import api_keys
from bridge.channels import managing_channels
from bridge.models import ApiKey
from leads.models import Pipeline

SPACED_SECONDS = (0.3, 1.0)
PATIENCE_SECONDS = 30.0
# Long enough that the clock's grain tells, short enough for a hundred samples.
PAUSE_SECONDS = 2
# So many people write by turns: of each the last message is told long before they write again.
PEOPLE = 10


def run(bench: Bench) -> Iterator[Figure]:
    samples = bench.size(100, 15)
    agent, messenger = Listener(_bubbles), Listener(lambda message: [message["text"]])
    bench.environment |= {
        "AGENT_WEBHOOK_URL": agent.url,
        "AGENT_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "AGENT_DEBOUNCE_SECONDS": str(PAUSE_SECONDS),
    }
    account = cards.connect(bench)
    cards.adjust(bench, account, requests_per_second=cards.KOMMO_CEILING)
    Pipeline.objects.filter(slug="solar").update(conversations=Pipeline.Conversations.KOMMO)
    managing_channels.establish("waha", "waha", settings={"url": messenger.url, "instance": "default", "api_key": "k"})
    session = requests.Session()
    session.headers["Authorization"] = f"Api-Key {api_keys.issue(ApiKey(name='benchmark'))}"
    bench.start_web()
    bench.manage("kommo_connect", "--webhook-url", bench.web_url)
    bench.start_worker()
    yield from _heard(bench, agent, samples)
    yield from _said(bench, session, messenger, samples)


def _heard(bench: Bench, agent: Listener, samples: int) -> Iterator[Figure]:
    chats = Chats(bench)
    # Everybody's first message warms all processes up, and lets each be known.
    for number in range(PEOPLE):
        chats.write(number, f"warm {number}")
    wait_until(lambda: len(agent.called_at) == PEOPLE, within_seconds=PATIENCE_SECONDS, what="the first events")
    pauses, progress, written_at = random.Random(1), Progress("messages in Kommo", samples), {}
    for number in range(samples):
        time.sleep(pauses.uniform(*SPACED_SECONDS))
        written_at[f"in {number}"] = time.perf_counter()
        chats.write(number % PEOPLE, f"in {number}")
        progress.at(number + 1)
    wait_until(lambda: written_at.keys() <= agent.called_at.keys(), within_seconds=PATIENCE_SECONDS, what="all events")
    seconds = [agent.called_at[text] - at - PAUSE_SECONDS for text, at in written_at.items()]
    yield from _figures("message in Kommo to the agent, less the pause", seconds, 1, "one second", bench)


def _said(bench: Bench, session: requests.Session, messenger: Listener, samples: int) -> Iterator[Figure]:
    base = f"{bench.web_url}/api/v1"
    body: dict[str, Any] = {"lead": {"phone": "+5581999990000"}, "message": {"direction": "inbound", "text": "oi"}}
    lead_id = _posted(session, f"{base}/interactions/", body)["lead"]["id"]

    def say(text: str) -> float:
        started = time.perf_counter()
        _posted(session, f"{base}/leads/{lead_id}/messages/", {"text": text})
        wait_until(lambda: text in messenger.called_at, within_seconds=PATIENCE_SECONDS, what="the messenger's call")
        return messenger.called_at[text] - started

    say("warm")
    pauses, progress, seconds = random.Random(1), Progress("messages of the agent", samples), []
    for number in range(samples):
        time.sleep(pauses.uniform(*SPACED_SECONDS))
        seconds.append(say(f"out {number}"))
        progress.at(number + 1)
    yield from _figures("POST to the call that carries it", seconds, 0.5, "half a second", bench)


def _figures(what: str, seconds: list[float], bound: float, yardstick: str, bench: Bench) -> Iterator[Figure]:
    many = f"of {len(seconds)} {bench.on}"
    yield shown(f"{what}, p50 {many}", percentile(seconds, 50), yardstick)
    yield at_most(bound, f"{what}, p95 {many}", percentile(seconds, 95), yardstick)
    yield shown(f"{what}, worst {many}", max(seconds), yardstick)


def _bubbles(event: dict[str, Any]) -> list[str]:
    return [message["text"] for message in event["data"].get("messages", ())]


class Chats:
    """People who write in the sandbox's chats."""

    def __init__(self, bench: Bench) -> None:
        self._url = f"{bench.sandbox_url}/_sandbox/leads"
        made = [self._post("", {"name": f"Pessoa {number}", "phone": cards.phone(number)}) for number in range(PEOPLE)]
        self._ids = [int(contact["id"]) for contact in made]

    def write(self, person: int, text: str) -> None:
        self._post(f"/{self._ids[person]}/message", {"direction": "incoming", "text": text})

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = requests.post(f"{self._url}{path}", json=body, timeout=30)
        answer.raise_for_status()
        return dict(answer.json())


def _posted(session: requests.Session, url: str, body: Any) -> dict[str, Any]:
    answer = session.post(url, json=body, timeout=30)
    if not answer.ok:
        raise Broken(f"the API answered {answer.status_code}: {answer.text[:200]}")
    return dict(answer.json())


class Listener:
    """Takes every call at once; `called_at`: each text of it -> when it came first, by this process' clock."""

    def __init__(self, texts_of: Callable[[Any], list[str]]) -> None:
        called_at: dict[str, float] = {}
        self.called_at = called_at

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                at = time.perf_counter()
                for text in texts_of(json.loads(self.rfile.read(int(self.headers["Content-Length"])))):
                    called_at.setdefault(text, at)
                data = json.dumps({"id": f"true_5581999990000@c.us_{len(called_at)}"}).encode()
                self.send_response(201)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
