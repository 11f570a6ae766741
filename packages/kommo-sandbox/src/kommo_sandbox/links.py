"""Links between leads, contacts and companies."""

from __future__ import annotations

from typing import Any

from kommo_sandbox import changes
from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.entities import COMPANIES, CONTACTS, KINDS, Contact, Entity, Lead
from kommo_sandbox.validation import Errors, items_of


def list_links(call: Call, kind: str, entity_id: int) -> Answer:
    entity = call.store.entity(kind, entity_id)
    if entity is None:
        return nothing()
    found = [_shown(entity, to_kind, to_id) for to_kind, to_id in _linked(entity)]
    return call.page(found, "links", lambda link: link)


def add_links(call: Call, kind: str, entity_id: int | None = None) -> Answer:
    pairs = _read(call, kind, entity_id)
    for entity, to, _ in pairs:
        if (to.kind, to.id) in _linked(entity):
            # Seen on a live account; the links have to be read first.
            raise Refusal.problem(500, "An unknown error occurred")
    for entity, to, item in pairs:
        metadata = item.get("metadata") or {}
        if isinstance(to, Lead):
            assert isinstance(entity, Contact)
            changes.link(call, to, entity, by=call.user_id)
        else:
            changes.link(call, entity, to, is_main=metadata.get("is_main"), by=call.user_id)
    links = [_shown(entity, to.kind, to.id) for entity, to, _ in pairs]
    return Answer({"_total_items": len(links), "_links": call.link(call.path), "_embedded": {"links": links}})


def delete_links(call: Call, kind: str, entity_id: int | None = None) -> Answer:
    for entity, to, _ in _read(call, kind, entity_id):
        if isinstance(to, Lead):
            assert isinstance(entity, Contact)
            changes.unlink(call, to, entity, by=call.user_id)
        else:
            changes.unlink(call, entity, to, by=call.user_id)
    return nothing()


def _linked(entity: Entity) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    if isinstance(entity, Lead):
        found += [(CONTACTS, id_) for id_ in entity.contacts]
    elif isinstance(entity, Contact):
        found += [("leads", id_) for id_ in entity.leads]
    return found + [(COMPANIES, id_) for id_ in entity.companies]


def _shown(entity: Entity, to_kind: str, to_id: int) -> Json:
    metadata: Json | None = None
    if isinstance(entity, Lead) and to_kind == CONTACTS:
        is_main = entity.contacts.get(to_id, False)
        metadata = {"main_contact": is_main, "is_main": is_main}
    return {
        "entity_id": entity.id,
        "entity_type": entity.kind,
        "to_entity_id": to_id,
        "to_entity_type": to_kind,
        "metadata": metadata,
    }


def _read(call: Call, kind: str, entity_id: int | None) -> list[tuple[Entity, Any, Json]]:
    """Return (entity, what to link it to, item) for each item; the mass form names the entity in the item."""
    pairs: list[tuple[Entity, Any, Json]] = []

    def read(item: Json, errors: Errors) -> None:
        own_id = item.get("entity_id") if entity_id is None else entity_id
        entity = call.store.entity(kind, own_id) if isinstance(own_id, int) else None
        if entity is None:
            errors.add("NotSupportedChoice", "entity_id")
        to_kind, to_id = item.get("to_entity_type"), item.get("to_entity_id")
        if to_kind not in KINDS or to_kind == kind:
            errors.add("NotSupportedChoice", "to_entity_type")
        elif errors.integer(to_id, "to_entity_id"):
            assert isinstance(to_kind, str) and isinstance(to_id, int)
            to = call.store.entity(to_kind, to_id)
            if to is None:
                errors.add("NotSupportedChoice", "to_entity_id")
            elif entity is not None:
                pairs.append((entity, to, item))

    call.batch(items_of(call.body), read, lambda _, request_id: {})
    return pairs


ROUTES: list[Route] = [
    ("GET", "/api/v4/<kind:kind>/<int:entity_id>/links", list_links),
    ("POST", "/api/v4/<kind:kind>/<int:entity_id>/link", add_links),
    ("POST", "/api/v4/<kind:kind>/<int:entity_id>/unlink", delete_links),
    ("POST", "/api/v4/<kind:kind>/link", add_links),
    ("POST", "/api/v4/<kind:kind>/unlink", delete_links),
]
