"""The control API below `/_sandbox/`: acting as staff, ordering faults, reading the journal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from bridge.sandbox import catalogue, changes, contacts, leads, notes, talks, unsorted
from bridge.sandbox.answers import Answer, Json, Refusal, nothing
from bridge.sandbox.calls import Call, EntityRefusal, Route
from bridge.sandbox.changes import Change
from bridge.sandbox.entities import CONTACTS, LEADS, Contact, Field, Lead, Status
from bridge.sandbox.tags import TagChange
from bridge.sandbox.validation import Errors

STAFF_ID = 11087201  # who acts when a call names nobody
JSON_TYPE = "application/json"


def _answer(body: Any, status: int = 200) -> Answer:
    return Answer(body, status, JSON_TYPE)


# --- Faults, options, journal


def list_faults(call: Call) -> Answer:
    return _answer({"faults": [fault.as_json() for fault in call.sandbox.faults.orders]})


def order_fault(call: Call) -> Answer:
    return _answer(call.sandbox.faults.order(call.body).as_json(), 201)


def clear_faults(call: Call) -> Answer:
    call.sandbox.faults.orders.clear()
    return nothing()


def get_options(call: Call) -> Answer:
    return _answer(call.options.as_json())


def set_options(call: Call) -> Answer:
    call.options.update(call.body)
    return _answer(call.options.as_json())


def get_journal(call: Call) -> Answer:
    """Answer the requests from index `since` on (0), at most `limit`; `next` is where to go on."""
    since, limit = call.query.get("since", "0"), call.query.get("limit", "")
    if not str(since).isdigit() or (limit and not str(limit).isdigit()):
        raise Refusal.control("since and limit must be whole numbers", "use ?since=<next of the last answer>")
    journal = call.sandbox.journal
    entries = journal.since(int(since), int(limit) if limit else None)
    return _answer({"next": entries[-1]["index"] + 1 if entries else journal.count, "entries": entries})


def get_statistics(call: Call) -> Answer:
    sandbox = call.sandbox
    statistics = sandbox.journal.statistics()
    return _answer(
        {
            **statistics,
            "max_requests_in_any_second": sandbox.limiter.most_in_a_second,
            "leads": sum(not lead.is_deleted for lead in call.store.leads.by_id.values()),
            "contacts": sum(not contact.is_deleted for contact in call.store.contacts.by_id.values()),
            "webhooks": {
                "pending": sandbox.hooks.pending,
                "delivered": sandbox.hooks.delivered,
                "failed": sandbox.hooks.failed,
                "dropped": sandbox.hooks.dropped,
            },
        }
    )


def reset(call: Call) -> Answer:
    call.sandbox.reset()
    return nothing()


# --- Leads, as a member of staff


def get_leads(call: Call) -> Answer:
    """Answer the whole state: every lead, deleted ones too, and every contact."""
    people = [_show_contact(call, contact) for contact in call.store.contacts.by_id.values()]
    cards = [_show(call, lead) for lead in call.store.leads.by_id.values()]
    return _answer({"leads": cards, "contacts": people})


def get_lead(call: Call, lead_id: int) -> Answer:
    lead = call.store.leads.by_id.get(lead_id)
    if lead is None:
        raise _no_lead(lead_id)
    return _answer(_show(call, lead))


def create_lead(call: Call) -> Answer:
    """Create a lead with its contact, from a short form: name, phone, email, contact_name, tags as texts."""
    body = _staff_body(call)
    phone, email = body.pop("phone", None), body.pop("email", None)
    contact_name = body.pop("contact_name", None)
    contact_id, is_incoming = body.pop("contact_id", None), body.pop("incoming", False)
    if tags := body.pop("tags", None):
        body["tags_to_add"] = [{"name": name} for name in tags]
    stage = _stage(call, body, None)
    change = _checked(lambda errors: leads.read(call, body, errors, None))
    if stage:
        change.stage = stage
    pipeline = call.store.pipelines[change.stage[0] if change.stage else call.store.main_pipeline.id]
    if is_incoming:
        change.stage = (pipeline.id, pipeline.incoming_status().id)
    contact = call.store.contacts.get(contact_id) if contact_id else None
    if contact is None and (phone or email or contact_name):
        contact = _new_contact(call, contact_name or body.get("name") or "", phone, email)
    change.contacts = [contact.id] if contact else []
    lead = leads.create(call, change)
    if is_incoming:
        unsorted.wait(call, lead, contact, category="forms", metadata={"form_name": "Site"})
    return _answer(_show(call, lead), 201)


def move_lead(call: Call, lead_id: int) -> Answer:
    lead = _lead(call, lead_id)
    body = _staff_body(call)
    reason = body.pop("loss_reason_id", None)
    stage = _stage(call, body, lead)
    if stage is None:
        raise Refusal.control("no stage named", 'send {"status_id": 89709467} or {"stage": "Qualificado"}')
    change = Change(stage=stage, by=call.user_id)
    if reason is not None:
        change.attributes["loss_reason_id"] = reason
    changes.update(call, lead, change)
    return _answer(_show(call, lead))


def edit_lead(call: Call, lead_id: int) -> Answer:
    """Change what a card shows; takes every key a PATCH takes, checked the same way."""
    lead = _lead(call, lead_id)
    body = _staff_body(call)
    stage = _stage(call, body, lead)
    change = _checked(lambda errors: leads.read(call, body, errors, lead))
    if stage:
        change.stage = stage
    changes.update(call, lead, change)
    return _answer(_show(call, lead))


def delete_lead(call: Call, lead_id: int) -> Answer:
    lead = _lead(call, lead_id)
    _staff_body(call)
    changes.delete(call, lead)
    return _answer(_show(call, lead))


def restore_lead(call: Call, lead_id: int) -> Answer:
    _staff_body(call)
    lead = call.store.leads.by_id.get(lead_id)
    if lead is None or not lead.is_deleted:
        raise Refusal.control(f"lead {lead_id} is not deleted", "delete it first", 404)
    changes.restore(call, lead)
    return _answer(_show(call, lead))


def merge_lead(call: Call, lead_id: int) -> Answer:
    """Merge a lead into another: its contacts, tags and missing fields go over, then it vanishes unannounced."""
    lead = _lead(call, lead_id)
    body = _staff_body(call)
    into = _lead(call, body.get("into", 0))
    if into is lead:
        raise Refusal.control("a lead can not be merged into itself", 'send {"into": <another lead id>}')
    store = call.store
    for contact_id in list(lead.contacts):
        contact = store.contacts.by_id[contact_id]
        contact.leads.pop(lead.id, None)
        if contact_id not in into.contacts:
            changes.link(call, into, contact, by=call.user_id)
    missing = {id_: held for id_, held in lead.values.items() if id_ not in into.values}
    names = store.tags[LEADS].names
    change = Change(values=dict(missing), by=call.user_id)
    change.tags = TagChange(add=[names[tag_id] for tag_id in lead.tags])
    store.standing[lead.pipeline_id, lead.status_id].pop(lead.id, None)
    store.leads.remove(lead)
    changes.update(call, into, change)
    return _answer(_show(call, into))


def say(call: Call, lead_id: int) -> Answer:
    """Write in the lead's chat: `outgoing` as staff (user 0: a bot), `incoming` as the client."""
    lead = _lead(call, lead_id)
    user_id = call.body.get("user_id", STAFF_ID) if isinstance(call.body, dict) else STAFF_ID
    body = _staff_body(call)
    direction, text = body.get("direction", "outgoing"), body.get("text", "")
    if direction not in ("incoming", "outgoing") or not isinstance(text, str):
        raise Refusal.control("direction must be incoming or outgoing", 'send {"direction": "outgoing", "text": "Oi"}')
    message = talks.say(call, lead, direction=direction, text=text, user_id=user_id)
    return _answer(message, 201)


