"""`POST /leads/complex`: lead, contact and company in one call, and duplicate control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kommo_sandbox import changes, contacts, leads, unsorted
from kommo_sandbox.answers import Answer, Json
from kommo_sandbox.calls import Call, Route
from kommo_sandbox.changes import Change
from kommo_sandbox.entities import COMPANIES, CONTACTS, LOST_STATUS_ID, WON_STATUS_ID, Contact, Lead
from kommo_sandbox.store import digits
from kommo_sandbox.tags import TagChange
from kommo_sandbox.validation import MOST_COMPLEX, Errors, items_of

MOST_VALUES = 40  # custom field values of one entity
COMPARED_DIGITS = 8  # two phone numbers with the same last digits are the same


@dataclass
class Complex:
    lead: Change
    contact: Change | int | None
    company: Change | int | None
    # With metadata the lead arrives in Incoming leads.
    metadata: Json | None


def add_complex(call: Call) -> Answer:
    """Create leads with contact and company; answers a bare array, request ids as lists."""
    # Duplicate control compares with what was there before, never inside one request.
    known = dict.fromkeys(call.store.leads.by_id)

    def apply(item: Complex, request_id: str) -> Json:
        duplicate = _duplicate(call, item, known) if call.options.duplicate_control else None
        if duplicate:
            return _merge(call, duplicate, item, request_id)
        return _create(call, item, request_id)

    made = call.batch(items_of(call.body, MOST_COMPLEX), lambda item, errors: _read(call, item, errors), apply)
    return Answer(made)


def _read(call: Call, item: Json, errors: Errors) -> Complex:
    embedded = item.get("_embedded") if isinstance(item.get("_embedded"), dict) else {}
    assert isinstance(embedded, dict)
    metadata = embedded.get("metadata")
    plain = {**item, "_embedded": {key: embedded[key] for key in ("tags",) if key in embedded}}
    lead = leads.read(call, plain, errors, None)
    if lead.tags and call.options.first_tag_only_on_complex:
        lead.tags.add, lead.tags.replace = lead.tags.add[:1], lead.tags.replace and lead.tags.replace[:1]
    if len(lead.values) > MOST_VALUES:
        errors.add("FieldNotExpected", f"custom_fields_values.{MOST_VALUES}")
    return Complex(
        lead,
        _read_linked(call, CONTACTS, embedded.get("contacts"), errors),
        _read_linked(call, COMPANIES, embedded.get("companies"), errors),
        metadata if isinstance(metadata, dict) else None,
    )


def _read_linked(call: Call, kind: str, given: Any, errors: Errors) -> Change | int | None:
    """Return the id of an existing contact or company, or what a new one holds."""
    if not given:
        return None
    path = f"_embedded.{kind}"
    if not isinstance(given, list) or not isinstance(given[0], dict):
        errors.wrong_type(path, "array")
        return None
    if len(given) > 1:
        errors.add("FieldNotExpected", f"{path}.1")
        return None
    item = {key: value for key, value in given[0].items() if key != "is_main"}
    if item.get("id") is not None:
        if call.store.entity(kind, item["id"]) is None:
            errors.add("NotSupportedChoice", f"{path}.0.id")
            return None
        return int(item["id"])
    inner = Errors()
    change = contacts.read(call, kind, item, inner, None)
    errors.found += [{**error, "path": f"{path}.0.{error['path']}"} for error in inner.found]
    return change


def _create(call: Call, item: Complex, request_id: str) -> Json:
    contact = _linked(call, CONTACTS, item.contact)
    company = _linked(call, COMPANIES, item.company)
    item.lead.contacts = [contact.id] if contact else []
    item.lead.companies = [company.id] if company else []
    if contact and company:
        changes.link(call, contact, company, by=call.user_id)
    if item.metadata is not None:
        pipeline = call.store.pipelines[item.lead.stage[0]] if item.lead.stage else call.store.main_pipeline
        item.lead.stage = (pipeline.id, pipeline.incoming_status().id)
    lead = leads.create(call, item.lead)
    if item.metadata is not None:
        unsorted.wait(call, lead, contact, category="forms", metadata=item.metadata)
    return _answer(lead, contact, company, request_id, merged=False)


def _merge(call: Call, lead: Lead, item: Complex, request_id: str) -> Json:
    """Join the new lead to the one that is there: it gains tags and the fields it lacks, nothing else."""
    missing = {id_: values for id_, values in item.lead.values.items() if id_ not in lead.values}
    tags = TagChange(add=item.lead.tags.replace or item.lead.tags.add) if item.lead.tags else None
    changes.update(call, lead, Change(values=missing, tags=tags, by=item.lead.by))
    call.lead_ids.append(lead.id)
    contact = call.store.contacts.get(next(iter(lead.contacts), 0))
    company = call.store.companies.get(next(iter(lead.companies), 0))
    return _answer(lead, contact, company, request_id, merged=True)


def _answer(lead: Lead, contact: Contact | None, company: Contact | None, request_id: str, *, merged: bool) -> Json:
    return {
        "id": lead.id,
        "contact_id": contact.id if contact else None,
        "company_id": company.id if company else None,
        "request_id": [request_id],
        "merged": merged,
    }


def _linked(call: Call, kind: str, given: Change | int | None) -> Contact | None:
    if given is None:
        return None
    if isinstance(given, int):
        found = call.store.entity(kind, given)
        assert isinstance(found, Contact)
        return found
    return contacts.create(call, kind, given)


def _duplicate(call: Call, item: Complex, known: dict[int, None]) -> Lead | None:
    """Return an open lead of the same pipeline whose contact has the same phone number."""
    field = call.store.field(CONTACTS, code="PHONE")
    if field is None or not isinstance(item.contact, Change) or not item.lead.stage:
        return None
    phones = {digits(str(value["value"]))[-COMPARED_DIGITS:] for value in item.contact.values.get(field.id) or ()}
    for contact in call.store.contacts.by_id.values():
        known_digits = {digits(str(value["value"]))[-COMPARED_DIGITS:] for value in contact.values.get(field.id, ())}
        if contact.is_deleted or phones.isdisjoint(known_digits):
            continue
        for lead_id in contact.leads:
            lead = call.store.leads.get(lead_id)
            is_open = lead and lead.status_id not in (WON_STATUS_ID, LOST_STATUS_ID)
            if lead and is_open and lead_id in known and lead.pipeline_id == item.lead.stage[0]:
                return lead
    return None


ROUTES: list[Route] = [("POST", "/api/v4/leads/complex", add_complex)]
