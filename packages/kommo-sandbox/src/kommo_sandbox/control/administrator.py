"""What an administrator changes in the account: fields and their options, stages, users."""

from __future__ import annotations

from kommo_sandbox import fields, pipelines
from kommo_sandbox.answers import Answer, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.control.bodies import answer, text_of
from kommo_sandbox.entities import Field, Status


def add_enum(call: Call, field_id: int) -> Answer:
    field = _field(call, field_id)
    enum = fields.add_enum(call, field, text_of(call, "value"))
    return answer({"id": enum.id, "value": enum.value}, 201)


def rename_enum(call: Call, field_id: int, enum_id: int) -> Answer:
    field = _field(call, field_id, enum_id)
    fields.rename_enum(call, field, enum_id, text_of(call, "value"))
    return answer({"id": enum_id, "value": field.enums[enum_id].value})


def delete_enum(call: Call, field_id: int, enum_id: int) -> Answer:
    fields.remove_enum(call, _field(call, field_id, enum_id), enum_id)
    return nothing()


def delete_field(call: Call, field_id: int) -> Answer:
    field = _field(call, field_id)
    call.user_id = call.store.admin_id
    return fields.delete_field(call, field.entity_type, field.id)


def add_status(call: Call, pipeline_id: int) -> Answer:
    pipeline = call.store.pipelines.get(pipeline_id)
    if pipeline is None:
        raise Refusal.control(f"no pipeline {pipeline_id}", f"there are {sorted(call.store.pipelines)}", 404)
    status = pipelines.add_status(call, pipeline, {**call.body, "name": text_of(call, "name")})
    return answer({"id": status.id, "name": status.name, "pipeline_id": pipeline.id}, 201)


def rename_status(call: Call, status_id: int) -> Answer:
    status = _status(call, status_id)
    status.name = text_of(call, "name")
    call.store.version += 1
    return answer({"id": status.id, "name": status.name, "pipeline_id": status.pipeline_id})


def delete_status(call: Call, status_id: int) -> Answer:
    pipelines.remove_status(call, _status(call, status_id))
    return nothing()


def archive_pipeline(call: Call, pipeline_id: int) -> Answer:
    pipeline = call.store.pipelines.get(pipeline_id)
    if pipeline is None:
        raise Refusal.control(f"no pipeline {pipeline_id}", f"there are {sorted(call.store.pipelines)}", 404)
    pipeline.is_archive = bool(call.body.get("archived", True)) if isinstance(call.body, dict) else True
    call.store.version += 1
    return answer({"id": pipeline.id, "is_archive": pipeline.is_archive})


def change_field(call: Call, field_id: int) -> Answer:
    """Rename a field, or say in which stages it must be filled."""
    field = _field(call, field_id)
    if "required_statuses" in call.body:
        field.required_statuses = list(call.body["required_statuses"])
    if "name" in call.body or "required_statuses" not in call.body:
        field.name = text_of(call, "name")
    call.store.version += 1
    return answer({"id": field.id, "name": field.name, "required_statuses": field.required_statuses})


def delete_user(call: Call, user_id: int) -> Answer:
    if call.store.users.pop(user_id, None) is None:
        raise Refusal.control(f"no user {user_id}", f"there are {sorted(call.store.users)}", 404)
    return nothing()


def _field(call: Call, field_id: int, enum_id: int | None = None) -> Field:
    for of_one_kind in call.store.fields.values():
        if field := of_one_kind.get(field_id):
            if enum_id is not None and enum_id not in field.enums:
                raise Refusal.control(f"no option {enum_id}", f"options: {sorted(field.enums)}", 404)
            return field
    raise Refusal.control(f"no field {field_id}", "GET /api/v4/leads/custom_fields lists them", 404)


def _status(call: Call, status_id: int) -> Status:
    pipeline = call.store.pipeline_of(status_id)
    if pipeline is None:
        raise Refusal.control(f"no stage {status_id} of one pipeline alone", "142 and 143 stay", 404)
    return pipeline.statuses[status_id]


ROUTES: list[Route] = [
    ("POST", "/_sandbox/fields/<int:field_id>/enums", add_enum),
    ("PATCH", "/_sandbox/fields/<int:field_id>/enums/<int:enum_id>", rename_enum),
    ("DELETE", "/_sandbox/fields/<int:field_id>/enums/<int:enum_id>", delete_enum),
    ("PATCH", "/_sandbox/fields/<int:field_id>", change_field),
    ("DELETE", "/_sandbox/fields/<int:field_id>", delete_field),
    ("POST", "/_sandbox/pipelines/<int:pipeline_id>/archive", archive_pipeline),
    ("POST", "/_sandbox/pipelines/<int:pipeline_id>/statuses", add_status),
    ("PATCH", "/_sandbox/statuses/<int:status_id>", rename_status),
    ("DELETE", "/_sandbox/statuses/<int:status_id>", delete_status),
    ("DELETE", "/_sandbox/users/<int:user_id>", delete_user),
]