def add_note(call: Call, lead_id: int) -> Answer:
    lead = _lead(call, lead_id)
    text = _staff_body(call).get("text", "")
    note = notes.add(call, LEADS, lead.id, {"note_type": "common", "params": {"text": text}})
    return _answer(note, 201)


def edit_contact(call: Call, contact_id: int) -> Answer:
    contact = _contact(call, contact_id)
    body = _staff_body(call)
    change = _checked(lambda errors: contacts.read(call, CONTACTS, body, errors, contact))
    changes.update(call, contact, change)
    return _answer(_show_contact(call, contact))


def delete_contact(call: Call, contact_id: int) -> Answer:
    contact = _contact(call, contact_id)
    _staff_body(call)
    changes.delete(call, contact)
    return _answer(_show_contact(call, contact))


def populate(call: Call) -> Answer:
    """Fill the account with `leads` leads and contacts at once, without events or webhooks."""
    count = call.body.get("leads", 1000) if isinstance(call.body, dict) else 1000
    if not isinstance(count, int) or not 1 <= count <= 100_000:
        raise Refusal.control("leads must be from 1 to 100000", 'send {"leads": 1000}')
    call.user_id = call.store.admin_id
    events, call.news = list(call.store.events), []
    stages = [s for s in call.store.main_pipeline.in_order() if not s.is_incoming]
    first = len(call.store.leads.by_id)
    for number in range(first, first + count):
        contact = _new_contact(call, f"Pessoa {number}", f"+55819{number:08d}", None)
        stage = stages[number % len(stages)]
        change = Change(attributes={"name": f"Lead {number}"}, stage=(stage.pipeline_id, stage.id), by=call.user_id)
        change.contacts = [contact.id]
        leads.create(call, change)
    call.store.events.clear()
    call.store.events.extend(events)
    call.news = []
    return _answer({"leads": len(call.store.leads.by_id)}, 201)


