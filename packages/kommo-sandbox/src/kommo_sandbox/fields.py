"""Definitions of custom fields, and their options."""

from __future__ import annotations

from typing import Any

from kommo_sandbox import brackets
from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import Enum, Field
from kommo_sandbox.options import members
from kommo_sandbox.validation import Errors, items_of, object_of

# Multitext, price, category and items exist on other entities alone.
FIELD_TYPES = {
    "text",
    "numeric",
    "checkbox",
    "select",
    "multiselect",
    "multitext",
    "date",
    "url",
    "textarea",
    "radiobutton",
    "streetaddress",
    "smart_address",
    "birthday",
    "legal_entity",
    "date_time",
    "price",
    "category",
    "items",
    "tracking_data",
    "linked_entity",
    "monetary",
    "chained_list",
    "file",
    "payer",
    "supplier",
    "org_legal_name",
}
NOT_ON_LEADS = {"multitext", "price", "category", "items"}
WITH_ENUMS = {"select", "multiselect", "radiobutton"}


def show_field(call: Call, field: Field) -> Json:
    enums: Json | list[Json] | None = None
    if field.enums:
        missing = members(call.options.missing_phone_kinds) if field.code == "PHONE" else []
        in_order = sorted(field.enums.values(), key=lambda enum: (enum.sort, enum.id))
        in_order = [enum for enum in in_order if enum.code not in missing]
        enums = [{"id": e.id, "value": e.value, "sort": e.sort, "code": e.code} for e in in_order]
        if call.options.enums_as_object:
            enums = {str(place): enum for place, enum in enumerate(enums)}
    return {
        "id": field.id,
        "name": field.name,
        "type": field.type,
        "account_id": call.store.account_id,
        "code": field.code,
        "sort": field.sort,
        "is_api_only": field.is_api_only,
        "enums": enums,
        "group_id": None,
        "required_statuses": field.required_statuses,
        "hidden_statuses": [],
        "is_deletable": not field.is_predefined,
        "is_predefined": field.is_predefined,
        "entity_type": field.entity_type,
        "tracking_callback": None,
        "remind": None,
        "triggers": [],
        "currency": field.currency,
        "_links": call.link(f"/api/v4/{field.entity_type}/custom_fields/{field.id}"),
    }


def list_fields(call: Call, kind: str) -> Answer:
    definitions = call.store.fields[kind].values()
    types = set(brackets.members(call.filter("type")))
    found = [field for field in definitions if not types or field.type in types]
    found.sort(key=lambda field: (field.sort, field.id))
    return call.page(found, "custom_fields", lambda field: show_field(call, field), _total_items=len(found))


def get_field(call: Call, kind: str, field_id: int) -> Answer:
    field = call.store.fields[kind].get(field_id)
    return Answer(show_field(call, field)) if field else nothing()


def add_fields(call: Call, kind: str) -> Answer:
    call.require_admin()

    def check(item: Json, errors: Errors) -> Json:
        for name in ("name", "type"):
            if item.get(name) is None:
                errors.add("FieldMissing", name)
        if item.get("name") is not None:
            errors.text(item["name"], "name")
        type_ = item.get("type")
        if type_ is not None and (type_ not in FIELD_TYPES or (kind == "leads" and type_ in NOT_ON_LEADS)):
            errors.add("NotSupportedChoice", "type")
        if type_ in WITH_ENUMS and not item.get("enums"):
            errors.add("FieldMissing", "enums")
        _check_field(item, errors)
        if item.get("code") and call.store.field(kind, code=item["code"]):
            errors.add("NotSupportedChoice", "code")
        return item

    def apply(item: Json, request_id: str) -> Json:
        return {**show_field(call, _new_field(call, kind, item)), "request_id": request_id}

    made = call.batch(items_of(call.body), check, apply)
    return Answer({"_total_items": len(made), "_links": call.link(call.path), "_embedded": {"custom_fields": made}})


def update_fields(call: Call, kind: str) -> Answer:
    call.require_admin()

    def check(item: Json, errors: Errors) -> Json:
        if item.get("id") not in call.store.fields[kind]:
            errors.add("NotSupportedChoice", "id")
        _check_field(item, errors)
        return item

    changed = call.batch(items_of(call.body), check, lambda item, _: _change_field(call, kind, item["id"], item))
    return Answer(
        {
            "_total_items": len(changed),
            "_links": call.link(call.path),
            "_embedded": {"custom_fields": changed},
        }
    )


def update_field(call: Call, kind: str, field_id: int) -> Answer:
    call.require_admin()
    item = object_of(call.body)
    if field_id not in call.store.fields[kind]:
        raise Refusal.problem(404, "Custom field not found")
    errors = Errors()
    _check_field(item, errors)
    if errors:
        raise Refusal.validation([{"request_id": "0", "errors": errors.found}])
    return Answer(_change_field(call, kind, field_id, item))


