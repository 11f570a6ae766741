"""A bridge in memory, for the tests of an agent: it notes what was reported and answers as it is told.

bridge, fake = fake_bridge()
my_agent(bridge).on_message("oi")
assert fake.reports[0]["message"]["text"] == "oi"
fake.pause("Ana has this lead")
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
from standardwebhooks import Webhook

from kommo_bridge_client.client import AsyncBridge, Bridge

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class FakeBridge:
    """`reports`: every interaction that was taken. `sent`: messages. `answers`: statuses for the next calls instead."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str]] = []
        self.answers: list[int | Exception] = []
        self.stage = "new"
        self._paused: str | None = None
        self._known: dict[str, str] = {}

    def pause(self, reason: str) -> None:
        self._paused = reason

    def resume(self) -> None:
        self._paused = None

    @property
    def agent(self) -> dict[str, Any]:
        return {"may_reply": self._paused is None, "reason": self._paused, "since": None}

    def event(self, event_type: str, data: dict[str, Any], *, id: str = "msg_1") -> tuple[dict[str, str], bytes]:
        """Return headers and body of a signed event, for `Events(SECRET)`."""
        now = datetime.now(UTC)
        body = json.dumps({"type": event_type, "timestamp": now.isoformat(), "data": data})
        signature = Webhook(SECRET).sign(id, now, body)
        headers = {"webhook-id": id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
        return headers, body.encode()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append((request.method, request.url.path))
        if self.answers:
            instead = self.answers.pop(0)
            if isinstance(instead, Exception):
                raise instead
            if instead >= 300:
                return httpx.Response(instead, json={"status": instead, "detail": "as the test asked"})
        path = request.url.path.removeprefix("/api/v1/")
        body: Any = json.loads(request.content) if request.content else None
        if path == "interactions/":
            return self._take(body, request.headers.get("Idempotency-Key"))
        if path == "interactions/batch/":
            taken = [self._take(report, None) for report in body]
            return httpx.Response(
                207, json=[{"status": response.status_code, "body": response.json()} for response in taken]
            )
        if path == "agent/may-reply/":
            return httpx.Response(200, json=self.agent)
        if path.endswith("handoff/"):
            self._paused = (body or {}).get("reason") if request.method == "POST" else None
            return httpx.Response(200, json=self.agent)
        if path.endswith("messages/") and request.method == "POST":
            if self._paused is not None:
                return httpx.Response(409, json={"code": "may_not_reply", "detail": self._paused})
            self.sent.append(body)
            return httpx.Response(202, json={"id": f"m{len(self.sent)}", "state": "queued", **body})
        if path.endswith(("opt-out/", "personal-data/")):
            return httpx.Response(204)
        return httpx.Response(404, json={"detail": "the fake bridge has nothing there"})

    def _take(self, body: dict[str, Any], key: str | None) -> httpx.Response:
        lead = body["lead"]
        key = key or (body.get("message") or {}).get("id")
        text = json.dumps(body, sort_keys=True)
        if key and self._known.setdefault(key, text) != text:
            return httpx.Response(409, json={"detail": "This idempotency key was used with another body."})
        who = _person(lead)
        is_new = not any(_person(report["lead"]) == who for report in self.reports)
        self.reports.append(body)
        answer = {
            "lead": {
                "id": str(uuid5(NAMESPACE_URL, who)),
                "phone": lead.get("phone"),
                "stage": self.stage,
                "sync": "pending",
            },
            "decision": {"stage": self.stage, "changed": False, "reason": "the fake bridge decides nothing"},
            "agent": self.agent,
            "followup": {"state": "none", "next_at": None, "step": None},
            "ignored": [],
        }
        return httpx.Response(201 if is_new else 200, json=answer)


def _person(lead: dict[str, Any]) -> str:
    return lead.get("phone") or json.dumps(lead.get("addresses"))


def fake_bridge(*, sleep: Callable[[float], None] = lambda seconds: None) -> tuple[Bridge, FakeBridge]:
    fake = FakeBridge()
    return Bridge("http://bridge.test", "kb_test", transport=httpx.MockTransport(fake), sleep=sleep), fake


def fake_async_bridge() -> tuple[AsyncBridge, FakeBridge]:
    fake = FakeBridge()

    async def at_once(seconds: float) -> None:
        pass

    return AsyncBridge("http://bridge.test", "kb_test", transport=httpx.MockTransport(fake), sleep=at_once), fake
