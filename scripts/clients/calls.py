"""Make every call of calls.json with the client that was made in `made/`, and end with an error when one goes wrong.

Wrong is: another status than expected, an answer that is described and not read, an operation made and not called.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import sys
import typing
from pathlib import Path
from typing import Any

import made.api
from made import AuthenticatedClient

PHONE = "+5581999990000"
CALLS = json.loads(Path(__file__).with_name("calls.json").read_text(encoding="utf-8").replace("PHONE", PHONE))
client = AuthenticatedClient(os.environ["BRIDGE"], os.environ["KEY"], prefix="Api-Key", raise_on_unexpected_status=True)


def operations() -> dict[str, Any]:
    found = {}
    for package in pkgutil.iter_modules(made.api.__path__):
        inside = importlib.import_module(f"made.api.{package.name}")
        for module in pkgutil.iter_modules(inside.__path__):
            found[module.name] = importlib.import_module(f"made.api.{package.name}.{module.name}")
    return found


def body_of(module: Any, body: Any) -> Any:
    """Return what the call takes for a body: a model, or a list of them."""
    taken = typing.get_type_hints(module.sync_detailed)["body"]
    [model, *_] = [candidate for candidate in _models(taken) if hasattr(candidate, "from_dict")]
    return [model.from_dict(part) for part in body] if isinstance(body, list) else model.from_dict(body)


def _models(hint: Any) -> list[Any]:
    inner = typing.get_args(hint)
    return [found for annotation in inner for found in _models(annotation)] if inner else [hint]


def main() -> None:
    found = operations()
    if missing := found.keys() ^ {call["operation"] for call in CALLS}:
        sys.exit(f"not in both the document and calls.json: {sorted(missing)}")
    known: dict[str, Any] = {}
    for call in CALLS:
        name, module = call["operation"], found[call["operation"]]
        given = {
            parameter: known[parameter]
            for parameter in inspect.signature(module.sync_detailed).parameters
            if parameter in known
        }
        given |= call.get("query", {})
        if "body" in call:
            given["body"] = body_of(module, call["body"])
        answer = module.sync_detailed(client=client, **given)
        if answer.status_code != call["status"]:
            sys.exit(f"{name}: {answer.status_code}, and not {call['status']}: {answer.content!r}")
        assert answer.status_code == 204 or answer.parsed is not None, (name, answer)
        for kept, path in call.get("keep", {}).items():
            value = answer.parsed
            for step in path:
                value = getattr(value, step)
            known[kept] = value
        read = type(answer.parsed).__name__
        if name == "record_interactions":
            read = "/".join(type(item.body).__name__ for item in answer.parsed)
            assert read == "InteractionAnswer/Problem", read
        print(f"python      {name:<22} {int(answer.status_code)} {read}")


main()
