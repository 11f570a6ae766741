"""The demo's agent, as small as one can be: takes what the bridge sends it, believes nothing unsigned, acts once.

    python bridge/demo/agent.py --port 9000 --secret whsec_…

What would be said on WhatsApp is printed. `GET /heard` tells, by phone, the types of the events that came. A complete
agent is `examples/agent.py`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


class Mailbox:
    """The events that came, each once however often it is sent."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._heard: dict[str, list[str]] = {}

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        """Act on an event. Raises WebhookVerificationError for one that the bridge did not sign."""
        event: dict[str, Any] = self._webhook.verify(body, headers)
        data = event.get("data", {})
        phone = data.get("lead", {}).get("phone") or "?"
        with self._lock:
            if headers["webhook-id"] in self._known:
                return
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
    said = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with server(said.port, Mailbox(said.secret)) as serving:
        serving.serve_forever()


if __name__ == "__main__":
    main()
