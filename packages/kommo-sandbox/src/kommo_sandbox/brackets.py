"""PHP's bracket notation, both ways: `filter[id][0]=1` in queries, `leads[add][0][id]=1` in webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote_plus


def parse(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return nested dictionaries of text; `key[]` counts up from 0, a later scalar replaces what was there.

    Lists stay dictionaries (`{"0": "a", "1": "b"}`) because PHP's do; `members` flattens them.
    """
    tree: dict[str, Any] = {}
    for key, value in pairs:
        head, *rest = key.replace("]", "").split("[")
        node, name = tree, head
        for part in rest:
            child = node.get(name)
            if not isinstance(child, dict):
                child = node[name] = {}
            node, name = child, part or str(len(child))
        node[name] = value
    return tree


def members(value: Any) -> list[str]:
    """Return the texts of a repeatable filter: one value, a comma list, or a bracket list."""
    if value is None or value == "":
        return []
    if isinstance(value, dict):
        return [text for item in value.values() for text in members(item)]
    return [part.strip() for part in str(value).split(",") if part.strip()]


def numbers(value: Any) -> set[int]:
    """Return the whole numbers of a repeatable filter; what is not a number is left out."""
    return {int(text) for text in members(value) if text.lstrip("-").isdigit()}


def encode(data: dict[str, Any]) -> str:
    """Return the form body PHP's http_build_query makes: null left out, booleans as 1 and 0, space as `+`."""
    return "&".join(f"{_quote(key)}={_quote(value)}" for key, value in _flatten(data, ""))


def _flatten(data: Any, prefix: str) -> Iterator[tuple[str, str]]:
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        name = f"{prefix}[{key}]" if prefix else str(key)
        if isinstance(value, dict | list):
            yield from _flatten(value, name)
        elif isinstance(value, bool):
            yield name, str(int(value))
        elif value is not None:
            yield name, str(value)


def _quote(text: str) -> str:
    # PHP escapes the tilde, Python does not.
    return quote_plus(text).replace("~", "%7E")
