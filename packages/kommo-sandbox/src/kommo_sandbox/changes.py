"""Applying a change to a lead, contact or company: the record, the audit feed and the webhooks together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kommo_sandbox import hook_bodies
from kommo_sandbox.answers import Json
from kommo_sandbox.calls import Call
from kommo_sandbox.entities import (
    CONTACTS,
    LEADS,
    LOST_STATUS_ID,
    SINGULAR,
    WON_STATUS_ID,
    Contact,
    Entity,
    Lead,
)
from kommo_sandbox.store import now
from kommo_sandbox.tags import TagChange
from kommo_sandbox.values import Values


@dataclass
class Change:
    """What a write asks for; what is not in it stays as it is."""

    # Plain attributes of the entity: name, price, responsible_user_id, …
    attributes: dict[str, Any] = field(default_factory=dict)
    # The pipeline and status to stand in (leads).
    stage: tuple[int, int] | None = None
    values: Values = field(default_factory=dict)
    tags: TagChange | None = None
    # Who changes it: a user id, 0 for the robot.
    by: int = 0
    updated_at: int | None = None
    # Contact ids and company ids to link (creation), the main contact first.
    contacts: list[int] = field(default_factory=list)
    companies: list[int] = field(default_factory=list)
    entity: Entity | None = None


# Attribute -> event type, and the value as the events feed wraps it.
ATTRIBUTE_EVENTS: dict[str, tuple[str, Callable[[Any], Json]]] = {
    "name": ("name_field_changed", lambda value: {"name_field_value": {"name": value}}),
    "price": ("sale_field_changed", lambda value: {"sale_field_value": {"sale": value}}),
    "responsible_user_id": ("entity_responsible_changed", lambda value: {"responsible_user": {"id": value}}),
}


def create(call: Call, entity: Entity, change: Change) -> None:
    """Add a new entity with everything the change holds, and tell of it."""
    store = call.store
    _set_attributes(entity, change)
    store.table(entity.kind).add(entity)  # type: ignore[arg-type]
    for field_id, values in change.values.items():
        store.table(entity.kind).set_values(entity, field_id, values)  # type: ignore[arg-type]
    if change.tags:
        entity.tags = change.tags.result(store, entity)
    if isinstance(entity, Lead) and change.stage:
        _enter(call, entity, change.stage)
    store.record(f"{SINGULAR[entity.kind]}_added", entity=entity, by=entity.created_by)
    _record_tags(call, entity, {}, entity.created_by)
    for contact_id in change.contacts:
        if isinstance(entity, Lead):
            link(call, entity, store.contacts.by_id[contact_id], by=entity.created_by)
    for company_id in change.companies:
        link(call, entity, store.companies.by_id[company_id], by=entity.created_by)
    store.reindex(entity)
    _tell(call, entity, "add")


def update(call: Call, entity: Entity, change: Change) -> None:
    """Apply a change to an entity, one event for each thing that differs, then webhooks."""
    old: dict[str, int] = {}
    differs = _update_attributes(call, entity, change, old)
    differs |= _update_values(call, entity, change)
    if change.tags:
        before = entity.tags
        entity.tags = change.tags.result(call.store, entity)
        differs |= _record_tags(call, entity, before, change.by)
    if isinstance(entity, Lead):
        differs |= _update_stage(call, entity, change, old)
    if not differs and call.options.quiet_when_unchanged:
        return
    entity.updated_by = change.by
    table: Any = call.store.table(entity.kind)
    table.touch(entity, now() if change.updated_at is None else change.updated_at)
    if isinstance(entity, Lead):
        entity.changed_at = time.time()
    call.store.reindex(entity)
    _tell_update(call, entity, old)


def _update_attributes(call: Call, entity: Entity, change: Change, old: dict[str, int]) -> bool:
    """Set the plain attributes; say whether one differs. `old` takes what a webhook tells of the time before."""
    differing = {name: value for name, value in change.attributes.items() if getattr(entity, name) != value}
    for name, value in differing.items():
        before = getattr(entity, name)
        setattr(entity, name, value)
        if name in ATTRIBUTE_EVENTS:
            type_, wrap = ATTRIBUTE_EVENTS[name]
            call.store.record(type_, entity=entity, by=change.by, before=[wrap(before)], after=[wrap(value)])
        if name == "responsible_user_id":
            old["old_responsible_user_id"] = before
    return bool(differing)


def _update_values(call: Call, entity: Entity, change: Change) -> bool:
    """Set the custom fields; say whether one differs."""
    table: Any = call.store.table(entity.kind)
    differs = False
    for field_id, values in change.values.items():
        before = entity.values.get(field_id)
        if before == (values or None):
            continue
        differs = True
        table.set_values(entity, field_id, values)
        call.store.record(
            f"custom_field_{field_id}_value_changed",
            entity=entity,
            by=change.by,
            before=_field_event(call, entity, field_id, before),
            after=_field_event(call, entity, field_id, values),
        )
    return differs


def _update_stage(call: Call, lead: Lead, change: Change, old: dict[str, int]) -> bool:
    """Move a lead; say whether it stands elsewhere now. `old` takes the stage it left."""
    stage = (lead.pipeline_id, lead.status_id)
    if not change.stage or change.stage == stage:
        # The last changed card lies on top.
        call.store.place(lead, *stage)
        return False
    old["old_status_id"] = lead.status_id
    _enter(call, lead, change.stage)
    call.store.record(
        "lead_status_changed",
        entity=lead,
        by=change.by,
        before=[_status_event(*stage)],
        after=[_status_event(*change.stage)],
    )
    return True


def delete(call: Call, entity: Entity) -> None:
    """Put the entity into the bin, from which it can be restored."""
    store = call.store
    if isinstance(entity, Lead):
        store.standing[entity.pipeline_id, entity.status_id].pop(entity.id, None)
        call.tell("delete_lead", LEADS, "delete", lambda: hook_bodies.deleted_lead(entity))
    elif isinstance(entity, Contact):
        item = {"id": entity.id, "type": SINGULAR[entity.kind]}
        call.tell(f"delete_{SINGULAR[entity.kind]}", CONTACTS, "delete", lambda: item)
    entity.is_deleted = True
    store.table(entity.kind).touch(entity, now())  # type: ignore[arg-type]
    store.version += 1
    store.record(f"{SINGULAR[entity.kind]}_deleted", entity=entity, by=call.user_id)


def restore(call: Call, entity: Entity) -> None:
    store = call.store
    entity.is_deleted = False
    store.table(entity.kind).touch(entity, now())  # type: ignore[arg-type]
    if isinstance(entity, Lead):
        store.place(entity, entity.pipeline_id, entity.status_id)
    store.record(f"{SINGULAR[entity.kind]}_restored", entity=entity, by=call.user_id)
    _tell(call, entity, "restore")


def link(call: Call, entity: Entity, to: Contact, *, is_main: bool | None = None, by: int) -> None:
    """Link a lead or contact to a contact or company; a lead's first contact becomes the main one."""
    if isinstance(entity, Lead) and to.kind == CONTACTS:
        if is_main or (is_main is None and not entity.contacts):
            entity.contacts = dict.fromkeys(entity.contacts, False)
            entity.contacts[to.id] = True
        else:
            entity.contacts[to.id] = False
    else:
        entity.companies[to.id] = None
    if isinstance(entity, Lead):
        to.leads[entity.id] = None
        call.store.version += 1
    target = [{"link": {"entity": {"type": SINGULAR[to.kind], "id": to.id}}}]
    call.store.record("entity_linked", entity=entity, by=by, after=target)


