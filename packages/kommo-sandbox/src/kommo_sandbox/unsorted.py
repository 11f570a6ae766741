"""Leads that wait in "Incoming leads": list, take in, accept, decline."""

from __future__ import annotations

import hashlib
from typing import Any

from kommo_sandbox import brackets, changes, contacts, hook_bodies, leads
from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.changes import Change
from kommo_sandbox.entities import CONTACTS, Contact, Lead, Unsorted
from kommo_sandbox.store import now
from kommo_sandbox.validation import Errors, items_of


def show(call: Call, waiting: Unsorted) -> Json:
    links = call.link(f"/api/v4/leads/{waiting.lead_id}")
    embedded: Json = {"leads": [{"id": waiting.lead_id, "_links": links}], "contacts": [], "companies": []}
    if waiting.contact_id:
        contact_links = call.link(f"/api/v4/contacts/{waiting.contact_id}")
        embedded["contacts"] = [{"id": waiting.contact_id, "_links": contact_links}]
    return {
        "uid": waiting.uid,
        "source_uid": None,
        "source_name": waiting.metadata.get("form_name", ""),
        "category": waiting.category,
        "pipeline_id": waiting.pipeline_id,
        "created_at": waiting.created_at,
        "metadata": waiting.metadata,
        "account_id": call.store.account_id,
        "_links": call.link(f"/api/v4/leads/unsorted/{waiting.uid}"),
        "_embedded": embedded,
    }


def wait(call: Call, lead: Lead, contact: Contact | None, *, category: str, metadata: Json) -> Unsorted:
    """Note that the lead waits for acceptance, and tell of it."""
    waiting = Unsorted(
        uid=hashlib.sha256(f"{lead.id}".encode()).hexdigest()[:60],
        category=category,
        pipeline_id=lead.pipeline_id,
        lead_id=lead.id,
        contact_id=contact.id if contact else None,
        created_at=now(),
        metadata=metadata,
    )
    call.store.unsorted[waiting.uid] = waiting
    call.tell("add_unsorted", "unsorted", "add", lambda: hook_bodies.unsorted_added(call.store, waiting))
    return waiting


def list_unsorted(call: Call) -> Answer:
    categories = set(brackets.members(call.filter("category")))
    pipelines = brackets.numbers(call.filter("pipeline_id"))
    uids = set(brackets.members(call.filter("uid")))
    found = [
        incoming
        for incoming in call.store.unsorted.values()
        if (not categories or incoming.category in categories)
        and (not pipelines or incoming.pipeline_id in pipelines)
        and (not uids or incoming.uid in uids)
    ]
    return call.page(found, "unsorted", lambda incoming: show(call, incoming))


def get_unsorted(call: Call, uid: str) -> Answer:
    waiting = call.store.unsorted.get(uid)
    return Answer(show(call, waiting)) if waiting else nothing()


def add_unsorted(call: Call, category: str) -> Answer:
    def read(item: Json, errors: Errors) -> tuple[Change, Change | None, Json]:
        embedded: Any = item.get("_embedded") or {}
        lead_item = (embedded.get("leads") or [{}])[0]
        contact_item = (embedded.get("contacts") or [None])[0]
        if not isinstance(item.get("metadata"), dict):
            errors.add("FieldMissing", "metadata")
        lead = leads.read(call, {k: v for k, v in lead_item.items() if k != "status_id"}, errors, None)
        contact = contacts.read(call, CONTACTS, contact_item, errors, None) if contact_item else None
        pipeline = call.store.pipelines.get(item.get("pipeline_id") or call.store.main_pipeline.id)
        if pipeline is None:
            errors.add("NotSupportedChoice", "pipeline_id")
        else:
            lead.stage = (pipeline.id, pipeline.incoming_status().id)
        return lead, contact, item

    def apply(taken: tuple[Change, Change | None, Json], request_id: str) -> Json:
        lead_change, contact_change, item = taken
        contact = contacts.create(call, CONTACTS, contact_change) if contact_change else None
        lead_change.contacts = [contact.id] if contact else []
        lead = leads.create(call, lead_change)
        waiting = wait(call, lead, contact, category=category, metadata=item["metadata"])
        return {**show(call, waiting), "request_id": request_id}

    made = call.batch(items_of(call.body), read, apply)
    return Answer({"_total_items": len(made), "_links": call.link(call.path), "_embedded": {"unsorted": made}})


def accept(call: Call, uid: str) -> Answer:
    """Move the waiting lead to a stage: the one named, else the pipeline's first."""
    waiting, lead = _waiting(call, uid)
    item = call.body if isinstance(call.body, dict) else {}
    pipeline = call.store.pipelines[waiting.pipeline_id]
    status_id = item.get("status_id") or pipeline.first_status().id
    target = pipeline if status_id in pipeline.statuses else call.store.pipeline_of(status_id)
    status = target.statuses.get(status_id) if target else None
    if target is None or status is None or status.is_incoming:
        error = Errors()
        error.add("NotSupportedChoice", "status_id")
        raise Refusal.validation([{"request_id": "0", "errors": error.found}])
    change = Change(stage=(target.id, status_id), by=item.get("user_id") or call.user_id)
    if item.get("user_id"):
        change.attributes["responsible_user_id"] = item["user_id"]
    changes.update(call, lead, change)
    return _settle(call, waiting, "accept", change.by)


def decline(call: Call, uid: str) -> Answer:
    waiting, lead = _waiting(call, uid)
    changes.delete(call, lead)
    item = call.body if isinstance(call.body, dict) else {}
    return _settle(call, waiting, "decline", item.get("user_id") or call.user_id)


def _settle(call: Call, waiting: Unsorted, action: str, user_id: int) -> Answer:
    call.store.unsorted.pop(waiting.uid, None)
    call.lead_ids.append(waiting.lead_id)
    call.tell(
        "delete_unsorted",
        "unsorted",
        "delete",
        lambda: hook_bodies.unsorted_settled(waiting, action, user_id),
    )
    return Answer(
        {
            "uid": waiting.uid,
            "pipeline_id": waiting.pipeline_id,
            "category": waiting.category,
            "created_at": waiting.created_at,
            "_embedded": show(call, waiting)["_embedded"],
        }
    )


def _waiting(call: Call, uid: str) -> tuple[Unsorted, Lead]:
    waiting = call.store.unsorted.get(uid)
    if waiting is None:
        raise Refusal.problem(404, "Unsorted not found")
    return waiting, call.store.leads.by_id[waiting.lead_id]


ROUTES: list[Route] = [
    ("GET", "/api/v4/leads/unsorted", list_unsorted),
    ("POST", "/api/v4/leads/unsorted/<any(forms,sip):category>", add_unsorted),
    ("GET", "/api/v4/leads/unsorted/<uid>", get_unsorted),
    ("POST", "/api/v4/leads/unsorted/<uid>/accept", accept),
    ("DELETE", "/api/v4/leads/unsorted/<uid>/decline", decline),
]