# --- What an administrator changes


def add_enum(call: Call, field_id: int) -> Answer:
    field = _field(call, field_id)
    enum = catalogue.add_enum(call, field, _text(call, "value"))
    return _answer({"id": enum.id, "value": enum.value}, 201)


def rename_enum(call: Call, field_id: int, enum_id: int) -> Answer:
    field = _field(call, field_id, enum_id)
    catalogue.rename_enum(call, field, enum_id, _text(call, "value"))
    return _answer({"id": enum_id, "value": field.enums[enum_id].value})


def delete_enum(call: Call, field_id: int, enum_id: int) -> Answer:
    catalogue.remove_enum(call, _field(call, field_id, enum_id), enum_id)
    return nothing()


def rename_field(call: Call, field_id: int) -> Answer:
    field = _field(call, field_id)
    field.name = _text(call, "name")
    call.store.version += 1
    return _answer({"id": field.id, "name": field.name})


def delete_field(call: Call, field_id: int) -> Answer:
    field = _field(call, field_id)
    call.user_id = call.store.admin_id
    return catalogue.delete_field(call, field.entity_type, field.id)


def add_status(call: Call, pipeline_id: int) -> Answer:
    pipeline = call.store.pipelines.get(pipeline_id)
    if pipeline is None:
        raise Refusal.control(f"no pipeline {pipeline_id}", f"there are {sorted(call.store.pipelines)}", 404)
    status = catalogue.add_status(call, pipeline, {**call.body, "name": _text(call, "name")})
    return _answer({"id": status.id, "name": status.name, "pipeline_id": pipeline.id}, 201)


def rename_status(call: Call, status_id: int) -> Answer:
    status = _status(call, status_id)
    status.name = _text(call, "name")
    call.store.version += 1
    return _answer({"id": status.id, "name": status.name, "pipeline_id": status.pipeline_id})


def delete_status(call: Call, status_id: int) -> Answer:
    catalogue.remove_status(call, _status(call, status_id))
    return nothing()


def delete_user(call: Call, user_id: int) -> Answer:
    if call.store.users.pop(user_id, None) is None:
        raise Refusal.control(f"no user {user_id}", f"there are {sorted(call.store.users)}", 404)
    return nothing()


# --- Tokens and webhooks


def issue_token(call: Call) -> Answer:
    """Mint a long-lived token: a JWT for `user_id` (the administrator) that ends after `expires_in` seconds."""
    body = call.body if isinstance(call.body, dict) else {}
    seconds = body.get("expires_in", 5 * 365 * 86_400)
    if not isinstance(seconds, int | float):
        raise Refusal.control("expires_in must be seconds", 'send {"expires_in": 86400}')
    token = call.sandbox.tokens.issue_access(
        host=call.base_url.partition("//")[2], seconds=seconds, user_id=body.get("user_id")
    )
    return _answer({"token": token}, 201)


def expire_tokens(call: Call) -> Answer:
    call.sandbox.tokens.expire_all()
    return nothing()


def revoke_tokens(call: Call) -> Answer:
    call.sandbox.tokens.revoke_all()
    return nothing()


def issue_code(call: Call) -> Answer:
    return _answer({"code": call.sandbox.tokens.issue_code()}, 201)


def get_webhooks(call: Call) -> Answer:
    """Answer the subscriptions and what was sent to them, oldest first."""
    hooks = call.sandbox.hooks
    known = call.store.subscriptions.values()
    return _answer(
        {
            "subscriptions": [
                {"destination": one.destination, "settings": one.settings, "disabled": one.disabled} for one in known
            ],
            "pending": hooks.pending,
            "sent": list(hooks.sent),
        }
    )


