"""What differs between our lead and its card, in Kommo's words. Pure.

`plan()` compares what the lead calls for (Desired) with what Kommo is known to hold (Observed) and returns the smallest
write that makes them agree; an empty plan means they do. Nothing that is not different is ever sent: an absent field
stays untouched in Kommo, and that is what keeps people's work safe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bridge.kommo import custom_field_values

# The same in every Kommo pipeline.
LOST_STATUS_ID = 143
CLOSED_STATUS_IDS = frozenset({142, LOST_STATUS_ID})

MAX_NAME_LENGTH = 250


class Operation(StrEnum):
    NONE = "none"
    CREATE = "create"
    UPDATE = "update"


@dataclass(frozen=True)
class DesiredField:
    """A custom field's wanted value: as Kommo takes it (`values`, None clears) and as it compares (`comparable`)."""

    field_id: int
    attribute: str
    values: list[dict[str, Any]] | None
    comparable: Any
    type: str = ""
    form: custom_field_values.Form = custom_field_values.CAREFUL

    def agrees(self, kommo_value: Any) -> bool:
        """Say whether the field shows it, if only in another form."""
        return custom_field_values.agrees(self.type, self.comparable, kommo_value, self.form)


@dataclass(frozen=True)
class TagFamily:
    """The tags the bridge owns: those that start with `prefix` and end with `suffix`."""

    prefix: str
    suffix: str
    tags: frozenset[str]
    # What we wanted when a person last changed this family; while we want nothing else, theirs stands.
    held_against: frozenset[str] | None = None
    # Those that told a fact of ours at some time. Others of the family are somebody else's, and stay.
    said_tags: frozenset[str] = frozenset()

    def owns(self, tag: str) -> bool:
        return tag.startswith(self.prefix) and tag.endswith(self.suffix)


@dataclass(frozen=True)
class Desired:
    """What the card should show. `status_id` None: the lead's place is none of ours to say."""

    lead_id: str
    name: str
    phone: str
    email: str
    pipeline_id: int | None
    status_id: int | None
    loss_reason_id: int | None = None
    fields: tuple[DesiredField, ...] = ()
    families: tuple[TagFamily, ...] = ()
    bridge_id_field_id: int | None = None
    # Statuses to enter one by one before `status_id`, because something happens in Kommo on entering them.
    statuses_to_visit: tuple[int, ...] = ()
    # What the configuration cannot say in Kommo's words, a sentence each.
    unmapped: tuple[str, ...] = ()
    # No write at all may go out, and why (for instance: the stage of a new lead is bound to nothing).
    refusal: str = ""
    # Kommo refused the loss reason together with the move: move first, give the reason after.
    loss_reason_after_move: bool = False
    # Something is bound to an id that our copy of the account does not have: the copy may be old.
    knows_too_little: bool = False
    # The kind of the phone and the e-mail among those the account has; empty: said without one.
    phone_kind: str = "MOB"
    email_kind: str = "WORK"
    # Without a contact: Kommo refused the whole of it.
    contact: bool = True
    # Without the lead's, the contact's name: Kommo refused it, and gives its own.
    lead_named: bool = True
    contact_named: bool = True


@dataclass(frozen=True)
class Observed:
    """What Kommo is known to hold. A key missing in `known` is unknown, and so is whatever `in_doubt` names."""

    kommo_lead_id: int | None
    known: Mapping[str, Any] = field(default_factory=dict)
    in_doubt: Mapping[str, Any] = field(default_factory=dict)

    def field(self, field_id: int) -> Any:
        return self.known.get("fields", {}).get(str(field_id))

    def doubts_field(self, field_id: int) -> bool:
        return str(field_id) in self.in_doubt.get("fields", {})

    @property
    def tags(self) -> frozenset[str]:
        return frozenset(self.known.get("tags", ()))


