"""Acting as a member of staff: on leads, in their chats, on contacts."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from kommo_sandbox import changes, contacts, leads, notes, talks, unsorted
from kommo_sandbox.answers import Answer, Json, Refusal
from kommo_sandbox.calls import Call, EntityRefusal, Route
from kommo_sandbox.changes import Change
from kommo_sandbox.control.bodies import answer
from kommo_sandbox.entities import CONTACTS, LEADS, Contact, Lead
from kommo_sandbox.tags import TagChange
from kommo_sandbox.validation import Errors

STAFF_ID = 11087201  # who acts when a call names nobody
ROBOT_EVENTS = ("robot_replied", "ai_result", "intent_identified")


def get_leads(call: Call) -> Answer:
    """Answer the whole state: every lead, deleted ones too, and every contact."""
    people = [_show_contact(call, contact) for contact in call.store.contacts.by_id.values()]
    cards = [_show(call, lead) for lead in call.store.leads.by_id.values()]
    return answer({"leads": cards, "contacts": people})


def get_lead(call: Call, lead_id: int) -> Answer:
    lead = call.store.leads.by_id.get(lead_id)
    if lead is None:
        raise _no_lead(lead_id)
    return answer(_show(call, lead))


def create_lead(call: Call) -> Answer:
    """Create a lead with its contact, from a short form: name, phone, email, contact_name, tags as texts."""
    body = _staff_body(call)
    phones, email = _phones(body), body.pop("email", None)
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
    if contact is None and (phones or email or contact_name):
        contact = _new_contact(call, contact_name or body.get("name") or "", phones, email)
    change.contacts = [contact.id] if contact else []
    lead = leads.create(call, change)
    if is_incoming:
        unsorted.wait(call, lead, contact, category="forms", metadata={"form_name": "Site"})
    return answer(_show(call, lead), 201)


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
    return answer(_show(call, lead))


def edit_lead(call: Call, lead_id: int) -> Answer:
    """Change what a card shows; takes every key a PATCH takes, checked the same way."""
    lead = _lead(call, lead_id)
    body = _staff_body(call)
    stage = _stage(call, body, lead)
    change = _checked(lambda errors: leads.read(call, body, errors, lead))
    if stage:
        change.stage = stage
    changes.update(call, lead, change)
    return answer(_show(call, lead))


def delete_lead(call: Call, lead_id: int) -> Answer:
    lead = _lead(call, lead_id)
    _staff_body(call)
    changes.delete(call, lead)
    return answer(_show(call, lead))


def restore_lead(call: Call, lead_id: int) -> Answer:
    _staff_body(call)
    lead = call.store.leads.by_id.get(lead_id)
    if lead is None or not lead.is_deleted:
        raise Refusal.control(f"lead {lead_id} is not deleted", "delete it first", 404)
    changes.restore(call, lead)
    return answer(_show(call, lead))


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
    missing = {id_: values for id_, values in lead.values.items() if id_ not in into.values}
    names = store.tags[LEADS].names
    change = Change(values=dict(missing), by=call.user_id)
    change.tags = TagChange(add=[names[tag_id] for tag_id in lead.tags])
    store.standing[lead.pipeline_id, lead.status_id].pop(lead.id, None)
    store.leads.remove(lead)
    changes.update(call, into, change)
    if call.options.merge_events:
        named = lead if call.options.merge_events_name_the_lost else into
        store.record("entity_merged", entity=named, by=call.user_id)
    return answer(_show(call, into))


def merge_contact(call: Call, contact_id: int) -> Answer:
    """Merge a contact into another: its numbers and leads go over, then it vanishes."""
    contact = _contact(call, contact_id)
    body = _staff_body(call)
    into = _contact(call, body.get("into", 0))
    if into is contact:
        raise Refusal.control("a contact can not be merged into itself", 'send {"into": <another contact id>}')
    store = call.store
    for lead_id in list(contact.leads):
        lead = store.leads.by_id[lead_id]
        was_main = lead.contacts.pop(contact.id, False)
        changes.link(call, lead, into, is_main=was_main or lead.contacts.get(into.id), by=call.user_id)
    for field_id, values in contact.values.items():
        kept = into.values.get(field_id, [])
        is_multitext = store.fields[CONTACTS][field_id].type == "multitext"
        more = [value for value in values if value["value"] not in [other["value"] for other in kept]]
        if not kept or is_multitext:
            store.contacts.set_values(into, field_id, [*kept, *more])
    store.contacts.remove(contact)
    changes.update(call, into, Change(by=call.user_id))
    if call.options.merge_events:
        store.record("entity_merged", entity=into, by=call.user_id)
    return answer(_show_contact(call, into))


def set_main_contact(call: Call, lead_id: int) -> Answer:
    """Make another contact the main one: `contact_id`, or a new one by `name` and `phone`."""
    lead = _lead(call, lead_id)
    body = _staff_body(call)
    if body.get("contact_id"):
        contact = _contact(call, body["contact_id"])
    else:
        contact = _new_contact(call, str(body.get("name") or ""), _phones(body), body.get("email"))
    changes.link(call, lead, contact, is_main=True, by=call.user_id)
    changes.update(call, lead, Change(by=call.user_id))
    return answer(_show(call, lead))


def act_as_robot(call: Call, lead_id: int) -> Answer:
    """Let Kommo's own robots act on a lead: `kind` is an event of theirs; with `text` they say it in the chat."""
    lead = _lead(call, lead_id)
    body = _staff_body(call)
    call.user_id = 0
    kind = body.get("kind", "robot_replied")
    if kind not in ROBOT_EVENTS:
        raise Refusal.control(f"unknown kind {kind!r}", f"known kinds: {', '.join(ROBOT_EVENTS)}")
    if text := body.get("text"):
        talks.say(call, lead, direction="outgoing", text=str(text), user_id=0)
    call.store.record(kind, entity=lead, by=0)
    return answer(_show(call, lead))


