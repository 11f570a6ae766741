"""Notes on leads, contacts and companies."""

from __future__ import annotations

from typing import Any

from kommo_sandbox import brackets, hook_bodies
from kommo_sandbox.answers import Answer, Json, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import CONTACTS, LEADS, SINGULAR
from kommo_sandbox.store import now
from kommo_sandbox.validation import Errors, items_of

# Note type -> what its params must hold.
REQUIRED = {
    "common": ["text"],
    "service_message": ["service", "text"],
    "extended_service_message": ["service", "text"],
    "call_in": ["uniq", "duration", "source", "phone"],
    "call_out": ["uniq", "duration", "source", "phone"],
    "sms_in": ["text", "phone"],
    "sms_out": ["text", "phone"],
    "geolocation": ["text", "address", "longitude", "latitude"],
    "attachment": [],
    "amomail_message": [],
    "message_cashier": ["status", "text"],
    "invoice_paid": ["text", "service", "icon_url"],
}


def show(call: Call, note: Json) -> Json:
    kind = note["entity_kind"]
    return {
        **{name: value for name, value in note.items() if name != "entity_kind"},
        "account_id": call.store.account_id,
        "_links": call.link(f"/api/v4/{kind}/{note['entity_id']}/notes/{note['id']}"),
    }


def list_notes(call: Call, kind: str, entity_id: int | None = None) -> Answer:
    store = call.store
    if entity_id is None:
        of_kind = [note for note in store.notes.values() if note["entity_kind"] == kind]
    else:
        of_kind = [store.notes[id_] for id_ in store.notes_of[kind, entity_id]]
    types = set(brackets.members(call.filter("note_type")))
    ids = brackets.numbers(call.filter("id"))
    found = [n for n in of_kind if (not types or n["note_type"] in types) and (not ids or n["id"] in ids)]
    order = call.query.get("order")
    if isinstance(order, dict) and (name := next(iter(order), "")) in ("id", "updated_at"):
        found.sort(key=lambda note: (note[name], note["id"]), reverse=order[name] == "desc")
    return call.page(found, "notes", lambda note: show(call, note))


def get_note(call: Call, kind: str, note_id: int, entity_id: int | None = None) -> Answer:
    note = call.store.notes.get(note_id)
    return Answer(show(call, note)) if note and note["entity_kind"] == kind else nothing()


def add_notes(call: Call, kind: str, entity_id: int | None = None) -> Answer:
    def check(item: Json, errors: Errors) -> Json:
        _check(call, kind, entity_id, item, errors)
        return item

    def apply(item: Json, request_id: str) -> Json:
        note = add(call, kind, item["entity_id"] if entity_id is None else entity_id, item)
        return {
            "id": note["id"],
            "entity_id": note["entity_id"],
            "request_id": request_id,
            "_links": call.link(f"/api/v4/{kind}/{note['entity_id']}/notes/{note['id']}"),
        }

    made = call.batch(items_of(call.body), check, apply)
    return Answer({"_links": call.link(call.path), "_embedded": {"notes": made}})


def pin_note(call: Call, kind: str, entity_id: int, note_id: int) -> Answer:
    if note_id in call.store.notes:
        call.store.notes[note_id]["is_pinned"] = True
    return nothing()


def add(call: Call, kind: str, entity_id: int, item: Json) -> Json:
    """Write a note and tell of it; `item` is as a client sends it, checked."""
    store = call.store
    entity = store.entity(kind, entity_id)
    assert entity is not None
    by = item.get("created_by", call.user_id)
    note: Json = {
        "id": store.new_id("note"),
        "entity_kind": kind,
        "entity_id": entity_id,
        "created_by": by,
        "updated_by": by,
        "created_at": item.get("created_at") or now(),
        "updated_at": now(),
        "responsible_user_id": item.get("responsible_user_id") or entity.responsible_user_id,
        "group_id": 0,
        "note_type": item["note_type"],
        "params": item.get("params") or {},
    }
    store.notes[note["id"]] = note
    store.notes_of[kind, entity_id].append(note["id"])
    store.version += 1
    if kind == LEADS:
        call.lead_ids.append(entity_id)
    after: list[Json] = [{"note": {"id": note["id"]}}]
    store.record(f"{note['note_type']}_note_added", entity=entity, by=by, after=after)
    root = LEADS if kind == LEADS else CONTACTS
    call.tell(f"note_{SINGULAR[kind]}", root, "note", lambda: hook_bodies.note(store, note))
    return note


def _check(call: Call, kind: str, entity_id: int | None, item: Json, errors: Errors) -> None:
    target: Any = item.get("entity_id") if entity_id is None else entity_id
    if target is None:
        errors.add("FieldMissing", "entity_id")
    elif errors.integer(target, "entity_id") and call.store.entity(kind, target) is None:
        errors.add("NotSupportedChoice", "entity_id")
    type_ = item.get("note_type")
    if type_ is None:
        errors.add("FieldMissing", "note_type")
        return
    if type_ not in REQUIRED:
        errors.add("NotSupportedChoice", "note_type")
        return
    params = item.get("params")
    if not isinstance(params, dict):
        errors.add("FieldMissing", "params")
        return
    for name in REQUIRED[type_]:
        if params.get(name) is None:
            errors.add("FieldMissing", f"params.{name}")
    if params.get("text") is not None:
        errors.text(params["text"], "params.text")


ROUTES: list[Route] = [
    ("GET", "/api/v4/<kind:kind>/notes", list_notes),
    ("POST", "/api/v4/<kind:kind>/notes", add_notes),
    ("GET", "/api/v4/<kind:kind>/notes/<int:note_id>", get_note),
    ("GET", "/api/v4/<kind:kind>/<int:entity_id>/notes", list_notes),
    ("POST", "/api/v4/<kind:kind>/<int:entity_id>/notes", add_notes),
    ("GET", "/api/v4/<kind:kind>/<int:entity_id>/notes/<int:note_id>", get_note),
    ("POST", "/api/v4/<kind:kind>/<int:entity_id>/notes/<int:note_id>/pin", pin_note),
]
