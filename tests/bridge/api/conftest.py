from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from bridge.api import api_keys
from bridge.models import ApiKey


class Agent:
    """An agent with a key, speaking JSON."""

    def __init__(self, key: str) -> None:
        self._client = Client(raise_request_exception=False)
        self._headers = {"authorization": f"Api-Key {key}"}

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self._client.post(
            f"/api/v1/{path}", raw, content_type="application/json", headers=self._headers | headers
        )

    def get(self, path: str, **query: str) -> Any:
        return self._client.get(f"/api/v1/{path}", query, headers=self._headers)

    def delete(self, path: str) -> Any:
        return self._client.delete(f"/api/v1/{path}", headers=self._headers)

    def says(
        self, phone: str = "+5581999990000", message: dict[str, Any] | None = None, context: Any = None, **lead: Any
    ) -> Any:
        body: dict[str, Any] = {"lead": {"phone": phone, **lead}}
        if message:
            body["message"] = message
        if context:
            body["context"] = context
        return self.post("interactions/", body)


@pytest.fixture
def agent(pipeline: Any) -> Agent:
    # Keys of rolled-back tests share their ids, and so would their counted calls.
    cache.clear()
    return Agent(api_keys.issue(ApiKey(name="agent")))
