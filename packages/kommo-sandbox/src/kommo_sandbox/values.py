"""Values of custom fields: what each type accepts, and how it is shown again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from kommo_sandbox import forms
from kommo_sandbox.answers import Json
from kommo_sandbox.calls import Call
from kommo_sandbox.entities import Entity, Enum, Field
from kommo_sandbox.options import members
from kommo_sandbox.store import Store
from kommo_sandbox.validation import Errors

# Field id -> its new values, None to clear.
Values = dict[int, list[Json] | None]


def read(call: Call, kind: str, given: Any, errors: Errors) -> Values:
    """Return the values a client sends in `custom_fields_values`, noting what Kommo would refuse."""
    read_values: Values = {}
    if given is None:
        return read_values
    if not isinstance(given, list):
        errors.wrong_type("custom_fields_values", "array")
        return read_values
    for index, item in enumerate(given):
        path = f"custom_fields_values.{index}"
        if not isinstance(item, dict):
            errors.wrong_type(path, "object")
            continue
        named = "field_id" if item.get("field_id") is not None else "field_code"
        if item.get(named) is None:
            errors.add("FieldMissing", f"{path}.field_id")
            continue
        if named == "field_id" and not errors.integer(item["field_id"], f"{path}.field_id"):
            continue
        field = call.store.field(kind, field_id=item.get("field_id"), code=item.get("field_code"))
        if field is None:
            errors.add("NotSupportedChoice", f"{path}.{named}")
            continue
        if "values" not in item or item["values"] == []:
            errors.add("FieldMissing", f"{path}.values")
            continue
        read_values[field.id] = _values_of(call, field, item["values"], f"{path}.values", errors)
    return read_values


def show(store: Store, entity: Entity) -> list[Json] | None:
    """Return an entity's filled fields as the API lists them; None when nothing is filled."""
    definitions = store.fields[entity.kind]
    shown = [
        {
            "field_id": field_id,
            "field_name": definitions[field_id].name,
            "field_code": definitions[field_id].code,
            "field_type": definitions[field_id].type,
            "values": values,
        }
        for field_id, values in entity.values.items()
    ]
    return shown or None


def show_in_hook(store: Store, entity: Entity) -> list[Json]:
    """Return an entity's filled fields in the old naming of webhooks; dates are bare scalars there."""
    shown: list[Json] = []
    for field_id, values in entity.values.items():
        field = store.fields[entity.kind][field_id]
        item: Json = {"id": field_id, "name": field.name}
        if field.code:
            item["code"] = field.code
        if field.type in DATES:
            item["values"] = [value["value"] for value in values]
        else:
            item["values"] = [
                {"value": value["value"], "enum": value.get("enum_id")}
                if value.get("enum_id")
                else {"value": value["value"]}
                for value in values
            ]
        shown.append(item)
    return shown


def _values_of(call: Call, field: Field, given: Any, path: str, errors: Errors) -> list[Json] | None:
    if given is None:
        return None
    if not isinstance(given, list):
        errors.wrong_type(path, "array")
        return None
    single = field.type not in SEVERAL
    if single and len(given) > 1:
        errors.add("FieldNotExpected", f"{path}.1")
        return None
    read_one = READERS.get(field.type, _raw)
    found: list[Json] = []
    for index, item in enumerate(given):
        if not isinstance(item, dict):
            errors.wrong_type(f"{path}.{index}", "object")
        elif (value := read_one(call, field, item, f"{path}.{index}", errors)) is not None:
            found.append(value)
    return found


def _required(item: Json, path: str, errors: Errors) -> bool:
    if item.get("value") is None:
        errors.add("FieldMissing", f"{path}.value")
        return False
    return True


def _text(call: Call, field: Field, item: Json, path: str, errors: Errors) -> Json | None:
    if not (_required(item, path, errors) and errors.text(item["value"], f"{path}.value")):
        return None
    if too_long := forms.too_long(call, field.type, item["value"]):
        errors.add("TooLong", f"{path}.value", too_long)
        return None
    kept = forms.text(call.options, item["value"], one_line=field.type != "textarea")
    return {"value": kept} if kept else None