def unlink(call: Call, entity: Entity, to: Contact, *, by: int) -> None:
    if isinstance(entity, Lead) and to.kind == CONTACTS:
        was_main = entity.contacts.pop(to.id, False)
        if was_main and entity.contacts:
            entity.contacts[next(iter(entity.contacts))] = True
    else:
        entity.companies.pop(to.id, None)
    to.leads.pop(entity.id, None)
    target = [{"link": {"entity": {"type": SINGULAR[to.kind], "id": to.id}}}]
    call.store.record("entity_unlinked", entity=entity, by=by, before=target)


def _set_attributes(entity: Entity, change: Change) -> None:
    for name, value in change.attributes.items():
        setattr(entity, name, value)


def _enter(call: Call, lead: Lead, stage: tuple[int, int]) -> None:
    pipeline_id, status_id = stage
    call.store.place(lead, pipeline_id, status_id)
    lead.moved_at = lead.changed_at = time.time()
    if status_id in (WON_STATUS_ID, LOST_STATUS_ID):
        lead.closed_at = lead.closed_at or now()
    else:
        lead.closed_at = None
    if status_id != LOST_STATUS_ID:
        lead.loss_reason_id = None
    # Whoever moves a lead out of Incoming leads has accepted it.
    for waiting in [incoming for incoming in call.store.unsorted.values() if incoming.lead_id == lead.id]:
        if status_id != call.store.pipelines[pipeline_id].incoming_status().id:
            del call.store.unsorted[waiting.uid]


def _record_tags(call: Call, entity: Entity, before: dict[int, None], by: int) -> bool:
    names = call.store.tags[entity.kind].names
    for type_, tag_ids, side in (
        ("entity_tag_added", entity.tags.keys() - before.keys(), "after"),
        ("entity_tag_deleted", before.keys() - entity.tags.keys(), "before"),
    ):
        for tag_id in sorted(tag_ids):
            tag: list[Json] = [{"tag": {"name": names[tag_id]}}]
            call.store.record(type_, entity=entity, by=by, **{side: tag})  # type: ignore[arg-type]
    return entity.tags.keys() != before.keys()


def _field_event(call: Call, entity: Entity, field_id: int, values: list[Json] | None) -> list[Json]:
    field_type = call.store.fields[entity.kind][field_id].type
    return [
        {
            "custom_field_value": {
                "field_id": field_id,
                "field_type": field_type,
                "enum_id": value.get("enum_id"),
                "text": str(value.get("value")),
            }
        }
        for value in values or ()
    ]


def _status_event(pipeline_id: int, status_id: int) -> Json:
    return {"lead_status": {"id": status_id, "pipeline_id": pipeline_id}}


def _tell(call: Call, entity: Entity, action: str, **old: int) -> None:
    setting = f"{action}_{SINGULAR[entity.kind]}"
    if isinstance(entity, Lead):
        call.tell(setting, LEADS, action, lambda: hook_bodies.lead(call.store, call.options, entity, **old))
    elif isinstance(entity, Contact):
        call.tell(setting, CONTACTS, action, lambda: hook_bodies.contact(call.store, entity, **old))


def _tell_update(call: Call, entity: Entity, old: dict[str, int]) -> None:
    """Tell of an update: a move gives `status` as well as `update`, both with the old status."""
    if not isinstance(entity, Lead):
        _tell(call, entity, "update", **old)
        return
    moved = {name: value for name, value in old.items() if name == "old_status_id"}
    if moved and not call.options.no_status_hooks:
        _tell(call, entity, "status", **moved)
    if "old_responsible_user_id" in old:
        _tell(call, entity, "responsible", **old)
    _tell(call, entity, "update", **moved)
