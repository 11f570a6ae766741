"""What a tester sends to the control API, and what comes back."""

from __future__ import annotations

from typing import Any

from kommo_sandbox.answers import Answer, Refusal
from kommo_sandbox.calls import Call

JSON_TYPE = "application/json"


def answer(body: Any, status: int = 200) -> Answer:
    return Answer(body, status, JSON_TYPE)


def text_of(call: Call, name: str) -> str:
    value = call.body.get(name) if isinstance(call.body, dict) else None
    if not isinstance(value, str) or not value:
        raise Refusal.control(f"{name} is missing", f'send {{"{name}": "…"}}')
    return value
