"""Contacts, and companies, which differ from them only in having no first and last name."""

from __future__ import annotations

from collections.abc import Iterator

from kommo_sandbox import brackets, changes, forms, tags, values
from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.changes import Change
from kommo_sandbox.entities import COMPANIES, CONTACTS, Contact
from kommo_sandbox.filters import found_by
from kommo_sandbox.store import EntityTable, now
from kommo_sandbox.validation import Errors, items_of, object_of

WRITTEN = {
    "name",
    "first_name",
    "last_name",
    "responsible_user_id",
    "created_by",
    "updated_by",
    "created_at",
    "updated_at",
    "custom_fields_values",
    "_embedded",
    "tags_to_add",
    "tags_to_delete",
}
IGNORED = {
    "id",
    "group_id",
    "closest_task_at",
    "is_deleted",
    "is_unsorted",
    "account_id",
    "_links",
    "request_id",
}


def show(call: Call, contact: Contact) -> Json:
    with_ = call.with_()
    path = f"/api/v4/{contact.kind}/{contact.id}"
    embedded: Json = {"tags": tags.shown(call.store, contact)}
    if contact.kind == CONTACTS:
        embedded["companies"] = [
            {"id": id_, "_links": call.link(f"/api/v4/companies/{id_}")} for id_ in contact.companies
        ]
    if "leads" in with_:
        embedded["leads"] = [
            {"id": id_, "_links": call.link(f"/api/v4/leads/{id_}")}
            for id_ in contact.leads
            if call.store.leads.get(id_)
        ]
    shown: Json = {"id": contact.id, "name": contact.name}
    if contact.kind == CONTACTS:
        shown |= {"first_name": contact.first_name, "last_name": contact.last_name}
    return shown | {
        "responsible_user_id": contact.responsible_user_id,
        "group_id": 0,
        "created_by": contact.created_by,
        "updated_by": contact.updated_by,
        "created_at": contact.created_at,
        "updated_at": contact.updated_at,
        "closest_task_at": call.store.closest_task_at(contact.kind, contact.id),
        "is_deleted": contact.is_deleted,
        "is_unsorted": False,
        "custom_fields_values": values.show(call.store, contact),
        "account_id": call.store.account_id,
        "_links": call.link(path),
        "_embedded": embedded,
    }


def list_contacts(call: Call, kind: str) -> Answer:
    found = iter(
        [candidate for candidate in _candidates(call, kind) if not candidate.is_deleted and _matches(call, candidate)]
    )
    order = call.query.get("order")
    if isinstance(order, dict) and (name := next(iter(order), "")) in ("id", "created_at", "updated_at"):
        descending = str(order[name]).lower() == "desc"
        found = iter(sorted(found, key=lambda contact: (getattr(contact, name), contact.id), reverse=descending))
    return call.page(found, kind, lambda contact: show(call, contact))


def get_contact(call: Call, kind: str, entity_id: int) -> Answer:
    contact = _table(call, kind).get(entity_id)
    return Answer(show(call, contact)) if contact else nothing()


def read(call: Call, kind: str, item: Json, errors: Errors, contact: Contact | None) -> Change:
    """Return what one item of a write asks for, noting what Kommo would refuse."""
    change = Change(by=call.author_id, entity=contact)
    if contact is None:
        call.refuse_when_full(kind)
    for name in item.keys() - WRITTEN - IGNORED:
        errors.add("FieldNotExpected", name)
    for name in ("name", "first_name", "last_name"):
        if (kept := forms.name(call, item, errors, name)) is not None:
            change.attributes[name] = kept
    for name in ("responsible_user_id", "created_by", "created_at"):
        if name in item and errors.integer(item[name], name):
            change.attributes[name] = item[name]
    for name in ("responsible_user_id", "created_by"):
        user_id = change.attributes.get(name)
        if user_id is not None and not call.store.is_user(user_id, robot=name == "created_by"):
            errors.add("NotSupportedChoice", name)
    if "updated_by" in item and errors.integer(item["updated_by"], "updated_by"):
        if call.store.is_user(item["updated_by"], robot=True):
            change.by = item["updated_by"]
        else:
            errors.add("NotSupportedChoice", "updated_by")
    _complete_name(change, contact)
    change.values = values.read(call, kind, item.get("custom_fields_values"), errors)
    change.tags = tags.read(call, kind, item, errors)
    return change