@dataclass(frozen=True)
class Plan:
    """One write for one card.

    body: the object for Kommo. effect: what `observed` holds once Kommo has confirmed it (same shape, only what is
    sent). unmapped: what could not be said in Kommo's words.
    """

    operation: Operation
    body: dict[str, Any] = field(default_factory=dict)
    effect: dict[str, Any] = field(default_factory=dict)
    unmapped: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def is_empty(self) -> bool:
        return self.operation is Operation.NONE

    @property
    def fingerprint(self) -> str:
        """Equal for two plans exactly when they ask Kommo for the same."""
        text = json.dumps([self.operation, self.body], sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def plan(desired: Desired, observed: Observed) -> Plan:
    """Return the write that brings the card to what the lead calls for; empty when they agree."""
    if desired.refusal:
        return Plan(Operation.NONE, unmapped=desired.unmapped, refusal=desired.refusal)
    if observed.kommo_lead_id is None:
        return _create(desired)
    return _update(desired, observed)


def _create(desired: Desired) -> Plan:
    # Without both, Kommo gives the lead a name.
    name = desired.name or desired.phone
    status_id = desired.statuses_to_visit[0] if desired.statuses_to_visit else desired.status_id
    filled = [wanted for wanted in desired.fields if wanted.values is not None]
    tags = sorted(tag for family in desired.families for tag in family.tags)
    values = [{"field_id": wanted.field_id, "values": wanted.values} for wanted in filled]
    if desired.bridge_id_field_id:
        values.append({"field_id": desired.bridge_id_field_id, "values": [{"value": desired.lead_id}]})
    contact = _contact(desired, name) if desired.contact else {}
    body: dict[str, Any] = {
        "pipeline_id": desired.pipeline_id,
        "status_id": status_id,
        "request_id": desired.lead_id,
        "_embedded": {"contacts": [contact]} if contact else {},
    }
    if desired.lead_named:
        body["name"] = name[:MAX_NAME_LENGTH]
    if tags:
        body["_embedded"]["tags"] = [{"name": tag} for tag in tags]
    if values:
        body["custom_fields_values"] = values
    known_fields = {str(wanted.field_id): wanted.comparable for wanted in filled}
    if desired.bridge_id_field_id:
        # Ours as well: what is not remembered as sent comes back as a person's edit.
        known_fields[str(desired.bridge_id_field_id)] = desired.lead_id
    effect = {
        "name": body.get("name", ""),
        "pipeline_id": desired.pipeline_id,
        "status_id": status_id,
        "fields": known_fields,
        "tags": tags,
    }
    return Plan(Operation.CREATE, body, effect, desired.unmapped)


def _contact(desired: Desired, name: str) -> dict[str, Any]:
    values = []
    if desired.phone:
        values.append({"field_code": "PHONE", "values": [_of_kind(desired.phone, desired.phone_kind)]})
    if desired.email:
        values.append({"field_code": "EMAIL", "values": [_of_kind(desired.email, desired.email_kind)]})
    contact: dict[str, Any] = {"name": name[:MAX_NAME_LENGTH]} if desired.contact_named else {}
    if values:
        contact["custom_fields_values"] = values
    return contact


def _of_kind(value: str, kind: str) -> dict[str, Any]:
    return {"value": value, "enum_code": kind} if kind else {"value": value}


def _update(desired: Desired, observed: Observed) -> Plan:
    body: dict[str, Any] = {}
    effect: dict[str, Any] = {}
    for part in (_plan_name, _plan_stage, _plan_fields, _plan_tags):
        part(desired, observed, body, effect)
    if not body:
        return Plan(Operation.NONE, unmapped=desired.unmapped)
    return Plan(Operation.UPDATE, {"id": observed.kommo_lead_id, **body}, effect, desired.unmapped)


Part = dict[str, Any]


def _plan_name(desired: Desired, observed: Observed, body: Part, effect: Part) -> None:
    # A lead whose name nobody knows yet does not rename a card that has one.
    name = desired.name[:MAX_NAME_LENGTH]
    is_there = custom_field_values.same_name(observed.known.get("name") or "", name)
    if desired.lead_named and name and ("name" in observed.in_doubt or not is_there):
        body["name"] = effect["name"] = name


def _plan_stage(desired: Desired, observed: Observed, body: Part, effect: Part) -> None:
    target = desired.statuses_to_visit[0] if desired.statuses_to_visit else desired.status_id
    if target is None or desired.pipeline_id is None:
        return
    standing = (observed.known.get("pipeline_id"), observed.known.get("status_id"))
    if standing != (desired.pipeline_id, target) or "status_id" in observed.in_doubt or desired.statuses_to_visit:
        # 142 and 143 exist in every pipeline: a status is only a place together with its pipeline.
        body["pipeline_id"], body["status_id"] = desired.pipeline_id, target
        effect["pipeline_id"], effect["status_id"] = desired.pipeline_id, target
        moves_to_lost = target == LOST_STATUS_ID
        with_reason = moves_to_lost and desired.loss_reason_id and not desired.loss_reason_after_move
    else:
        wrong_reason = observed.known.get("loss_reason_id") != desired.loss_reason_id
        with_reason = target == LOST_STATUS_ID and desired.loss_reason_id and wrong_reason
    if with_reason:
        body["loss_reason_id"] = effect["loss_reason_id"] = desired.loss_reason_id


def _plan_fields(desired: Desired, observed: Observed, body: Part, effect: Part) -> None:
    differing = [
        wanted
        for wanted in desired.fields
        if not wanted.agrees(observed.field(wanted.field_id)) or observed.doubts_field(wanted.field_id)
    ]
    if differing:
        body["custom_fields_values"] = [{"field_id": wanted.field_id, "values": wanted.values} for wanted in differing]
        effect["fields"] = {str(wanted.field_id): wanted.comparable for wanted in differing}


def _plan_tags(desired: Desired, observed: Observed, body: Part, effect: Part) -> None:
    maybe_there = observed.tags | set(observed.in_doubt.get("tags_to_add", ()))
    surely_there = observed.tags - set(observed.in_doubt.get("tags_to_add", ()))
    surely_there -= set(observed.in_doubt.get("tags_to_delete", ()))
    families = [family for family in desired.families if family.held_against != family.tags]
    wanted = {tag for family in families for tag in family.tags}
    in_doubt = set(observed.in_doubt.get("tags_to_add", ())) | set(observed.in_doubt.get("tags", ()))
    ours = {
        tag
        for tag in maybe_there
        if any(family.owns(tag) and (tag in family.said_tags or tag in in_doubt) for family in families)
    }
    # A tag two families claim belongs to whichever wants it, held or not.
    kept = {tag for family in desired.families for tag in family.tags}
    to_add, to_delete = sorted(wanted - surely_there), sorted(ours - kept)
    if to_add:
        body["tags_to_add"] = [{"name": tag} for tag in to_add]
        effect["tags_to_add"] = to_add
    if to_delete:
        body["tags_to_delete"] = [{"name": tag} for tag in to_delete]
        effect["tags_to_delete"] = to_delete


def apply(known: Mapping[str, Any], effect: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Kommo holds after a confirmed write: `known` with the parts that were sent replaced."""
    after = dict(known)
    for key, value in effect.items():
        if key == "fields":
            after["fields"] = {**known.get("fields", {}), **value}
        elif key in ("tags_to_add", "tags_to_delete"):
            continue
        else:
            after[key] = value
    if effect.get("status_id", LOST_STATUS_ID) != LOST_STATUS_ID and "loss_reason_id" in known:
        # Kommo forgets it.
        after["loss_reason_id"] = None
    if "tags_to_add" in effect or "tags_to_delete" in effect:
        tags = set(known.get("tags", ())) | set(effect.get("tags_to_add", ()))
        after["tags"] = sorted(tags - set(effect.get("tags_to_delete", ())))
    return after


def contested(effect: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a write that Kommo was seen to hold differently `now` than `before` the call.

    Somebody else wrote there meanwhile, and nobody can say whose write was the last. What was seen to be as the write
    has it is its own echo, heard before the answer.
    """
    doubts: dict[str, Any] = {}
    for key, value in effect.items():
        if key == "fields":
            old, new = before.get("fields", {}), now.get("fields", {})
            moved = {
                field_id: wanted
                for field_id, wanted in value.items()
                if new.get(field_id) not in (old.get(field_id), wanted)
            }
            if moved:
                doubts["fields"] = moved
        elif key in ("tags_to_add", "tags_to_delete"):
            seen = set(now.get("tags", ()))
            against = set(value) - seen if key == "tags_to_add" else set(value) & seen
            if tags := sorted(against & (set(before.get("tags", ())) ^ seen)):
                doubts[key] = tags
        elif now.get(key) not in (before.get(key), value):
            doubts[key] = value
    return doubts


def unanswered(doubts: Mapping[str, Any], observed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stays in doubt of writes that may still be under way, once Kommo was `observed`."""
    left: dict[str, Any] = {}
    tags = set(observed.get("tags", ()))
    for key, value in doubts.items():
        if key == "fields":
            others = {
                field_id: wanted
                for field_id, wanted in value.items()
                if observed.get("fields", {}).get(field_id) != wanted
            }
            if others:
                left["fields"] = others
        elif key == "tags_to_add":
            if missing := sorted(set(value) - tags):
                left[key] = missing
        elif key == "tags_to_delete":
            if remaining := sorted(set(value) & tags):
                left[key] = remaining
        elif observed.get(key) != value:
            left[key] = value
    if "status_id" in left or "pipeline_id" in left:
        # 142 and 143 exist in every pipeline: a status is only a place together with its pipeline.
        left |= {key: doubts[key] for key in ("pipeline_id", "status_id") if key in doubts}
    return left


def combine_doubts(earlier: Mapping[str, Any], effect: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is in doubt once `effect` has been sent while `earlier` was still unanswered."""
    doubts = {**earlier, **effect}
    doubts["fields"] = {**earlier.get("fields", {}), **effect.get("fields", {})}
    for key in ("tags_to_add", "tags_to_delete"):
        doubts[key] = sorted({*earlier.get(key, ()), *effect.get(key, ())})
    return {key: value for key, value in doubts.items() if value not in ({}, [])}