def disable_webhooks(call: Call) -> Answer:
    """Switch subscriptions off as Kommo does after too many bad answers: one destination, or all."""
    wanted = call.body.get("destination") if isinstance(call.body, dict) else None
    disabled = [s for s in call.store.subscriptions.values() if wanted in (None, s.destination)]
    for subscription in disabled:
        subscription.disabled = True
    return _answer({"disabled": [subscription.destination for subscription in disabled]})


# --- Reading what a tester sends


def _staff_body(call: Call) -> Json:
    """Return the body without `user_id`, which becomes who acts."""
    if not isinstance(call.body, dict):
        raise Refusal.control("the body must be an object", "send {}")
    body = dict(call.body)
    call.user_id = body.pop("user_id", STAFF_ID)
    if not call.store.is_user(call.user_id, robot=True):
        raise Refusal.control(f"no user {call.user_id}", f"users: 0 and {sorted(call.store.users)}")
    return body


def _stage(call: Call, body: Json, lead: Lead | None) -> tuple[int, int] | None:
    """Take the stage out of the body, by ids or by name; None when it names none."""
    pipeline_id, status_id = body.pop("pipeline_id", None), body.pop("status_id", None)
    name = body.pop("stage", None)
    if status_id is None and name is None:
        if pipeline_id is not None:
            body["pipeline_id"] = pipeline_id
        return None
    own_id = lead.pipeline_id if lead else call.store.main_pipeline.id
    others = [id_ for id_ in call.store.pipelines if id_ != own_id]
    for candidate in [pipeline_id] if pipeline_id else [own_id, *others]:
        pipeline = call.store.pipelines.get(candidate)
        for status in pipeline.in_order() if pipeline else ():
            if status.id == status_id or (name is not None and _same(status.name, name)):
                if status.is_incoming:
                    raise Refusal.control("nobody can move a lead into Incoming leads", "choose another stage")
                return candidate, status.id
    known = [status.name for status in call.store.pipelines[own_id].in_order()]
    raise Refusal.control(f"no stage {status_id or name!r}", f"stages here: {', '.join(known)}")


def _same(one: str, other: str) -> bool:
    """Compare names without regard to case and accents."""

    def bare(text: str) -> str:
        split = unicodedata.normalize("NFKD", text.strip().casefold())
        return "".join(character for character in split if not unicodedata.combining(character))

    return bare(one) == bare(str(other))


def _checked(read: Callable[[Errors], Change]) -> Change:
    errors = Errors()
    try:
        change = read(errors)
    except EntityRefusal as refusal:
        raise Refusal.control(refusal.detail, "move the lead to Perdido first") from None
    if errors:
        found = "; ".join(f"{error['path']}: {error['detail']}" for error in errors.found)
        raise Refusal.control(found, "send what PATCH /api/v4/leads/{id} takes")
    return change


def _text(call: Call, name: str) -> str:
    value = call.body.get(name) if isinstance(call.body, dict) else None
    if not isinstance(value, str) or not value:
        raise Refusal.control(f"{name} is missing", f'send {{"{name}": "…"}}')
    return value


def _no_lead(lead_id: Any) -> Refusal:
    return Refusal.control(f"no lead {lead_id}", "GET /_sandbox/leads lists them", 404)


def _lead(call: Call, lead_id: int) -> Lead:
    lead = call.store.leads.get(lead_id)
    if lead is None:
        raise _no_lead(lead_id)
    return lead


def _contact(call: Call, contact_id: int) -> Contact:
    contact = call.store.contacts.get(contact_id)
    if contact is None:
        raise Refusal.control(f"no contact {contact_id}", "GET /_sandbox/leads lists them", 404)
    return contact


def _field(call: Call, field_id: int, enum_id: int | None = None) -> Field:
    for fields in call.store.fields.values():
        if field := fields.get(field_id):
            if enum_id is not None and enum_id not in field.enums:
                raise Refusal.control(f"no option {enum_id}", f"options: {sorted(field.enums)}", 404)
            return field
    raise Refusal.control(f"no field {field_id}", "GET /api/v4/leads/custom_fields lists them", 404)


def _status(call: Call, status_id: int) -> Status:
    pipeline = call.store.pipeline_of(status_id)
    if pipeline is None:
        raise Refusal.control(f"no stage {status_id} of one pipeline alone", "142 and 143 stay", 404)
    return pipeline.statuses[status_id]