def create(call: Call, kind: str, change: Change) -> Contact:
    made_at = now()
    contact = Contact(
        id=_table(call, kind).new_id(),
        kind=kind,
        name="",
        responsible_user_id=call.store.admin_id,
        created_by=change.by,
        updated_by=change.by,
        created_at=made_at,
        updated_at=made_at,
    )
    changes.create(call, contact, change)
    return contact


def add_contacts(call: Call, kind: str) -> Answer:
    def apply(change: Change, request_id: str) -> Json:
        contact = create(call, kind, change)
        links = call.link(f"/api/v4/{kind}/{contact.id}")
        return {"id": contact.id, "request_id": request_id, "_links": links}

    made = call.batch(items_of(call.body), lambda item, errors: read(call, kind, item, errors, None), apply)
    return Answer({"_links": call.link(call.path), "_embedded": {kind: made}})


def update_contacts(call: Call, kind: str) -> Answer:
    def read_one(item: Json, errors: Errors) -> Change | None:
        if item.get("id") is None:
            errors.add("FieldMissing", "id")
            return None
        contact = _table(call, kind).get(item["id"]) if errors.integer(item["id"], "id") else None
        if contact is None:
            if not errors and not call.options.skip_unknown_ids:
                errors.add("NotSupportedChoice", "id")
            return None
        return read(call, kind, item, errors, contact)

    changed = call.batch(items_of(call.body), read_one, lambda change, id_: _update(call, change, id_))
    return Answer({"_links": call.link(call.path), "_embedded": {kind: changed}})


def update_contact(call: Call, kind: str, entity_id: int) -> Answer:
    item = object_of(call.body)
    contact = _table(call, kind).get(entity_id)
    if contact is None:
        raise Refusal.problem(404, "Entity not found")
    changed = call.batch(
        [item],
        lambda entry, errors: read(call, kind, entry, errors, contact),
        lambda change, request_id: _update(call, change, request_id),
    )
    return Answer(changed[0])


def _update(call: Call, change: Change, request_id: str) -> Json:
    contact = change.entity
    assert isinstance(contact, Contact)
    changes.update(call, contact, change)
    call.store.version += 1
    return {
        "id": contact.id,
        "name": contact.name,
        "updated_at": contact.updated_at,
        "request_id": request_id,
        "_links": call.link(f"/api/v4/{contact.kind}/{contact.id}"),
    }


def _complete_name(change: Change, contact: Contact | None) -> None:
    """Keep `name` and its two parts in step: whichever was sent decides."""
    sent = change.attributes
    if "name" in sent:
        # The product splits a full name at its first space.
        first, _, last = sent["name"].partition(" ")
        sent.setdefault("first_name", first)
        sent.setdefault("last_name", last)
    elif "first_name" in sent or "last_name" in sent:
        first = sent.get("first_name", contact.first_name if contact else "")
        last = sent.get("last_name", contact.last_name if contact else "")
        sent["name"] = f"{first} {last}".strip()


def _table(call: Call, kind: str) -> EntityTable[Contact]:
    return call.store.contacts if kind == CONTACTS else call.store.companies


def _candidates(call: Call, kind: str) -> Iterator[Contact]:
    table = _table(call, kind)
    if ids := brackets.numbers(call.filter("id")):
        yield from (table.by_id[id_] for id_ in sorted(ids) if id_ in table.by_id)
        return
    span = call.filter("updated_at")
    if isinstance(span, dict) and str(span.get("from", "")).isdigit():
        end = str(span.get("to", ""))
        yield from table.updated_between(int(span["from"]), int(end) if end.isdigit() else None)
        return
    yield from list(table.by_id.values())


def _matches(call: Call, contact: Contact) -> bool:
    query = call.query.get("query")
    if isinstance(query, str) and query and not found_by(query, contact.haystack):
        return False
    for name in ("created_by", "updated_by", "responsible_user_id"):
        wanted = brackets.numbers(call.filter(name))
        if wanted and getattr(contact, name) not in wanted:
            return False
    names = brackets.members(call.filter("name"))
    return not names or contact.name in names


_RULE = f"<any({CONTACTS},{COMPANIES}):kind>"
ROUTES: list[Route] = [
    ("GET", f"/api/v4/{_RULE}", list_contacts),
    ("POST", f"/api/v4/{_RULE}", add_contacts),
    ("PATCH", f"/api/v4/{_RULE}", update_contacts),
    ("GET", f"/api/v4/{_RULE}/<int:entity_id>", get_contact),
    ("PATCH", f"/api/v4/{_RULE}/<int:entity_id>", update_contact),
]
