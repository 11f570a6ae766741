"""Evolution, WAHA, Z-API, the Cloud API and Chatwoot, as far as they take messages: one server that speaks them all.

It answers as their documentation and captured answers have it, and fails on demand: `fail(status, body)` answers so,
`lose()` takes the message and drops the connection, so that nobody knows.
"""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Messengers:
    """`spoken`: what reached people, in order; `calls`: every call, with its path, headers and body."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.spoken: list[str] = []
        self.answers: list[Any] = []
        # So long every call takes, in seconds.
        self.slow = 0.0
        self.contacts: list[dict[str, Any]] = [{"id": 7}]
        self.conversations: list[dict[str, Any]] = [{"id": 41, "status": "open", "last_activity_at": 5}]
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        messengers = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                messengers._note(self, None)
                if "/contacts/search" in self.path:
                    self._answer(200, {"payload": messengers.contacts})
                elif self.path.endswith("/conversations"):
                    self._answer(200, {"payload": messengers.conversations})
                else:
                    self._answer(404, {"error": "not found"})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
                messengers._note(self, body)
                time.sleep(messengers.slow)
                failure = messengers._failure()
                if failure is None or failure == "lose":
                    with messengers._lock:
                        messengers.spoken.append(_words(body))
                if failure == "lose":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                elif failure:
                    self._answer(*failure)
                else:
                    self._answer(*messengers._taken(self.path))

            def _answer(self, status: int, body: Any) -> None:
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, status: int, body: Any = None, *, times: int = 1) -> None:
        self.answers += [(status, body if body is not None else {"message": "no"})] * times

    def lose(self) -> None:
        self.answers.append("lose")

    def _failure(self) -> Any:
        with self._lock:
            return self.answers.pop(0) if self.answers else None

    def _note(self, handler: BaseHTTPRequestHandler, body: Any) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            self.calls.append({"method": handler.command, "path": handler.path, "headers": headers, "body": body})

    def _taken(self, path: str) -> tuple[int, Any]:
        number = next(self._ids)
        if path.startswith("/message/sendText/"):
            key = {"remoteJid": "5581999990000@s.whatsapp.net", "fromMe": True, "id": f"EVO{number}"}
            return 201, {"key": key, "status": "PENDING"}
        if path == "/api/sendText":
            return 201, {"id": f"true_5581999990000@c.us_WAHA{number}", "_data": {}}
        if path.endswith("/send-text"):
            return 200, {"zaapId": f"z{number}", "messageId": f"ZAPI{number}", "id": f"ZAPI{number}"}
        if "/conversations/" in path:
            return 200, {"id": 1000 + number, "content": "…", "message_type": 1, "status": "sent"}
        return 200, {"messaging_product": "whatsapp", "messages": [{"id": f"wamid.{number}"}]}


def _words(body: Any) -> str:
    """Return what a person would read."""
    message = body if isinstance(body, dict) else {}
    if isinstance(message.get("template"), dict):
        return f"[{message['template']['name']}]"
    text = message.get("text") or message.get("message") or message.get("content") or ""
    return str(text["body"] if isinstance(text, dict) else text)
