from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from bridge.api import api_keys
from bridge.models import ApiKey

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Model:
    """A model with a key, speaking the protocol: as it was until 2025, or standing alone as since 2026."""

    def __init__(self, key: str, *, scheme: str = "Bearer") -> None:
        self._client = Client(raise_request_exception=False)
        self._authorization = f"{scheme} {key}"
        self.stands_alone = False

    def post(self, body: Any, path: str = "/mcp/", **headers: str) -> Any:
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        headers = {"authorization": self._authorization, **headers}
        return self._client.post(path, raw, content_type="application/json", headers=headers)

    def ask(self, method: str, **params: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers: dict[str, str] = {}
        if self.stands_alone:
            message["params"] = params | {"_meta": META}
            headers = {"mcp-protocol-version": MODERN, "mcp-method": method}
            if "name" in params:
                headers["mcp-name"] = params["name"]
        return self.post(message, **headers)

    def call(self, name: str, **arguments: Any) -> Any:
        """Return what a tool answers: its data, or the text that says what is wrong."""
        answer = self.ask("tools/call", name=name, arguments=arguments).json()
        result = answer["result"]
        assert (
            json.loads(result["content"][0]["text"]) == result["structuredContent"] if not result["isError"] else True
        )
        return result["content"][0]["text"] if result["isError"] else result["structuredContent"]


def model_with(**key: Any) -> Model:
    cache.clear()
    return Model(api_keys.issue(ApiKey(name=f"model {key}", **key)))


@pytest.fixture
def model(pipeline: Any) -> Model:
    return model_with()


@pytest.fixture
def acting(pipeline: Any) -> Model:
    return model_with(may_act=True)
