"""Pipelines, their stages, and why a deal is lost."""

from __future__ import annotations

from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import LOST_STATUS_ID, WON_STATUS_ID, Pipeline, Status
from kommo_sandbox.validation import Errors, items_of, object_of

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


def show_pipeline(call: Call, pipeline: Pipeline) -> Json:
    return {
        "id": pipeline.id,
        "name": pipeline.name,
        "sort": pipeline.sort,
        "is_main": pipeline.is_main,
        "is_unsorted_on": True,
        "is_archive": pipeline.is_archive,
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


def list_loss_reasons(call: Call) -> Answer:
    reasons = [{"id": id_, "name": name} for id_, name in call.store.loss_reasons.items()]
    return call.page(
        enumerate(reasons, start=1),
        "loss_reasons",
        lambda numbered: {
            **numbered[1],
            "sort": numbered[0] * 100,
            "created_at": 1_700_000_000,
            "updated_at": 1_700_000_000,
            "_links": call.link(f"/api/v4/leads/loss_reasons/{numbered[1]['id']}"),
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
    ("GET", "/api/v4/leads/loss_reasons", list_loss_reasons),
]