def _new_contact(call: Call, name: str, phone: str | None, email: str | None) -> Contact:
    given = [("PHONE", phone), ("EMAIL", email)]
    fields = [{"field_code": code, "values": [{"value": text}]} for code, text in given if text]
    item = {"name": name, "custom_fields_values": fields}
    return contacts.create(call, CONTACTS, _checked(lambda errors: contacts.read(call, CONTACTS, item, errors, None)))


def _show(call: Call, lead: Lead) -> Json:
    """Return a lead as the API shows it, with everything around it, and flat for assertions."""
    call.query["with"] = "contacts,loss_reason"
    store = call.store
    pipeline = store.pipelines.get(lead.pipeline_id)
    status = store.status(lead.pipeline_id, lead.status_id)
    names = store.tags[LEADS].names
    fields = store.fields[LEADS]
    return {
        **leads.show(call, lead),
        "pipeline_name": pipeline.name if pipeline else None,
        "status_name": status.name if status else None,
        "tags": [names[tag_id] for tag_id in lead.tags],
        "fields": {
            fields[id_].name: held[0]["value"] if len(held) == 1 else [value["value"] for value in held]
            for id_, held in lead.values.items()
        },
        "contacts": [_show_contact(call, store.contacts.by_id[id_]) for id_ in lead.contacts],
        "notes": [store.notes[id_] for id_ in store.notes_of.get((LEADS, lead.id), ())],
        "tasks": [t for t in store.tasks.values() if (t["entity_type"], t["entity_id"]) == (LEADS, lead.id)],
    }


def _show_contact(call: Call, contact: Contact) -> Json:
    fields = call.store.fields[CONTACTS]
    by_code = {fields[id_].code: [value["value"] for value in held] for id_, held in contact.values.items()}
    return {
        **contacts.show(call, contact),
        "phones": by_code.get("PHONE", []),
        "emails": by_code.get("EMAIL", []),
        "lead_ids": list(contact.leads),
    }


ROUTES: list[Route] = [
    ("GET", "/_sandbox/faults", list_faults),
    ("POST", "/_sandbox/faults", order_fault),
    ("DELETE", "/_sandbox/faults", clear_faults),
    ("GET", "/_sandbox/options", get_options),
    ("POST", "/_sandbox/options", set_options),
    ("GET", "/_sandbox/journal", get_journal),
    ("GET", "/_sandbox/statistics", get_statistics),
    ("POST", "/_sandbox/reset", reset),
    ("GET", "/_sandbox/leads", get_leads),
    ("POST", "/_sandbox/leads", create_lead),
    ("GET", "/_sandbox/leads/<int:lead_id>", get_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/move", move_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/edit", edit_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/delete", delete_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/restore", restore_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/merge", merge_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/message", say),
    ("POST", "/_sandbox/leads/<int:lead_id>/note", add_note),
    ("POST", "/_sandbox/contacts/<int:contact_id>/edit", edit_contact),
    ("POST", "/_sandbox/contacts/<int:contact_id>/delete", delete_contact),
    ("POST", "/_sandbox/populate", populate),
    ("POST", "/_sandbox/fields/<int:field_id>/enums", add_enum),
    ("PATCH", "/_sandbox/fields/<int:field_id>/enums/<int:enum_id>", rename_enum),
    ("DELETE", "/_sandbox/fields/<int:field_id>/enums/<int:enum_id>", delete_enum),
    ("PATCH", "/_sandbox/fields/<int:field_id>", rename_field),
    ("DELETE", "/_sandbox/fields/<int:field_id>", delete_field),
    ("POST", "/_sandbox/pipelines/<int:pipeline_id>/statuses", add_status),
    ("PATCH", "/_sandbox/statuses/<int:status_id>", rename_status),
    ("DELETE", "/_sandbox/statuses/<int:status_id>", delete_status),
    ("DELETE", "/_sandbox/users/<int:user_id>", delete_user),
    ("POST", "/_sandbox/tokens", issue_token),
    ("POST", "/_sandbox/tokens/expire", expire_tokens),
    ("POST", "/_sandbox/tokens/revoke", revoke_tokens),
    ("POST", "/_sandbox/oauth/code", issue_code),
    ("GET", "/_sandbox/webhooks", get_webhooks),
    ("POST", "/_sandbox/webhooks/disable", disable_webhooks),
]
