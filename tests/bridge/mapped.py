"""Facts mapped to a field of every type, made in the sandbox and bound, and what a card shows of them."""

from __future__ import annotations

from typing import Any

import requests
from django.utils import timezone

from bridge.accounts import catalogue
from bridge.accounts.connection import client_for
from bridge.configuration.connecting import Connection
from bridge.inbound.reconciliation import Comparison
from bridge.models import Account
from kommo_sandbox.staff import Kommo
from leads.models import FieldMapping, Pipeline

TYPES = (
    "text",
    "textarea",
    "url",
    "numeric",
    "monetary",
    "checkbox",
    "date",
    "date_time",
    "select",
    "multiselect",
)
OPTIONS = {"Piscina": "Tem piscina", "Bateria": "Bateria", "Carro elétrico": "Carro"}


def map_every_type(pipeline: Pipeline, kommo: Kommo, account: Account) -> dict[str, int]:
    """Map `custom.<type>` to a field of that type; return type -> field id."""
    for type_ in TYPES:
        options = OPTIONS if "select" in type_ else {}
        FieldMapping.objects.create(
            pipeline=pipeline, attribute=f"custom.{type_}", kommo_field=f"Um {type_}", type=type_, options=options
        )
    pipeline.rules_changed()
    Connection(account, client_for(account), create_missing=True, now=timezone.now()).connect(None)
    account.refresh_from_db()
    pipeline.refresh_from_db()
    rows = FieldMapping.objects.filter(pipeline=pipeline, attribute__startswith="custom.")
    return {row.type: row.kommo_field_id for row in rows if row.type in TYPES and row.kommo_field_id}


def options_of(account: Account, field_id: int) -> dict[str, int]:
    """Return the options of a field in Kommo, name -> id."""
    copy = catalogue.stored(account)
    assert copy is not None
    [field] = [lead_field for lead_field in copy.lead_fields if lead_field["id"] == field_id]
    return {option["value"]: option["id"] for option in field["enums"]}


def shown(kommo: Kommo, kommo_id: int, field_id: int) -> Any:
    """Return the values of a field as Kommo holds them; None when it is empty."""
    fields = kommo.lead(kommo_id)["custom_fields_values"] or []
    return next((field["values"] for field in fields if field["field_id"] == field_id), None)


def type_in(kommo: Kommo, kommo_id: int, field_id: int, *values: dict[str, Any] | None) -> None:
    """Let staff fill in a field; None empties it."""
    given = None if values == (None,) else list(values)
    body = {"custom_fields_values": [{"field_id": field_id, "values": given}]}
    answer = requests.post(f"{kommo.url}/_sandbox/leads/{kommo_id}/edit", json=body, timeout=10)
    assert answer.ok, answer.text


def read_back(account: Account) -> None:
    """Read what Kommo holds, as the poll does."""
    account.refresh_from_db()
    Comparison(account, client_for(account), catalogue.stored(account), "poll").changed_since()
