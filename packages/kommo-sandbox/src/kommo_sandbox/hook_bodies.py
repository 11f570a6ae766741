"""Webhook bodies in Kommo's old naming: `date_create`, `last_modified`, `custom_fields`, everything text."""

from __future__ import annotations

from datetime import UTC, datetime

from kommo_sandbox import values
from kommo_sandbox.answers import Json
from kommo_sandbox.entities import ELEMENT_TYPE, SINGULAR, Contact, Lead, Talk, Unsorted
from kommo_sandbox.options import Options
from kommo_sandbox.store import Store


def lead(store: Store, options: Options, entity: Lead, **old: int) -> Json:
    """Return the common block of a lead; `old` has `old_status_id` or `old_responsible_user_id`."""
    item: Json = {"id": entity.id, "name": entity.name, "status_id": entity.status_id, **old}
    item |= {
        "price": f"{entity.price:.2f}" if options.decimals_in_hooks else int(entity.price),
        **({"price_with_minor_units": f"{entity.price:.2f}"} if options.minor_units else {}),
        "responsible_user_id": entity.responsible_user_id,
        "last_modified": entity.updated_at,
        "modified_user_id": entity.updated_by,
        "created_user_id": entity.created_by,
        "date_create": entity.created_at,
        "pipeline_id": entity.pipeline_id,
    }
    if entity.tags:
        names = store.tags[entity.kind].names
        item["tags"] = [{"id": tag_id, "name": names[tag_id]} for tag_id in entity.tags]
    item["account_id"] = store.account_id
    if entity.values:
        item["custom_fields"] = values.show_in_hook(store, entity)
    return item | {"created_at": entity.created_at, "updated_at": entity.updated_at}


def deleted_lead(entity: Lead) -> Json:
    """Return what a deletion tells: neither time nor author."""
    return {"id": entity.id, "status_id": entity.status_id, "pipeline_id": entity.pipeline_id}


def contact(store: Store, entity: Contact, **old: int) -> Json:
    """Return the block of a contact, or of a company, which comes under `contacts` too."""
    item: Json = {"id": entity.id, "name": entity.name}
    item |= {
        "responsible_user_id": entity.responsible_user_id,
        **old,
        "date_create": entity.created_at,
        "last_modified": entity.updated_at,
        "created_user_id": entity.created_by,
        "modified_user_id": entity.updated_by,
        "account_id": store.account_id,
    }
    if entity.leads:
        item["linked_leads_id"] = {lead_id: {"ID": lead_id} for lead_id in entity.leads}
    if entity.tags:
        names = store.tags[entity.kind].names
        item["tags"] = [{"id": tag_id, "name": names[tag_id]} for tag_id in entity.tags]
    if entity.values:
        item["custom_fields"] = values.show_in_hook(store, entity)
    return item | {
        "created_at": entity.created_at,
        "updated_at": entity.updated_at,
        "type": SINGULAR[entity.kind],
    }


NOTE_NUMBERS = {"common": 4, "attachment": 5, "call_in": 10, "call_out": 11, "service_message": 25}


def note(store: Store, given: Json) -> Json:
    """Return a note's block, nested once more under `note`."""
    kind = given["entity_kind"]
    created_by = given["created_by"]
    author = store.users[created_by].name if created_by in store.users else ""
    # Kommo sends the metadata as a JSON string.
    metadata = f'{{"event_source":{{"id":{created_by},"author_name":"{author}","type":1}}}}'
    return {
        "note": {
            "text": given["params"].get("text", ""),
            "attachement": "",
            "date_create": text_date(given["created_at"]),
            "note_type": NOTE_NUMBERS.get(given["note_type"], 4),
            "element_type": ELEMENT_TYPE[kind],
            "element_id": given["entity_id"],
            "catalog_id": 0,
            "group_id": 0,
            "timestamp_x": text_date(given["updated_at"]),
            "account_id": store.account_id,
            "metadata": metadata,
            "created_by": created_by,
            "modified_by": given["updated_by"],
            "main_user_id": given["responsible_user_id"],
            "id": given["id"],
            "created_at": given["created_at"],
            "updated_at": given["updated_at"],
        }
    }


def task(store: Store, given: Json, old_text: str | None = None) -> Json:
    item: Json = {
        "id": given["id"],
        "element_id": given["entity_id"] or 0,
        "element_type": ELEMENT_TYPE.get(str(given["entity_type"]), 0),
        "task_type": given["task_type_id"],
        "date_create": text_date(given["created_at"]),
        "text": given["text"],
        "status": int(given["is_completed"]),
        "account_id": store.account_id,
        "created_user_id": given["created_by"],
        "last_modified": text_date(given["updated_at"]),
        "responsible_user_id": given["responsible_user_id"],
        "complete_till": text_date(given["complete_till"]),
    }
    if old_text is not None:
        item |= {"action_close": int(given["is_completed"]), "old_text": old_text}
        if given["result"]:
            item["result"] = {"id": given["id"], "text": given["result"]["text"]}
    return item | {
        "created_at": given["created_at"],
        "updated_at": given["updated_at"],
        "complete_before": given["complete_till"],
    }


def talk(given: Talk) -> Json:
    return {
        "talk_id": given.id,
        "created_at": given.created_at,
        "updated_at": given.updated_at,
        "rate": 0,
        "contact_id": given.contact_id,
        "chat_id": given.chat_id,
        "entity_id": given.lead_id,
        "entity_type": "lead",
        "is_in_work": int(given.is_in_work),
        "is_read": 1,
        "origin": "waba",
    }


def message(given: Talk, content: Json) -> Json:
    """Return a chat message's block; the author of an incoming one is external, of an outgoing one internal."""
    item: Json = {
        "id": content["id"],
        "chat_id": given.chat_id,
        "talk_id": given.id,
        "contact_id": given.contact_id,
        "text": content["text"],
        "created_at": content["created_at"],
        "message_type": content.get("message_type", "text"),
        "element_type": 2,
        "entity_type": "lead",
        "element_id": given.lead_id,
        "entity_id": given.lead_id,
        "type": content["direction"],
        "author": content["author"],
        "origin": "waba",
    }
    if content["direction"] == "outgoing":
        item["source_id"] = 1
        item["recipient"] = content["recipient"]
    if "attachment" in content:
        item["attachment"] = content["attachment"]
    return item


def unlinked(item: Json) -> Json:
    """Return a message's block while its chat is no lead's: nothing of the lead is in it."""
    lead_keys = ("element_type", "entity_type", "element_id", "entity_id")
    return {key: value for key, value in item.items() if key not in lead_keys}


def placeholder(item: Json) -> Json:
    """Return a message's block while its file is on its way: a text in its place, and no attachment."""
    plain = {key: value for key, value in item.items() if key != "attachment"}
    return plain | {"message_type": "text", "text": item["text"] or "\N{HOURGLASS WITH FLOWING SAND}"}


def unsorted_added(store: Store, given: Unsorted) -> Json:
    entity = store.leads.by_id[given.lead_id]
    return {
        "uid": given.uid,
        "category": given.category,
        "source_data": {"form_name": given.metadata.get("form_name", "")},
        "data": {"leads": [{"id": entity.id, "name": entity.name}]},
        "lead_id": given.lead_id,
        "pipeline_id": given.pipeline_id,
        "created_at": given.created_at,
    }


def unsorted_settled(given: Unsorted, action: str, user_id: int) -> Json:
    return {
        "action": action,
        "uid": given.uid,
        f"{action}_result": {"leads": [given.lead_id]},
        "category": given.category,
        "created_at": given.created_at,
        "modified_user_id": user_id,
    }


def text_date(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")