def say(call: Call, lead_id: int) -> Answer:
    """Write in the lead's chat: `outgoing` as staff (user 0: a bot), `incoming` as the client.

    With `by_bot` a program writes with the token of `user_id`. `kind` makes it a file (voice, picture …), and `told` is
    how webhooks tell of it (packages/kommo-sandbox/src/kommo_sandbox/talks.py).
    """
    lead = _lead(call, lead_id)
    user_id = call.body.get("user_id", STAFF_ID) if isinstance(call.body, dict) else STAFF_ID
    body = _staff_body(call)
    direction, text = body.get("direction", "outgoing"), body.get("text", "")
    if direction not in ("incoming", "outgoing") or not isinstance(text, str):
        raise Refusal.control("direction must be incoming or outgoing", 'send {"direction": "outgoing", "text": "Oi"}')
    kind, telling = body.get("kind", "text"), body.get("told", "once")
    if telling not in talks.TOLD or not isinstance(kind, str):
        raise Refusal.control(f"unknown way to tell {telling!r}", f"choose one of {', '.join(talks.TOLD)}")
    message = talks.say(
        call,
        lead,
        direction=direction,
        text=text,
        user_id=user_id,
        by_bot=bool(body.get("by_bot")),
        kind=kind,
        telling=telling,
    )
    return answer(message, 201)


def get_chat(call: Call, lead_id: int) -> Answer:
    """Answer what was said in a lead's chats, oldest first."""
    lead = _lead(call, lead_id)
    messages = [message for talk in call.store.talks.values() if talk.lead_id == lead.id for message in talk.messages]
    return answer({"messages": sorted(messages, key=lambda message: message["created_at"])})


def add_note(call: Call, lead_id: int) -> Answer:
    lead = _lead(call, lead_id)
    text = _staff_body(call).get("text", "")
    note = notes.add(call, LEADS, lead.id, {"note_type": "common", "params": {"text": text}})
    return answer(note, 201)


def edit_contact(call: Call, contact_id: int) -> Answer:
    contact = _contact(call, contact_id)
    body = _staff_body(call)
    change = _checked(lambda errors: contacts.read(call, CONTACTS, body, errors, contact))
    changes.update(call, contact, change)
    return answer(_show_contact(call, contact))


