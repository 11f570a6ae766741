"""CRM tasks: to-dos for people."""

from __future__ import annotations

from typing import Any

from kommo_sandbox import brackets, hook_bodies
from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import KINDS, LEADS
from kommo_sandbox.store import now
from kommo_sandbox.validation import Errors, items_of, object_of


def show(call: Call, task: Json) -> Json:
    # A task without a result shows PHP's empty array.
    links = call.link(f"/api/v4/tasks/{task['id']}")
    return {**task, "result": task["result"] or [], "account_id": call.store.account_id, "_links": links}


def list_tasks(call: Call) -> Answer:
    found = [task for task in call.store.tasks.values() if _matches(call, task)]
    order = call.query.get("order")
    if isinstance(order, dict) and (name := next(iter(order), "")) in ("id", "created_at", "complete_till"):
        found.sort(key=lambda task: (task[name], task["id"]), reverse=order[name] == "desc")
    return call.page(found, "tasks", lambda task: show(call, task))


def get_task(call: Call, task_id: int) -> Answer:
    task = call.store.tasks.get(task_id)
    return Answer(show(call, task)) if task else nothing()


def add_tasks(call: Call) -> Answer:
    def check(item: Json, errors: Errors) -> Json:
        for name in ("text", "complete_till"):
            if item.get(name) is None:
                errors.add("FieldMissing", name)
        _check(call, item, errors)
        return item

    def apply(item: Json, request_id: str) -> Json:
        task = _add(call, item)
        links = call.link(f"/api/v4/tasks/{task['id']}")
        return {"id": task["id"], "request_id": request_id, "_links": links}

    made = call.batch(items_of(call.body), check, apply)
    return Answer({"_links": call.link(call.path), "_embedded": {"tasks": made}})


def update_tasks(call: Call) -> Answer:
    def check(item: Json, errors: Errors) -> Json:
        if item.get("id") not in call.store.tasks:
            errors.add("NotSupportedChoice", "id")
        _check(call, item, errors)
        return item

    changed = call.batch(items_of(call.body), check, lambda item, _: _change(call, item["id"], item))
    return Answer({"_links": call.link(call.path), "_embedded": {"tasks": changed}})


def update_task(call: Call, task_id: int) -> Answer:
    item = object_of(call.body)
    if task_id not in call.store.tasks:
        raise Refusal.problem(404, "Task not found")
    errors = Errors()
    _check(call, item, errors)
    if errors:
        raise Refusal.validation([{"request_id": "0", "errors": errors.found}])
    return Answer(_change(call, task_id, item))


def delete_task(call: Call, task_id: int) -> Answer:
    raise Refusal.problem(403, "Tasks can not be deleted")


def _add(call: Call, item: Json) -> Json:
    store = call.store
    by = item.get("created_by", call.user_id)
    task: Json = {
        "id": store.new_id("task"),
        "created_by": by,
        "updated_by": by,
        "created_at": item.get("created_at") or now(),
        "updated_at": now(),
        "responsible_user_id": item.get("responsible_user_id") or store.admin_id,
        "group_id": 0,
        "entity_id": item.get("entity_id"),
        "entity_type": item.get("entity_type"),
        "duration": item.get("duration") or 0,
        "is_completed": bool(item.get("is_completed", False)),
        "task_type_id": item.get("task_type_id") or 1,
        "text": item["text"],
        "result": item.get("result") or None,
        "complete_till": item["complete_till"],
    }
    store.tasks[task["id"]] = task
    call.store.note_task(task)
    store.version += 1
    if task["entity_type"] == LEADS:
        call.lead_ids.append(task["entity_id"])
    _record(call, "task_added", task, by)
    call.tell("add_task", "task", "add", lambda: hook_bodies.task(store, task))
    return task


def _change(call: Call, task_id: int, item: Json) -> Json:
    task = call.store.tasks[task_id]
    old_text, was_completed = task["text"], task["is_completed"]
    for name in (
        "text",
        "complete_till",
        "task_type_id",
        "responsible_user_id",
        "is_completed",
        "result",
        "duration",
        "entity_id",
        "entity_type",
    ):
        if name in item:
            task[name] = item[name]
    task["updated_at"], task["updated_by"] = now(), item.get("updated_by", call.user_id)
    call.store.note_task(task)
    call.store.version += 1
    if task["is_completed"] and not was_completed:
        _record(call, "task_completed", task, task["updated_by"])
    call.tell("update_task", "task", "update", lambda: hook_bodies.task(call.store, task, old_text))
    links = call.link(f"/api/v4/tasks/{task_id}")
    return {"id": task_id, "updated_at": task["updated_at"], "_links": links}


def _record(call: Call, type_: str, task: Json, by: int) -> None:
    entity = call.store.entity(task["entity_type"], task["entity_id"]) if task["entity_type"] else None
    if entity:
        call.store.record(type_, entity=entity, by=by, after=[{"task": {"id": task["id"], "text": task["text"]}}])


def _check(call: Call, item: Json, errors: Errors) -> None:
    if item.get("text") is not None:
        errors.text(item["text"], "text")
    for name in ("complete_till", "task_type_id", "entity_id", "responsible_user_id", "duration"):
        if item.get(name) is not None:
            errors.integer(item[name], name)
    kind, entity_id = item.get("entity_type"), item.get("entity_id")
    if kind is not None and kind not in KINDS:
        errors.add("NotSupportedChoice", "entity_type")
    elif entity_id is not None and kind is None and "id" not in item:
        errors.add("FieldMissing", "entity_type")
    elif kind and isinstance(entity_id, int) and call.store.entity(kind, entity_id) is None:
        errors.add("NotSupportedChoice", "entity_id")
    user_id = item.get("responsible_user_id")
    if isinstance(user_id, int) and not call.store.is_user(user_id):
        errors.add("NotSupportedChoice", "responsible_user_id")


def _matches(call: Call, task: Json) -> bool:
    completed = call.filter("is_completed")
    if completed is not None and str(int(task["is_completed"])) != str(completed):
        return False
    wanted: list[tuple[str, set[Any]]] = [
        ("id", brackets.numbers(call.filter("id"))),
        ("task_type_id", brackets.numbers(call.filter("task_type_id") or call.filter("task_type"))),
        ("entity_id", brackets.numbers(call.filter("entity_id"))),
        ("entity_type", set(brackets.members(call.filter("entity_type")))),
        ("responsible_user_id", brackets.numbers(call.filter("responsible_user_id"))),
    ]
    if any(values and task[name] not in values for name, values in wanted):
        return False
    span = call.filter("updated_at")
    if isinstance(span, dict):
        start, end = span.get("from"), span.get("to")
        if start and task["updated_at"] < int(start):
            return False
        if end and task["updated_at"] > int(end):
            return False
    return True


ROUTES: list[Route] = [
    ("GET", "/api/v4/tasks", list_tasks),
    ("POST", "/api/v4/tasks", add_tasks),
    ("PATCH", "/api/v4/tasks", update_tasks),
    ("GET", "/api/v4/tasks/<int:task_id>", get_task),
    ("PATCH", "/api/v4/tasks/<int:task_id>", update_task),
    ("DELETE", "/api/v4/tasks/<int:task_id>", delete_task),
]
