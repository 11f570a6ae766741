"""Pipelines, stages, custom field definitions and loss reasons."""

from __future__ import annotations

from typing import Any

from bridge.sandbox import brackets
from bridge.sandbox.answers import Answer, Json, Refusal, nothing
from bridge.sandbox.calls import Call, Route
from bridge.sandbox.entities import LOST_STATUS_ID, WON_STATUS_ID, Enum, Field, Pipeline, Status
from bridge.sandbox.validation import Errors, items_of, object_of

MOST_STATUSES = 100  # of one pipeline, system ones included

COLORS = [
    "#fffeb2",
    "#fffd7f",
    "#fff000",
    "#ffeab2",
    "#ffdc7f",
    "#ffce5a",
    "#ffdbdb",
    "#ffc8c8",
    "#ff8f92",
    "#d6eaff",
    "#c1e0ff",
    "#98cbff",
    "#ebffb1",
    "#deff81",
    "#87f2c0",
    "#f9deff",
    "#f3beff",
    "#ccc8f9",
    "#eb93ff",
    "#f2f3f4",
    "#e6e8ea",
]
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


# --- Pipelines and stages


def show_pipeline(call: Call, pipeline: Pipeline) -> Json:
    return {
        "id": pipeline.id,
        "name": pipeline.name,
        "sort": pipeline.sort,
        "is_main": pipeline.is_main,
        "is_unsorted_on": True,
        "is_archive": False,
        "account_id": call.store.account_id,
        "_links": call.link(f"/api/v4/leads/pipelines/{pipeline.id}"),
        "_embedded": {"statuses": [show_status(call, status) for status in pipeline.in_order()]},
    }


def show_status(call: Call, status: Status) -> Json:
    return {
        "id": status.id,
        "name": status.name,
        "sort": status.sort,
        "is_editable": status.is_editable,
        "pipeline_id": status.pipeline_id,
        "color": status.color,
        "type": status.type,
        "account_id": call.store.account_id,
        "_links": call.link(f"/api/v4/leads/pipelines/{status.pipeline_id}/statuses/{status.id}"),
    }


def list_pipelines(call: Call) -> Answer:
    pipelines = sorted(call.store.pipelines.values(), key=lambda pipeline: pipeline.sort)
    shown = [show_pipeline(call, pipeline) for pipeline in pipelines]
    return Answer({"_total_items": len(shown), "_links": call.link(call.path), "_embedded": {"pipelines": shown}})


def get_pipeline(call: Call, pipeline_id: int) -> Answer:
    pipeline = call.store.pipelines.get(pipeline_id)
    return Answer(show_pipeline(call, pipeline)) if pipeline else nothing()


def list_statuses(call: Call, pipeline_id: int) -> Answer:
    pipeline = _pipeline(call, pipeline_id)
    shown = [show_status(call, status) for status in pipeline.in_order()]
    return Answer({"_total_items": len(shown), "_links": call.link(call.path), "_embedded": {"statuses": shown}})


def get_status(call: Call, pipeline_id: int, status_id: int) -> Answer:
    status = _pipeline(call, pipeline_id).statuses.get(status_id)
    return Answer(show_status(call, status)) if status else nothing()


def add_statuses(call: Call, pipeline_id: int) -> Answer:
    call.require_admin()
    pipeline = _pipeline(call, pipeline_id)
    items = items_of(call.body)
    if len(pipeline.statuses) + len(items) > MOST_STATUSES:
        raise Refusal.problem(400, f"A pipeline has at most {MOST_STATUSES} stages")

    def check(item: Json, errors: Errors) -> Json:
        if item.get("name") is None:
            errors.add("FieldMissing", "name")
        _check_status(item, errors)
        return item

    def apply(item: Json, request_id: str) -> Json:
        return {**show_status(call, add_status(call, pipeline, item)), "request_id": request_id}

    made = call.batch(items, check, apply)
    return Answer({"_total_items": len(made), "_links": call.link(call.path), "_embedded": {"statuses": made}})


def add_status(call: Call, pipeline: Pipeline, item: Json) -> Status:
    open_sorts = [s.sort for s in pipeline.statuses.values() if s.id not in (WON_STATUS_ID, LOST_STATUS_ID)]
    status = Status(
        id=call.store.new_id("status"),
        name=item["name"],
        pipeline_id=pipeline.id,
        sort=item.get("sort") or max(open_sorts) + 10,
        color=item.get("color") or COLORS[0],
    )
    pipeline.statuses[status.id] = status
    call.store.version += 1
    return status


def update_status(call: Call, pipeline_id: int, status_id: int) -> Answer:
    call.require_admin()
    status = _status(call, pipeline_id, status_id)
    if not status.is_editable:
        raise Refusal.problem(400, "This stage can not be changed")
    item = object_of(call.body)
    errors = Errors()
    _check_status(item, errors)
    if errors:
        raise Refusal.validation([{"request_id": "0", "errors": errors.found}])
    for name in ("name", "sort", "color"):
        if name in item:
            setattr(status, name, item[name])
    call.store.version += 1
    return Answer(show_status(call, status))


