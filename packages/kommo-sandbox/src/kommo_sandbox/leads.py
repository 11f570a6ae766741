"""Leads: showing, creating, changing; what Kommo refuses and how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from kommo_sandbox import brackets, changes, filters, forms, tags, values
from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, EntityRefusal, Route
from kommo_sandbox.changes import Change
from kommo_sandbox.entities import LEADS, LOST_STATUS_ID, Lead
from kommo_sandbox.store import now
from kommo_sandbox.validation import Errors, items_of, object_of

LOSS_REASON_REFUSAL = "Loss reason can be specified only for lost lead"

# Attribute -> is null allowed. Kommo takes these in a write.
INTEGERS = {"responsible_user_id": False, "closed_at": True, "created_at": False, "created_by": False}
# Known and written by nobody: a lead read before may be sent back whole.
IGNORED = {
    "id",
    "group_id",
    "closest_task_at",
    "is_deleted",
    "score",
    "account_id",
    "labor_cost",
    "is_price_modified_by_robot",
    "price_with_minor_units",
    "source_id",
    "visitor_uid",
    "is_price_computed",
    "_links",
    "request_id",
}
WRITTEN = {
    *INTEGERS,
    "name",
    "price",
    "status_id",
    "pipeline_id",
    "loss_reason_id",
    "updated_at",
    "updated_by",
    "custom_fields_values",
    "_embedded",
    "tags_to_add",
    "tags_to_delete",
}


# --- Reading


def show(call: Call, lead: Lead) -> Json:
    """Return the lead as the API shows it, with what `with` asks for."""
    with_ = call.with_()
    if "only_deleted" in with_:
        return _deleted(call, lead.id, lead.updated_at, lead.updated_by)
    embedded: Json = {
        "tags": tags.shown(call.store, lead),
        "companies": [{"id": id_, "_links": call.link(f"/api/v4/companies/{id_}")} for id_ in lead.companies],
    }
    if "contacts" in with_:
        embedded["contacts"] = [
            {"id": id_, "is_main": is_main, "_links": call.link(f"/api/v4/contacts/{id_}")}
            for id_, is_main in lead.contacts.items()
        ]
    if "loss_reason" in with_:
        reason = lead.loss_reason_id
        embedded["loss_reason"] = [{"id": reason, "name": call.store.loss_reasons.get(reason, "")}] if reason else []
    if "catalog_elements" in with_:
        embedded["catalog_elements"] = []
    return {
        "id": lead.id,
        "name": lead.name,
        "price": int(lead.price),
        "responsible_user_id": lead.responsible_user_id,
        "group_id": 0,
        "status_id": lead.status_id,
        "pipeline_id": lead.pipeline_id,
        "loss_reason_id": lead.loss_reason_id,
        "created_by": lead.created_by,
        "updated_by": lead.updated_by,
        "created_at": lead.created_at,
        "updated_at": lead.updated_at,
        "closed_at": lead.closed_at,
        "closest_task_at": call.store.closest_task_at(LEADS, lead.id),
        "is_deleted": lead.is_deleted,
        "custom_fields_values": values.show(call.store, lead),
        "score": None,
        "account_id": call.store.account_id,
        "labor_cost": None,
        **({"price_with_minor_units": float(lead.price)} if call.options.minor_units else {}),
        "_links": call.link(f"/api/v4/leads/{lead.id}"),
        "_embedded": embedded,
    }


def _deleted(call: Call, lead_id: int, updated_at: int, updated_by: int) -> Json:
    """Return a lead of the trash: as seen live, everything is null but these."""
    nulls = ("name", "price", "responsible_user_id", "status_id", "pipeline_id", "created_at", "custom_fields_values")
    return {
        "id": lead_id,
        **dict.fromkeys(nulls),
        "updated_by": updated_by,
        "updated_at": updated_at,
        "account_id": call.store.account_id,
        "is_deleted": True,
        "_links": call.link(f"/api/v4/leads/{lead_id}"),
    }


# What nobody expects of a lead, in one: fields without ids and as an object, a price in words.
ODD_LEAD: Json = {
    "id": 19_999_999,
    "name": None,
    "price": "1 000,50",
    "updated_at": "2026-01-01",
    "custom_fields_values": {"0": {"values": [{"value": "?"}]}},
    "_embedded": [],
}
FIRST_IN_TRASH = 1_000_000


def list_leads(call: Call) -> Answer:
    call.lead_ids = sorted(brackets.numbers(call.filter("id")))
    found: Iterable[Lead | Json] = filters.find(call)
    if "only_deleted" in call.with_():
        found = chain(found, _trash(call))
    answer = call.page(found, "leads", lambda lead: lead if isinstance(lead, dict) else show(call, lead))
    if call.options.odd_rows and answer.body:
        answer.body["_embedded"]["leads"].append(ODD_LEAD)
    return answer


def _trash(call: Call) -> Iterator[Json]:
    """Yield what the trash holds beside the leads that were deleted here, the newest first."""
    at = now()
    return (
        _deleted(call, FIRST_IN_TRASH + number, at - number - 1, call.store.admin_id)
        for number in range(call.options.trash_size)
    )


def get_lead(call: Call, lead_id: int) -> Answer:
    call.lead_ids = [lead_id]
    lead = None if call.options.hides_leads else call.store.leads.get(lead_id)
    return Answer(show(call, lead)) if lead else nothing()


# --- Writing


def read(call: Call, item: Json, errors: Errors, lead: Lead | None) -> Change:
    """Return what one item of a write asks for, noting what Kommo would refuse.

    Raises EntityRefusal for a loss reason on a lead that is not lost.
    """
    change = Change(by=call.author_id, entity=lead)
    if lead is None:
        call.refuse_when_full(LEADS)
    for name in item.keys() - WRITTEN - IGNORED:
        errors.add("FieldNotExpected", name)
    _read_attributes(call, item, errors, change)
    change.stage = _read_stage(call, item, errors, lead)
    _check_archive(call, errors, change, lead)
    change.values = values.read(call, LEADS, item.get("custom_fields_values"), errors)
    change.tags = tags.read(call, LEADS, item, errors)
    if lead is None:
        _read_links(call, item, errors, change)
    _read_loss_reason(call, item, errors, change, lead)
    if call.options.enforce_required_statuses and not call.by_hand:
        _check_required_fields(call, errors, change, lead)
    return change


def create(call: Call, change: Change) -> Lead:
    store = call.store
    made_at = now()
    lead = Lead(
        id=store.leads.new_id(),
        kind=LEADS,
        name="",
        responsible_user_id=store.admin_id,
        created_by=change.by,
        updated_by=change.by,
        created_at=made_at,
        updated_at=made_at if change.updated_at is None else change.updated_at,
    )
    if not change.attributes.get("name"):
        change.attributes["name"] = f"Lead #{lead.id}"
    changes.create(call, lead, change)
    call.lead_ids.append(lead.id)
    return lead


def add_leads(call: Call) -> Answer:
    def apply(change: Change, request_id: str) -> Json:
        lead = create(call, change)
        return {"id": lead.id, "request_id": request_id, "_links": call.link(f"/api/v4/leads/{lead.id}")}

    made = call.batch(items_of(call.body), lambda item, errors: read(call, item, errors, None), apply)
    return Answer({"_links": call.link("/api/v4/leads"), "_embedded": {"leads": made}})


def update_leads(call: Call) -> Answer:
    def read_one(item: Json, errors: Errors) -> Change | None:
        if item.get("id") is None:
            errors.add("FieldMissing", "id")
            return None
        if not errors.integer(item["id"], "id"):
            return None
        lead = call.store.leads.get(item["id"])
        if lead is None:
            if not call.options.skip_unknown_ids:
                errors.add("NotSupportedChoice", "id")
            return None
        return read(call, item, errors, lead)

    changed = call.batch(items_of(call.body), read_one, lambda change, id_: _update(call, change, id_))
    return Answer({"_links": call.link("/api/v4/leads"), "_embedded": {"leads": changed}})


def update_lead(call: Call, lead_id: int) -> Answer:
    item = object_of(call.body)
    lead = call.store.leads.get(lead_id)
    if lead is None:
        raise Refusal.problem(404, "Lead not found")
    changed = call.batch(
        [item],
        lambda entry, errors: read(call, entry, errors, lead),
        lambda change, request_id: _update(call, change, request_id),
    )
    return Answer(changed[0])


def _update(call: Call, change: Change, request_id: str) -> Json:
    lead = change.entity
    assert isinstance(lead, Lead)
    changes.update(call, lead, change)
    call.lead_ids.append(lead.id)
    return {
        "id": lead.id,
        "updated_at": lead.updated_at,
        "request_id": request_id,
        "_links": call.link(f"/api/v4/leads/{lead.id}"),
    }


def _read_attributes(call: Call, item: Json, errors: Errors, change: Change) -> None:
    if (name := forms.name(call, item, errors)) is not None:
        change.attributes["name"] = name
    if "price" in item:
        price = item["price"]
        if not isinstance(price, int | float) or isinstance(price, bool):
            errors.wrong_type("price", "int")
        elif price < 0:
            errors.add("TooLow", "price")
        else:
            change.attributes["price"] = price
    for name, may_be_null in INTEGERS.items():
        if name in item and ((may_be_null and item[name] is None) or errors.integer(item[name], name)):
            change.attributes[name] = item[name]
    for name in ("responsible_user_id", "created_by"):
        user_id = change.attributes.get(name)
        if user_id is not None and not call.store.is_user(user_id, robot=name == "created_by"):
            errors.add("NotSupportedChoice", name)
    if item.get("updated_at") is not None and errors.integer(item["updated_at"], "updated_at"):
        change.updated_at = item["updated_at"]
    for name in ("created_by", "updated_by"):
        # A creation is attributed to created_by, a change to updated_by.
        if item.get(name) is not None and (name == "updated_by") == (change.entity is not None):
            if not errors.integer(item[name], name):
                continue
            if call.store.is_user(item[name], robot=True):
                change.by = item[name]
            elif name == "updated_by":
                errors.add("NotSupportedChoice", name)


def _read_stage(call: Call, item: Json, errors: Errors, lead: Lead | None) -> tuple[int, int] | None:
    """Return the pipeline and status to stand in afterwards; None leaves the lead where it is."""
    store = call.store
    pipeline_id, status_id = item.get("pipeline_id"), item.get("status_id")
    for name, value in (("pipeline_id", pipeline_id), ("status_id", status_id)):
        if name in item and not errors.integer(value, name):
            return None
    if pipeline_id is not None and pipeline_id not in store.pipelines:
        errors.add("NotSupportedChoice", "pipeline_id")
        return None
    if status_id is not None:
        # A status alone names its pipeline, except won and lost, which every pipeline has.
        own = store.pipelines.get(lead.pipeline_id) if lead else store.main_pipeline
        pipeline = store.pipelines[pipeline_id] if pipeline_id else store.pipeline_of(status_id) or own
        status = pipeline.statuses.get(status_id) if pipeline else None
        if pipeline is None or status is None or status.is_incoming:
            errors.add("NotSupportedChoice", "status_id")
            return None
        return pipeline.id, status_id
    if lead is None:
        pipeline = store.pipelines[pipeline_id] if pipeline_id else store.main_pipeline
        return pipeline.id, pipeline.first_status().id
    current = store.status(lead.pipeline_id, lead.status_id)
    stays = pipeline_id in (None, lead.pipeline_id)
    if stays and (current is None or not current.is_incoming):
        return None
    # Any change takes a lead out of Incoming leads; a pipeline alone means its first stage.
    pipeline = store.pipelines[pipeline_id or lead.pipeline_id]
    return pipeline.id, pipeline.first_status().id


def _read_loss_reason(call: Call, item: Json, errors: Errors, change: Change, lead: Lead | None) -> None:
    if "loss_reason_id" not in item:
        return
    reason = item["loss_reason_id"]
    if reason is not None and (not errors.integer(reason, "loss_reason_id") or reason not in call.store.loss_reasons):
        if isinstance(reason, int):
            errors.add("NotSupportedChoice", "loss_reason_id")
        return
    after = change.stage[1] if change.stage else lead.status_id if lead else 0
    if lead is None:
        is_allowed = reason is None or after == LOST_STATUS_ID
    elif call.options.loss_reason_before_move:
        is_allowed = lead.status_id == LOST_STATUS_ID
    else:
        is_allowed = reason is None or after == LOST_STATUS_ID
    if not is_allowed:
        raise EntityRefusal(lead.id if lead else 0, LOSS_REASON_REFUSAL)
    change.attributes["loss_reason_id"] = reason


def _read_links(call: Call, item: Json, errors: Errors, change: Change) -> None:
    embedded = item.get("_embedded")
    if not isinstance(embedded, dict):
        return
    contacts = [contact for contact in embedded.get("contacts") or () if isinstance(contact, dict)]
    for index, given in enumerate(sorted(contacts, key=lambda contact: not contact.get("is_main"))):
        if call.store.contacts.get(given.get("id", 0)) is None:
            errors.add("NotSupportedChoice", f"_embedded.contacts.{index}.id")
        else:
            change.contacts.append(given["id"])
    for index, given in enumerate(embedded.get("companies") or ()):
        if not isinstance(given, dict) or call.store.companies.get(given.get("id", 0)) is None:
            errors.add("NotSupportedChoice", f"_embedded.companies.{index}.id")
        else:
            change.companies.append(given["id"])


def _check_archive(call: Call, errors: Errors, change: Change, lead: Lead | None) -> None:
    pipeline_id = change.stage[0] if change.stage else lead.pipeline_id if lead else 0
    pipeline = call.store.pipelines.get(pipeline_id)
    if call.options.archived_refuses_writes and pipeline and pipeline.is_archive:
        errors.add("NotSupportedChoice", "pipeline_id", "The pipeline is archived.")


def _check_required_fields(call: Call, errors: Errors, change: Change, lead: Lead | None) -> None:
    if change.stage is None:
        return
    stage = {"pipeline_id": change.stage[0], "status_id": change.stage[1]}
    for field in call.store.fields[LEADS].values():
        if stage in field.required_statuses:
            stored = lead.values.get(field.id) if lead else None
            if not change.values.get(field.id, stored):
                errors.add("FieldMissing", f"custom_fields_values.{field.id}")


ROUTES: list[Route] = [
    ("GET", "/api/v4/leads", list_leads),
    ("POST", "/api/v4/leads", add_leads),
    ("PATCH", "/api/v4/leads", update_leads),
    ("GET", "/api/v4/leads/<int:lead_id>", get_lead),
    ("PATCH", "/api/v4/leads/<int:lead_id>", update_lead),
]
