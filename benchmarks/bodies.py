"""Webhook bodies in the shapes Kommo sends: bracket-form, its older names, everything a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

FORM = "application/x-www-form-urlencoded"


def lead_updated(account_id: int, lead_id: int, observed: Mapping[str, Any], *, at: int, price: int) -> bytes:
    """Return the body Kommo sends when a lead was changed; `observed` is what a card holds (bridge.models.Card)."""
    return _body(account_id, {"leads": {"update": [_lead(account_id, lead_id, observed, at=at, price=price)]}})


def leads_updated(account_id: int, cards: Sequence[tuple[int, Mapping[str, Any]]], *, at: int) -> bytes:
    """Return one body that tells of several leads: Kommo groups what was changed together."""
    leads = [
        _lead(account_id, lead_id, observed, at=at, price=observed.get("price") or 0) for lead_id, observed in cards
    ]
    return _body(account_id, {"leads": {"update": leads}})


def _lead(account_id: int, lead_id: int, observed: Mapping[str, Any], *, at: int, price: int) -> dict[str, Any]:
    return {
        "id": lead_id,
        "name": observed["name"],
        "status_id": observed["status_id"],
        "price": price,
        "responsible_user_id": observed.get("responsible_user_id") or 0,
        "last_modified": at,
        "modified_user_id": 0,
        "created_user_id": observed.get("responsible_user_id") or 0,
        "date_create": at,
        "pipeline_id": observed["pipeline_id"],
        "tags": [{"id": number, "name": name} for number, name in enumerate(observed.get("tags", ()), start=1)],
        "account_id": account_id,
        "custom_fields": [
            {"id": field_id, "name": f"Field {field_id}", "values": [{"value": value}]}
            for field_id, value in observed.get("fields", {}).items()
            if value is not None
        ],
        "created_at": at,
        "updated_at": at,
    }


def message_added(account_id: int, lead_id: int, *, at: int) -> bytes:
    """Return the body Kommo sends for a chat message: nothing in it changes a lead."""
    message = {
        "id": f"0b7f2d6e-0000-4000-8000-{lead_id:012d}",
        "chat_id": f"6cbab3d5-0000-4000-8000-{lead_id:012d}",
        "talk_id": lead_id,
        "contact_id": lead_id + 1,
        "text": "Olá, gostaria de saber mais sobre energia solar",
        "created_at": at,
        "element_type": 2,
        "entity_type": "lead",
        "element_id": lead_id,
        "entity_id": lead_id,
        "type": "incoming",
        "author": {"id": f"e4f1ac0f-0000-4000-8000-{lead_id:012d}", "type": "external", "name": "Maria"},
    }
    return _body(account_id, {"message": {"add": [message]}})


def _body(account_id: int, entities: Mapping[str, Any]) -> bytes:
    subdomain = "sandbox"
    account = {"subdomain": subdomain, "id": account_id, "_links": {"self": f"https://{subdomain}.kommo.com"}}
    return urlencode([*_pairs("account", account), *_pairs("", entities)]).encode()


def _pairs(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    else:
        yield prefix, str(value)
        return
    for key, inner in entries:
        yield from _pairs(f"{prefix}[{key}]" if prefix else str(key), inner)
