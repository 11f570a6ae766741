"""How soon a message of the agent's leaves: from its POST to the call that carries it, on real processes.

A messenger on loopback notes when it is called. Samples are spaced at random, so that no phase of the worker's clock
is favoured. Against: half a second.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from benchmarks.figures import Figure, at_most, percentile, told
from benchmarks.harness import Bench, Broken, Progress, wait_until
from bridge.api import keys
from bridge.channels import ways
from bridge.models import ApiKey

SPACED_SECONDS = (0.3, 2.0)
PATIENCE_SECONDS = 30.0


def run(bench: Bench) -> Iterator[Figure]:
    samples = bench.size(100, 15)
    messenger = Messenger()
    ways.establish("waha", "waha", settings={"url": messenger.url, "instance": "default", "api_key": "k"})
    session = requests.Session()
    session.headers["Authorization"] = f"Api-Key {keys.issue(ApiKey(name='benchmark'))}"
    bench.start_web()
    bench.start_worker()
    base = f"{bench.web_url}/api/v1"
    body: dict[str, Any] = {"lead": {"phone": "+5581999990000"}, "message": {"direction": "inbound", "text": "oi"}}
    lead_id = _posted(session, f"{base}/interactions/", body)["lead"]["id"]
    # The first one warms every process up.
    _seconds(session, f"{base}/leads/{lead_id}/messages/", messenger, "warm")
    pauses, progress = random.Random(1), Progress("samples", samples)
    seconds = []
    for number in range(samples):
        time.sleep(pauses.uniform(*SPACED_SECONDS))
        seconds.append(_seconds(session, f"{base}/leads/{lead_id}/messages/", messenger, f"{number}"))
        progress.at(number + 1)
    yield told(
        f"POST to the call that carries it, p50 of {samples} {bench.on}", percentile(seconds, 50), "half a second"
    )
    yield at_most(
        0.5, f"POST to the call that carries it, p95 of {samples} {bench.on}", percentile(seconds, 95), "half a second"
    )
    yield told(f"POST to the call that carries it, worst of {samples} {bench.on}", max(seconds), "half a second")


def _seconds(session: requests.Session, url: str, messenger: Messenger, text: str) -> float:
    started = time.perf_counter()
    _posted(session, url, {"text": text})
    wait_until(lambda: text in messenger.called_at, within_seconds=PATIENCE_SECONDS, what="the messenger's call")
    return messenger.called_at[text] - started


def _posted(session: requests.Session, url: str, body: Any) -> dict[str, Any]:
    answer = session.post(url, json=body, timeout=30)
    if not answer.ok:
        raise Broken(f"the API answered {answer.status_code}: {answer.text[:200]}")
    return dict(answer.json())


class Messenger:
    """Takes every message at once; `called_at`: text -> when it came, by this process' clock."""

    def __init__(self) -> None:
        called_at: dict[str, float] = {}
        self.called_at = called_at

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                at = time.perf_counter()
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                called_at[said["text"]] = at
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
