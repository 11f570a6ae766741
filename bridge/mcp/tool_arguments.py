"""What a tool was asked: its arguments, held to what it says it takes."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from bridge.models import ApiKey

KINDS: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "number": (int, float)}


class AskedWronglyError(Exception):
    """The arguments are not what the tool takes; the message says which, for whoever asks again."""


class Asked:
    """A call: the key it came with and its arguments. Raises AskedWronglyError."""

    def __init__(
        self, key: ApiKey, takes: Mapping[str, dict[str, Any]], required: tuple[str, ...], arguments: dict[str, Any]
    ) -> None:
        self.key = key
        if unknown := sorted(arguments.keys() - takes.keys()):
            raise AskedWronglyError(f"{unknown[0][:100]} is not taken here; it takes {', '.join(takes)}.")
        # Models fill in what they have no word for.
        self._given = {name: value for name, value in arguments.items() if value is not None}
        if missing := [name for name in required if name not in self._given]:
            raise AskedWronglyError(f"{missing[0]} is needed.")
        for name, value in self._given.items():
            _hold(name, value, takes[name])

    def get(self, name: str, default: Any = None) -> Any:
        return self._given.get(name, default)

    def texts(self, *names: str) -> dict[str, str]:
        return {name: self._given[name] for name in names if name in self._given}


def _hold(name: str, value: Any, schema: Mapping[str, Any]) -> None:
    kind = schema["type"]
    is_one = isinstance(value, KINDS[kind])
    if not is_one or isinstance(value, bool):
        raise AskedWronglyError(f"{name} must be a {kind}.")
    if isinstance(value, str):
        if "\0" in value or len(value.strip()) < schema.get("minLength", 0):
            raise AskedWronglyError(f"{name} is empty or holds what is no text.")
        if len(value) > schema.get("maxLength", 1000):
            raise AskedWronglyError(f"{name} has at most {schema.get('maxLength', 1000)} characters.")
        return
    if not isfinite(value) or not schema["minimum"] <= value <= schema["maximum"]:
        raise AskedWronglyError(f"{name} lies between {schema['minimum']} and {schema['maximum']}.")