def delete_status(call: Call, pipeline_id: int, status_id: int) -> Answer:
    call.require_admin()
    status = _status(call, pipeline_id, status_id)
    if not status.is_editable:
        raise Refusal.problem(400, "This stage can not be deleted")
    remove_status(call, status)
    return nothing()


def remove_status(call: Call, status: Status) -> None:
    """Delete a stage; the leads that stood in it go to the first stage, and nobody is told."""
    pipeline = call.store.pipelines[status.pipeline_id]
    del pipeline.statuses[status.id]
    for lead in call.store.leads.by_id.values():
        if (lead.pipeline_id, lead.status_id) == (pipeline.id, status.id):
            call.store.place(lead, pipeline.id, pipeline.first_status().id)
    call.store.version += 1


def _pipeline(call: Call, pipeline_id: int) -> Pipeline:
    pipeline = call.store.pipelines.get(pipeline_id)
    if pipeline is None:
        raise Refusal.problem(404, "Pipeline not found")
    return pipeline


def _status(call: Call, pipeline_id: int, status_id: int) -> Status:
    status = _pipeline(call, pipeline_id).statuses.get(status_id)
    if status is None:
        raise Refusal.problem(404, "Status not found")
    return status


def _check_status(item: Json, errors: Errors) -> None:
    for name in item.keys() - {"name", "sort", "color", "request_id", "descriptions", "type", "id"}:
        errors.add("FieldNotExpected", name)
    if item.get("name") is not None:
        errors.text(item["name"], "name")
    if "sort" in item:
        errors.integer(item["sort"], "sort")
    if item.get("color") is not None and item["color"] not in COLORS:
        errors.add("NotSupportedChoice", "color")


# --- Custom fields


def show_field(call: Call, field: Field) -> Json:
    enums: list[Json] | None = None
    if field.enums:
        in_order = sorted(field.enums.values(), key=lambda enum: (enum.sort, enum.id))
        enums = [{"id": e.id, "value": e.value, "sort": e.sort, "code": e.code} for e in in_order]
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
        held = entity.values.get(field.id)
        if held and any(value.get("enum_id") == enum_id for value in held):
            table.set_values(entity, field.id, [v for v in held if v.get("enum_id") != enum_id])
            call.store.reindex(entity)
    call.store.version += 1


def rename_enum(call: Call, field: Field, enum_id: int, text: str) -> None:
    """Rename an option, in the definition and wherever it is held."""
    field.enums[enum_id].value = text
    table: Any = call.store.table(field.entity_type)
    for entity in table.by_id.values():
        held = entity.values.get(field.id)
        if held and field.type != "multitext" and any(value.get("enum_id") == enum_id for value in held):
            renamed = [{**v, "value": text} if v.get("enum_id") == enum_id else v for v in held]
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


# --- Loss reasons


def list_loss_reasons(call: Call) -> Answer:
    reasons = [{"id": id_, "name": name} for id_, name in call.store.loss_reasons.items()]
    return call.page(
        enumerate(reasons, start=1),
        "loss_reasons",
        lambda one: {
            **one[1],
            "sort": one[0] * 100,
            "created_at": 1_700_000_000,
            "updated_at": 1_700_000_000,
            "_links": call.link(f"/api/v4/leads/loss_reasons/{one[1]['id']}"),
        },
    )


ROUTES: list[Route] = [
    ("GET", "/api/v4/leads/pipelines", list_pipelines),
    ("GET", "/api/v4/leads/pipelines/<int:pipeline_id>", get_pipeline),
    ("GET", "/api/v4/leads/pipelines/<int:pipeline_id>/statuses", list_statuses),
    ("POST", "/api/v4/leads/pipelines/<int:pipeline_id>/statuses", add_statuses),
    ("GET", "/api/v4/leads/pipelines/<int:pipeline_id>/statuses/<int:status_id>", get_status),
    ("PATCH", "/api/v4/leads/pipelines/<int:pipeline_id>/statuses/<int:status_id>", update_status),
    ("DELETE", "/api/v4/leads/pipelines/<int:pipeline_id>/statuses/<int:status_id>", delete_status),
    ("GET", "/api/v4/<kind:kind>/custom_fields", list_fields),
    ("POST", "/api/v4/<kind:kind>/custom_fields", add_fields),
    ("PATCH", "/api/v4/<kind:kind>/custom_fields", update_fields),
    ("GET", "/api/v4/<kind:kind>/custom_fields/<int:field_id>", get_field),
    ("PATCH", "/api/v4/<kind:kind>/custom_fields/<int:field_id>", update_field),
    ("DELETE", "/api/v4/<kind:kind>/custom_fields/<int:field_id>", delete_field),
    ("GET", "/api/v4/leads/loss_reasons", list_loss_reasons),
]