def delete_contact(call: Call, contact_id: int) -> Answer:
    contact = _contact(call, contact_id)
    _staff_body(call)
    changes.delete(call, contact)
    return answer(_show_contact(call, contact))


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
        contact = _new_contact(call, f"Pessoa {number}", [f"+55819{number:08d}"], None)
        stage = stages[number % len(stages)]
        change = Change(attributes={"name": f"Lead {number}"}, stage=(stage.pipeline_id, stage.id), by=call.user_id)
        change.contacts = [contact.id]
        leads.create(call, change)
    call.store.events.clear()
    call.store.events.extend(events)
    call.news = []
    return answer({"leads": len(call.store.leads.by_id)}, 201)


def _staff_body(call: Call) -> Json:
    """Return the body without `user_id`, which becomes who acts."""
    if not isinstance(call.body, dict):
        raise Refusal.control("the body must be an object", "send {}")
    body = dict(call.body)
    call.user_id, call.by_hand = body.pop("user_id", STAFF_ID), True
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


def _same(name: str, other: str) -> bool:
    """Compare names without regard to case and accents."""

    def bare(text: str) -> str:
        split = unicodedata.normalize("NFKD", text.strip().casefold())
        return "".join(character for character in split if not unicodedata.combining(character))

    return bare(name) == bare(str(other))


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


def _phones(body: Json) -> list[str]:
    """Take the numbers out of the body: one as `phone`, several as `phones`."""
    phone, several = body.pop("phone", None), body.pop("phones", None) or []
    return [str(text) for text in ([phone] if phone else []) + list(several)]


def _new_contact(call: Call, name: str, phones: list[str], email: str | None) -> Contact:
    given = [("PHONE", phones), ("EMAIL", [email] if email else [])]
    fields = [{"field_code": code, "values": [{"value": text} for text in texts]} for code, texts in given if texts]
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
        "link": call.options.card_link.replace("{id}", str(lead.id)),
        "fields": {
            fields[id_].name: values[0]["value"] if len(values) == 1 else [value["value"] for value in values]
            for id_, values in lead.values.items()
        },
        "contacts": [_show_contact(call, store.contacts.by_id[id_]) for id_ in lead.contacts],
        "notes": [store.notes[id_] for id_ in store.notes_of.get((LEADS, lead.id), ())],
        "tasks": [t for t in store.tasks.values() if (t["entity_type"], t["entity_id"]) == (LEADS, lead.id)],
    }


def _show_contact(call: Call, contact: Contact) -> Json:
    fields = call.store.fields[CONTACTS]
    by_code = {fields[id_].code: [value["value"] for value in values] for id_, values in contact.values.items()}
    return {
        **contacts.show(call, contact),
        "phones": by_code.get("PHONE", []),
        "emails": by_code.get("EMAIL", []),
        "lead_ids": list(contact.leads),
    }


ROUTES: list[Route] = [
    ("GET", "/_sandbox/leads", get_leads),
    ("POST", "/_sandbox/leads", create_lead),
    ("GET", "/_sandbox/leads/<int:lead_id>", get_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/move", move_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/edit", edit_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/delete", delete_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/restore", restore_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/merge", merge_lead),
    ("POST", "/_sandbox/leads/<int:lead_id>/main_contact", set_main_contact),
    ("POST", "/_sandbox/leads/<int:lead_id>/message", say),
    ("GET", "/_sandbox/leads/<int:lead_id>/chat", get_chat),
    ("POST", "/_sandbox/leads/<int:lead_id>/robot", act_as_robot),
    ("POST", "/_sandbox/leads/<int:lead_id>/note", add_note),
    ("POST", "/_sandbox/contacts/<int:contact_id>/edit", edit_contact),
    ("POST", "/_sandbox/contacts/<int:contact_id>/delete", delete_contact),
    ("POST", "/_sandbox/contacts/<int:contact_id>/merge", merge_contact),
    ("POST", "/_sandbox/populate", populate),
]