def delete_field(call: Call, kind: str, field_id: int) -> Answer:
    call.require_admin()
    field = call.store.fields[kind].get(field_id)
    if field is None:
        raise Refusal.problem(404, "Custom field not found")
    table: Any = call.store.table(kind)
    for entity in table.by_id.values():
        table.set_values(entity, field_id, None)
    del call.store.fields[kind][field_id]
    call.store.version += 1
    return nothing()


def remove_enum(call: Call, field: Field, enum_id: int) -> None:
    """Delete an option; the values that held it are lost, and nobody is told."""
    del field.enums[enum_id]
    table: Any = call.store.table(field.entity_type)
    for entity in table.by_id.values():
        values = entity.values.get(field.id)
        if values and any(value.get("enum_id") == enum_id for value in values):
            table.set_values(entity, field.id, [v for v in values if v.get("enum_id") != enum_id])
            call.store.reindex(entity)
    call.store.version += 1


def rename_enum(call: Call, field: Field, enum_id: int, text: str) -> None:
    """Rename an option, in the definition and wherever it is held."""
    field.enums[enum_id].value = text
    table: Any = call.store.table(field.entity_type)
    for entity in table.by_id.values():
        values = entity.values.get(field.id)
        if values and field.type != "multitext" and any(value.get("enum_id") == enum_id for value in values):
            renamed = [{**v, "value": text} if v.get("enum_id") == enum_id else v for v in values]
            table.set_values(entity, field.id, renamed)
            call.store.reindex(entity)
    call.store.version += 1


def _check_field(item: Json, errors: Errors) -> None:
    enums = item.get("enums")
    if enums is None:
        return
    if not isinstance(enums, list):
        errors.wrong_type("enums", "array")
        return
    for index, enum in enumerate(enums):
        if not isinstance(enum, dict):
            errors.wrong_type(f"enums.{index}", "object")
        elif enum.get("value") is None:
            errors.add("FieldMissing", f"enums.{index}.value")
        else:
            errors.text(enum["value"], f"enums.{index}.value")


def _new_field(call: Call, kind: str, item: Json) -> Field:
    sorts = [field.sort for field in call.store.fields[kind].values()]
    field = Field(
        id=call.store.new_id("field"),
        name=item["name"],
        type=item["type"],
        entity_type=kind,
        sort=item.get("sort") or max(sorts, default=500) + 1,
        code=item.get("code"),
        is_api_only=bool(item.get("is_api_only", False)),
        required_statuses=item.get("required_statuses") or [],
        currency=item.get("currency"),
    )
    for index, enum in enumerate(item.get("enums") or (), start=1):
        _add_enum(call, field, enum, index)
    call.store.fields[kind][field.id] = field
    call.store.version += 1
    return field


def _change_field(call: Call, kind: str, field_id: int, item: Json) -> Json:
    field = call.store.fields[kind][field_id]
    for name in ("name", "sort", "code", "is_api_only", "required_statuses", "currency"):
        if name in item:
            setattr(field, name, item[name])
    if item.get("enums") is not None:
        # The list is complete: an option that is not in it with its id is lost, and so are its values.
        kept = {enum.get("id") for enum in item["enums"]}
        for enum_id in [id_ for id_ in field.enums if id_ not in kept]:
            remove_enum(call, field, enum_id)
        for index, given in enumerate(item["enums"], start=1):
            if given.get("id") in field.enums:
                field.enums[given["id"]].sort = given.get("sort") or index
                rename_enum(call, field, given["id"], given["value"])
            else:
                _add_enum(call, field, given, index)
    call.store.version += 1
    return show_field(call, field)


def _add_enum(call: Call, field: Field, given: Json, index: int) -> Enum:
    enum = Enum(call.store.new_id("enum"), given["value"], given.get("sort") or index, given.get("code"))
    field.enums[enum.id] = enum
    return enum


def add_enum(call: Call, field: Field, text: str) -> Enum:
    return _add_enum(call, field, {"value": text}, len(field.enums) + 1)


ROUTES: list[Route] = [
    ("GET", "/api/v4/<kind:kind>/custom_fields", list_fields),
    ("POST", "/api/v4/<kind:kind>/custom_fields", add_fields),
    ("PATCH", "/api/v4/<kind:kind>/custom_fields", update_fields),
    ("GET", "/api/v4/<kind:kind>/custom_fields/<int:field_id>", get_field),
    ("PATCH", "/api/v4/<kind:kind>/custom_fields/<int:field_id>", update_field),
    ("DELETE", "/api/v4/<kind:kind>/custom_fields/<int:field_id>", delete_field),
]