def _url(call: Call, field: Field, item: Json, path: str, errors: Errors) -> Json | None:
    value = _text(call, field, item, path, errors)
    if value is None:
        return None
    text = value["value"]
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        host = ""
    bare = call.options.strict_links and "://" not in text and not call.by_hand
    if bare or any(character.isspace() for character in text) or ("." not in host and host != "localhost"):
        errors.add("InvalidType", f"{path}.value", "This value is not a valid URL.")
        return None
    return value


def _number(call: Call, field: Field, item: Json, path: str, errors: Errors) -> Json | None:
    if not _required(item, path, errors):
        return None
    value = item["value"]
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        float(value)
    except ValueError:
        errors.wrong_type(f"{path}.value", "numeric")
        return None
    # Kommo gives numbers back as text.
    as_text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return {"value": forms.number(call.options, field.type, as_text)}


def _checkbox(call: Call, field: Field, item: Json, path: str, errors: Errors) -> Json | None:
    if not _required(item, path, errors):
        return None
    if not isinstance(item["value"], bool):
        errors.wrong_type(f"{path}.value", "bool")
        return None
    if call.options.unticked_as_empty and not item["value"]:
        return None
    return {"value": item["value"]}


def _choice(call: Call, field: Field, item: Json, path: str, errors: Errors) -> Json | None:
    enum: Enum | None
    if item.get("enum_id") is not None:
        if not errors.integer(item["enum_id"], f"{path}.enum_id"):
            return None
        named, enum = "enum_id", field.enums.get(item["enum_id"])
    elif item.get("enum_code") is not None:
        named = "enum_code"
        enum = next((e for e in field.enums.values() if e.code == item["enum_code"]), None)
    elif item.get("value") is not None:
        named = "value"
        enum = next((e for e in field.enums.values() if e.value == item["value"]), None)
    else:
        errors.add("FieldMissing", f"{path}.value")
        return None
    if enum is None:
        errors.add("NotSupportedChoice", f"{path}.{named}")
        return None
    return {"value": enum.value, "enum_id": enum.id, "enum_code": enum.code}


def _multitext(call: Call, field: Field, item: Json, path: str, errors: Errors) -> Json | None:
    value = _text(call, field, item, path, errors)
    if value is None:
        return None
    code, enum_id = item.get("enum_code"), item.get("enum_id")
    matching = (
        enum
        for enum in field.enums.values()
        if (enum.id == enum_id if enum_id is not None else enum.code == (code or "WORK"))
    )
    enum = next(matching, None)
    if enum is None or (field.code == "PHONE" and enum.code in members(call.options.missing_phone_kinds)):
        errors.add("NotSupportedChoice", f"{path}.{'enum_id' if enum_id is not None else 'enum_code'}")
        return None
    return {**value, "enum_id": enum.id, "enum_code": enum.code}


def _date(call: Call, field: Field, item: Json, path: str, errors: Errors) -> Json | None:
    if not _required(item, path, errors):
        return None
    value = item["value"]
    if isinstance(value, int) and not isinstance(value, bool):
        return {"value": forms.moment(call.options, field.type, value)}
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        errors.wrong_type(f"{path}.value", "date")
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return {"value": forms.moment(call.options, field.type, int(moment.timestamp()))}


def _raw(call: Call, field: Field, item: Json, path: str, errors: Errors) -> Json | None:
    return dict(item)


DATES = {"date", "date_time", "birthday"}
SEVERAL = {"multiselect", "multitext", "smart_address", "chained_list", "items", "linked_entity"}

READERS: dict[str, Callable[[Call, Field, Json, str, Errors], Json | None]] = {
    **dict.fromkeys(("text", "textarea", "streetaddress", "tracking_data"), _text),
    **dict.fromkeys(("numeric", "price", "monetary"), _number),
    **dict.fromkeys(("select", "multiselect", "radiobutton", "category"), _choice),
    **dict.fromkeys(DATES, _date),
    "url": _url,
    "checkbox": _checkbox,
    "multitext": _multitext,
}
