"""Tags on entities, and the account's tag lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kommo_sandbox import brackets
from kommo_sandbox.answers import Answer, Json
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import Entity
from kommo_sandbox.store import Store
from kommo_sandbox.validation import Errors, items_of

# A tag as a client names it: by id or by name.
Named = int | str


@dataclass
class TagChange:
    """`replace` is the complete new set (None: not asked for); otherwise some are added, some deleted."""

    replace: list[Named] | None = None
    add: list[Named] = field(default_factory=list)
    delete: list[Named] = field(default_factory=list)
    # Names are the same whatever their case.
    any_case: bool = False

    def result(self, store: Store, entity: Entity) -> dict[int, None]:
        """Return the entity's tags after the change; a new name makes a new tag."""
        tags = store.tags[entity.kind]
        if self.replace is not None:
            return dict.fromkeys(self._ids(store, entity.kind, self.replace))
        kept = dict(entity.tags)
        for named in self.delete:
            tag_id = named if isinstance(named, int) else tags.find(named, any_case=self.any_case)
            if tag_id is not None:
                kept.pop(tag_id, None)
        return kept | dict.fromkeys(self._ids(store, entity.kind, self.add))

    def _ids(self, store: Store, kind: str, named: list[Named]) -> list[int]:
        tags = store.tags[kind]
        return [tag if isinstance(tag, int) else tags.ensure(tag, any_case=self.any_case) for tag in named]


def read(call: Call, kind: str, item: Json, errors: Errors) -> TagChange | None:
    """Return the tag change of a write, None without one; `_embedded.tags` wins over adding and deleting."""
    embedded, store, any_case = item.get("_embedded"), call.store, call.options.tags_ignore_case
    if isinstance(embedded, dict) and "tags" in embedded:
        named = _read_list(store, kind, embedded["tags"], "_embedded.tags", errors)
        return TagChange(replace=named, any_case=any_case)
    if item.get("tags_to_add") is None and item.get("tags_to_delete") is None:
        return None
    return TagChange(
        add=_read_list(store, kind, item.get("tags_to_add"), "tags_to_add", errors),
        delete=_read_list(store, kind, item.get("tags_to_delete"), "tags_to_delete", errors),
        any_case=any_case,
    )


def shown(store: Store, entity: Entity) -> list[Json]:
    tags = store.tags[entity.kind]
    return [{"id": id_, "name": tags.names[id_], "color": tags.colors[id_]} for id_ in entity.tags]


def _read_list(store: Store, kind: str, given: Any, path: str, errors: Errors) -> list[Named]:
    if given is None:
        return []
    if not isinstance(given, list):
        errors.wrong_type(path, "array")
        return []
    found: list[Named] = []
    for index, tag in enumerate(given):
        here = f"{path}.{index}"
        if not isinstance(tag, dict):
            errors.wrong_type(here, "object")
            continue
        for name in set(tag) - {"id", "name", "color"}:
            errors.add("FieldNotExpected", f"{here}.{name}")
        if tag.get("id") is not None:
            if not errors.integer(tag["id"], f"{here}.id"):
                continue
            if tag["id"] in store.tags[kind].names:
                found.append(tag["id"])
            elif path != "tags_to_delete":
                errors.add("NotSupportedChoice", f"{here}.id")
        elif tag.get("name") is None:
            errors.add("FieldMissing", f"{here}.name")
        elif errors.text(tag["name"], f"{here}.name"):
            if tag["name"].strip():
                found.append(tag["name"])
            else:
                errors.add("FieldMissing", f"{here}.name")
    return found


def list_tags(call: Call, kind: str) -> Answer:
    tags = call.store.tags[kind]
    ids, names = brackets.numbers(call.filter("id")), call.filter("name")
    query = str(call.query.get("query", "")).lower()
    chosen = (
        id_
        for id_, name in tags.names.items()
        if (not ids or id_ in ids) and (names is None or name == names) and query in name.lower()
    )
    return call.page(chosen, "tags", lambda id_: {"id": id_, "name": tags.names[id_], "color": tags.colors[id_]})


def add_tags(call: Call, kind: str) -> Answer:
    def check(item: Json, errors: Errors) -> Json | None:
        if item.get("name") is None:
            errors.add("FieldMissing", "name")
        else:
            errors.text(item["name"], "name")
        return item

    def apply(item: Json, request_id: str) -> Json:
        tag_id = call.store.tags[kind].ensure(item["name"], item.get("color"), any_case=call.options.tags_ignore_case)
        return {"id": tag_id, "name": item["name"], "color": item.get("color"), "request_id": request_id}

    made = call.batch(items_of(call.body), check, apply)
    return Answer({"_total_items": len(made), "_links": call.link(call.path), "_embedded": {"tags": made}})


ROUTES: list[Route] = [
    ("GET", "/api/v4/<kind:kind>/tags", list_tags),
    ("POST", "/api/v4/<kind:kind>/tags", add_tags),
]
