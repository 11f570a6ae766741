"""Call every operation of the client that was made in `made/`; an answer that is not described ends with an error."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
from typing import Any

import made.api
from made import AuthenticatedClient, models
from made.types import UNSET

EXAMPLE = {
    "lead": {"phone": "+55 81 99999-0000", "name": "Maria Souza", "bill_value": "R$ 4.500,00"},
    "context": {"objections_raised": ["preço"], "meeting": None},
    "message": {"id": "wamid.1", "direction": "inbound", "text": "Oi"},
}
client = AuthenticatedClient(os.environ["BRIDGE"], os.environ["KEY"], prefix="Api-Key", raise_on_unexpected_status=True)


def operations() -> dict[str, Any]:
    found = {}
    for package in pkgutil.iter_modules(made.api.__path__):
        inside = importlib.import_module(f"made.api.{package.name}")
        for module in pkgutil.iter_modules(inside.__path__):
            found[module.name] = importlib.import_module(f"made.api.{package.name}.{module.name}")
    return found


def body_for(name: str) -> Any:
    one = models.InteractionBody.from_dict(EXAMPLE)
    if name == "record_interactions":
        return [one, models.InteractionBody.from_dict({"lead": {"phone": "12"}})]
    if name == "record_interaction":
        return one
    return UNSET


def main() -> None:
    found = operations()
    recorded = found["record_interaction"].sync(client=client, body=body_for("record_interaction"))
    known: dict[str, Any] = {"lead_id": recorded.lead.id, "phone": "5581999990000"}
    # What erases goes last: the others are about a person who is known.
    for name in sorted(found, key=lambda name: (name.startswith("erase"), name)):
        call = found[name].sync_detailed
        takes = inspect.signature(call).parameters
        given = {one: known[one] for one in takes if one in known}
        body = body_for(name)
        if "body" in takes and body is not UNSET:
            given["body"] = body
        answer = call(client=client, **given)
        read = type(answer.parsed).__name__
        assert answer.status_code < 500, (name, answer)
        assert answer.status_code == 204 or answer.parsed is not None, (name, answer)
        if name == "record_interactions":
            read = "/".join(type(item.body).__name__ for item in answer.parsed)
            assert read == "InteractionAnswer/Problem", read
        print(f"python      {name:<22} {int(answer.status_code)} {read}")


main()
