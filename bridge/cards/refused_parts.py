"""One refused part costs no other part: what Kommo names as wrong is left out, and everything else of the card arrives.

`Card.refused_parts`: part -> {"reason", "cause", "on"}. A part is left out while its cause is the same: the value
itself, and what the account has of the field, option, stage and pipeline it is about. When that changes it is sent
again; and once a day in any case, for limits and plans are nowhere to be seen. Decides on values alone.

Parts are called `name`, `field:<id>`, `stage`, `loss_reason`, `tag:<name>`, `tags`, `kind:<code>` (of a phone or an
e-mail), `contact:<code>`, `contact:name` and `contact`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bridge.cards.plan import Desired
from bridge.errors import Rejection
from bridge.models import Catalogue


def named(body: Mapping[str, Any], items: Iterable[Rejection]) -> dict[str, Rejection]:
    """Return the parts of a write that its refusal names, with what is said of each."""
    found: dict[str, Rejection] = {}
    for item in items:
        if part := _part(body, item.path):
            found.setdefault(part, item)
    return found


def left_out(
    desired: Desired, refused: Mapping[str, Any], catalogue: Catalogue | None, observed: Mapping[str, Any]
) -> Desired:
    """Return what is called for without the parts that would be refused again, and a sentence for each of those."""
    for part, entry in refused.items():
        is_due = catalogue is not None and entry["on"] < catalogue.fetched_at.date().isoformat()
        if not is_due and entry["cause"] == cause(part, desired, catalogue, observed):
            desired = _without(desired, part, entry["reason"], is_new=not observed)
    return desired


def cause(part: str, desired: Desired, catalogue: Catalogue | None, observed: Mapping[str, Any]) -> str:
    """Return a fingerprint of everything that a refusal of the part may be about."""
    kind, _, name = part.partition(":")
    about: list[Any] = [part]
    if kind == "field":
        about += [[field.values for field in desired.fields if str(field.field_id) == name], _field(catalogue, name)]
    elif kind == "stage":
        pipelines = catalogue.pipelines if catalogue else ()
        about += [desired.pipeline_id, desired.status_id, desired.statuses_to_visit]
        about += [pipeline for pipeline in pipelines if pipeline["id"] == desired.pipeline_id]
        # A stage may ask for a field, which staff fill in, or which a later fact does.
        about += [observed.get("fields"), observed.get("status_id")]
        about += [lead_field.get("required_statuses") for lead_field in (catalogue.lead_fields if catalogue else ())]
        about += [[field.field_id, field.values] for field in desired.fields]
    elif kind == "name":
        about += [desired.name, desired.phone]
    elif kind in ("kind", "contact"):
        about += [desired.phone, desired.email, desired.name, catalogue.contact_fields if catalogue else None]
    else:
        about += [desired.loss_reason_id]
    text = json.dumps(about, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _part(body: Mapping[str, Any], path: str) -> str:
    """Return the part of a write that a path of Kommo's names; empty for none that could be left out."""
    head, *rest = path.split(".")
    if head == "custom_fields_values":
        return _field_part(body, rest)
    if head == "name" and head in body:
        return "name"
    if head in ("status_id", "pipeline_id") and "status_id" in body:
        return "stage"
    if head == "loss_reason_id" and head in body:
        return "loss_reason"
    if head in ("tags_to_add", "tags_to_delete"):
        return _tag_part(body.get(head), rest)
    embedded = body.get("_embedded")
    if head == "_embedded" and rest and isinstance(embedded, dict):
        if rest[0] == "tags":
            return _tag_part(embedded.get("tags"), rest[1:])
        if rest[0] == "contacts":
            return _contact_part((embedded.get("contacts") or [{}])[0], rest[2:])
    return ""


def _field_part(body: Mapping[str, Any], rest: list[str]) -> str:
    values = body.get("custom_fields_values") or []
    number = int(rest[0]) if rest and rest[0].isdigit() else None
    if number is not None and number < len(values):
        return f"field:{values[number]['field_id']}"
    # A field that is not in the write is missing: the stage asks for it.
    return "stage" if "status_id" in body else ""


def _tag_part(tags: Any, rest: list[str]) -> str:
    if not tags:
        return ""
    number = int(rest[0]) if rest and rest[0].isdigit() else None
    return f"tag:{tags[number]['name']}" if number is not None and number < len(tags) else "tags"


def _contact_part(contact: Mapping[str, Any], rest: list[str]) -> str:
    if rest and rest[0] == "name" and "name" in contact:
        return "contact:name"
    values = contact.get("custom_fields_values") or []
    if len(rest) > 1 and rest[0] == "custom_fields_values" and rest[1].isdigit() and int(rest[1]) < len(values):
        code = values[int(rest[1])]["field_code"]
        has_kind = "enum_code" in values[int(rest[1])]["values"][0]
        return f"kind:{code}" if rest[-1] in ("enum_code", "enum_id") and has_kind else f"contact:{code}"
    return "contact" if contact else ""


def _field(catalogue: Catalogue | None, field_id: str) -> Any:
    return next(
        (
            lead_field
            for lead_field in (catalogue.lead_fields if catalogue else ())
            if str(lead_field["id"]) == field_id
        ),
        None,
    )


def _without(desired: Desired, part: str, reason: str, *, is_new: bool) -> Desired:
    kind, _, name = part.partition(":")
    changes: dict[str, Any] = {}
    if kind == "field":
        if name == str(desired.bridge_id_field_id):
            # It proves whose lead it is, and shows nothing of the person: its loss blocks nothing.
            return replace(desired, bridge_id_field_id=None)
        changes["fields"] = tuple(field for field in desired.fields if str(field.field_id) != name)
    elif kind == "stage":
        # A new card needs a place, and never gets another one instead.
        changes |= {"refusal": reason} if is_new else {"status_id": None, "statuses_to_visit": ()}
    elif kind in ("tag", "tags"):
        changes["families"] = tuple(
            replace(family, tags=frozenset(tag for tag in family.tags if kind == "tag" and tag != name))
            for family in desired.families
        )
    elif kind == "kind":
        # Said without its kind, nothing is missing.
        return replace(desired, phone_kind="") if name == "PHONE" else replace(desired, email_kind="")
    elif kind == "loss_reason":
        changes["loss_reason_id"] = None
    elif kind == "name":
        changes["lead_named"] = False
    elif part == "contact:name":
        changes["contact_named"] = False
    elif part == "contact:EMAIL":
        changes["email"] = ""
    elif part in ("contact", "contact:PHONE"):
        changes |= {"phone": "", "email": "", "contact": part != "contact"}
    return replace(desired, **changes, unmapped=(*desired.unmapped, reason))
