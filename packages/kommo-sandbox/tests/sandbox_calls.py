"""A client that asserts nothing, a listener for webhooks, and the ids of the reference account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from kommo_sandbox import brackets
from kommo_sandbox.server import SandboxServer

NEW, QUALIFYING, QUALIFIED, MEETING, HUMAN = 89709459, 89709463, 89709467, 89709595, 90421387
BILL, SOLUTION, LINK, WHATSAPP = 392804, 392808, 395520, 392802


def eventually(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """Return the first true value of `condition`; fail when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)
    return value


class Api:
    """Calls the sandbox's Kommo with a token, and its control API as staff."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.url = server.url
        self.session = requests.Session()
        self.session.headers["Authorization"] = "Bearer sandbox-token"

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        more.setdefault("timeout", 10)
        return self.session.request(method, f"{self.url}/api/v4/{path}", json=body, **more)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.call("POST", path, body)

    def patch(self, path: str, body: Any) -> requests.Response:
        return self.call("PATCH", path, body)

    def delete(self, path: str, body: Any = None) -> requests.Response:
        return self.call("DELETE", path, body)

    def control(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{self.url}/_sandbox/{path}", json=body, timeout=10)

    def staff(self, path: str, body: Any = None) -> Any:
        """Act through the control API and return what it answers."""
        answer = self.control("POST", path, {} if body is None else body)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def options(self, **options: Any) -> None:
        self.staff("options", options)

    def fault(self, mode: str, **more: Any) -> None:
        self.staff("faults", {"mode": mode, **more})

    def journal(self) -> list[dict[str, Any]]:
        return list(self.control("GET", "journal").json()["entries"])

    def state(self, lead_id: int) -> Any:
        return self.control("GET", f"leads/{lead_id}").json()

    # --- Short forms

    def create(self, name: str = "Maria", **more: Any) -> int:
        answer = self.post("leads", [{"name": name, **more}])
        assert answer.status_code == 200, answer.text
        return int(answer.json()["_embedded"]["leads"][0]["id"])

    def contact(self, phone: str = "+5581999990000", name: str = "Maria Souza") -> int:
        fields = [{"field_code": "PHONE", "values": [{"value": phone, "enum_code": "MOB"}]}]
        answer = self.post("contacts", [{"name": name, "custom_fields_values": fields}])
        assert answer.status_code == 200, answer.text
        return int(answer.json()["_embedded"]["contacts"][0]["id"])

    def lead(self, lead_id: int, **params: Any) -> Any:
        return self.get(f"leads/{lead_id}", **params).json()

    def leads(self, **params: Any) -> list[Any]:
        answer = self.get("leads", **params)
        return [] if answer.status_code == 204 else list(answer.json()["_embedded"]["leads"])

    def events(self, **params: Any) -> list[Any]:
        answer = self.get("events", **params)
        return [] if answer.status_code == 204 else list(answer.json()["_embedded"]["events"])


def errors_of(answer: requests.Response, request_id: str = "0") -> list[tuple[str, str]]:
    """Return (path, code) of the errors of one item of a refused batch."""
    assert answer.status_code == 400, answer.text
    by_id = {error["request_id"]: error["errors"] for error in answer.json()["validation-errors"]}
    return [(error["path"], error["code"]) for error in by_id.get(request_id, [])]


class Listener:
    """A destination for webhooks: keeps what it got, answers what it is told to."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                listener.bodies.append(body)
                listener.headers.append(dict(self.headers))
                self.send_response(listener.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/kommo/secret/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def parsed(self) -> list[dict[str, Any]]:
        from urllib.parse import parse_qsl

        return [brackets.parse(parse_qsl(body, keep_blank_values=True)) for body in list(self.bodies)]

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        eventually(lambda: len(self.bodies) >= count)
        return self.parsed()
