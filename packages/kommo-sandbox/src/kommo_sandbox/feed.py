"""The events feed: who changed what, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kommo_sandbox import brackets
from kommo_sandbox.answers import Answer, Json, Refusal, nothing
from kommo_sandbox.calls import Call, Route

PLURAL = {"lead": "leads", "contact": "contacts", "company": "companies"}
MOST_IDS = 10


def show(call: Call, event: Json) -> Json:
    entity_path = f"/api/v4/{PLURAL[event['entity_type']]}/{event['entity_id']}"
    return {
        **event,
        "_links": call.link(f"/api/v4/events/{event['id']}"),
        "_embedded": {"entity": {"id": event["entity_id"], "_links": call.link(entity_path)}},
    }


def list_events(call: Call) -> Answer:
    entity_ids = brackets.numbers(call.filter("entity_id"))
    entities = set(brackets.members(call.filter("entity")))
    if entity_ids and len(entities) != 1:
        raise Refusal.problem(400, "filter[entity_id] needs exactly one filter[entity]")
    if len(entity_ids) > MOST_IDS or len(brackets.numbers(call.filter("created_by"))) > MOST_IDS:
        raise Refusal.problem(400, f"At most {MOST_IDS} ids in one filter")
    return call.page(_found(call, entities, entity_ids), "events", lambda event: show(call, event))


def get_event(call: Call, event_id: str) -> Answer:
    event = next((candidate for candidate in call.store.events if candidate["id"] == event_id), None)
    return Answer(show(call, event)) if event else nothing()


def _found(call: Call, entities: set[str], entity_ids: set[int]) -> Iterator[Json]:
    types = set(brackets.members(call.filter("type")))
    authors = brackets.numbers(call.filter("created_by"))
    start, end = _span(call.filter("created_at"))
    for event in reversed(call.store.events):
        if start is not None and event["created_at"] < start:
            # Events are in order of time: nothing further back can match.
            return
        if (
            (end is None or event["created_at"] <= end)
            and (not types or _is_of(event["type"], types))
            and (not entities or event["entity_type"] in entities)
            and (not entity_ids or event["entity_id"] in entity_ids)
            and (not authors or event["created_by"] in authors)
            and _has_status(event["value_before"], call.filter("value_before"))
            and _has_status(event["value_after"], call.filter("value_after"))
        ):
            yield event


def _is_of(type_: str, wanted: set[str]) -> bool:
    if type_ in wanted:
        return True
    # One name stands for the change of any custom field.
    return "custom_field_value_changed" in wanted and type_.startswith("custom_field_")


def _span(given: Any) -> tuple[int | None, int | None]:
    """Return the bounds of `[from]`/`[to]` or of `from,to`."""
    if isinstance(given, dict) and given.keys() & {"from", "to"}:
        parts = [str(given.get("from", "")), str(given.get("to", ""))]
    else:
        parts = [*brackets.members(given), "", ""][:2]
    start, end = (int(part) if part.isdigit() else None for part in parts)
    return start, end


def _has_status(values: list[Json], wanted: Any) -> bool:
    stages = wanted.get("leads_statuses") if isinstance(wanted, dict) else None
    if not isinstance(stages, dict):
        return True
    statuses = [value["lead_status"] for value in values if "lead_status" in value]
    return any(
        all(
            str(status[own]) == str(stage[name])
            for name, own in (("status_id", "id"), ("pipeline_id", "pipeline_id"))
            if name in stage
        )
        for status in statuses
        for stage in stages.values()
        if isinstance(stage, dict)
    )


ROUTES: list[Route] = [
    ("GET", "/api/v4/events", list_events),
    ("GET", "/api/v4/events/<event_id>", get_event),
]
