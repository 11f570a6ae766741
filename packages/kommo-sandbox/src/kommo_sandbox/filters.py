"""Which leads a list finds, and in which order."""

from __future__ import annotations

import operator
import time
from collections.abc import Iterable
from typing import Any

from kommo_sandbox import brackets
from kommo_sandbox.answers import Json
from kommo_sandbox.calls import Call
from kommo_sandbox.entities import LEADS, Lead


def find(call: Call) -> Iterable[Lead]:
    """Return the leads a list is to show, in its order; those deleted only when it asks for them."""
    wants_deleted = "only_deleted" in call.with_()
    if call.options.hides_leads:
        return ()
    candidates, order = _candidates(call)
    settled_before = time.time() - call.options.lists_lag_seconds
    found = (
        lead
        for lead in candidates
        if lead.is_deleted == wants_deleted
        and _matches(call, lead)
        and (not call.options.lists_lag_seconds or lead.changed_at <= settled_before)
    )
    return _in_order(call, found, order)


def _candidates(call: Call) -> tuple[Iterable[Lead], str]:
    """Return the leads worth looking at, by the narrowest index the filters allow, and what orders them."""
    table = call.store.leads
    if ids := brackets.numbers(call.filter("id")):
        return (table.by_id[id_] for id_ in sorted(ids) if id_ in table.by_id), "id"
    wanted = call.filter("custom_fields_values")
    if isinstance(wanted, dict):
        for field_id, given in wanted.items():
            field = call.store.field(LEADS, field_id=int(field_id) if str(field_id).isdigit() else None)
            # An enum may be named by its id too; only texts are in the index.
            if field and not field.enums and not _is_range(given):
                texts = given.values() if isinstance(given, dict) else [given]
                ids = {id_ for text in texts for id_ in table.with_value(field.id, str(text))}
                return (table.by_id[id_] for id_ in sorted(ids)), "id"
    span, (order, _) = call.filter("updated_at"), _order(call)
    if _is_range(span):
        start, end = _bounds(span)
        return table.updated_between(int(start or 0), None if end is None else int(end)), "updated_at"
    if order == "updated_at":
        return table.updated_between(0, None), "updated_at"
    return table.by_id.values(), "id"


def _matches(call: Call, lead: Lead) -> bool:
    """Say if the lead passes every filter; filters Kommo does not know are ignored, as it does."""
    query = call.query.get("query")
    if isinstance(query, str) and query and not found_by(query, lead.haystack):
        return False
    filters = call.filters()
    for name in ("pipeline_id", "created_by", "updated_by", "responsible_user_id"):
        wanted = brackets.numbers(filters.get(name))
        if wanted and getattr(lead, name) not in wanted:
            return False
    names = brackets.members(filters.get("name"))
    if names and lead.name not in names:
        return False
    for name in ("created_at", "updated_at", "closed_at", "price"):
        if filters.get(name) is not None and not _within(filters[name], getattr(lead, name)):
            return False
    stages = filters.get("statuses")
    if isinstance(stages, dict) and not any(_stands_in(lead, stage) for stage in stages.values()):
        return False
    wanted_values = filters.get("custom_fields_values")
    if isinstance(wanted_values, dict):
        return all(_has_value(lead, field_id, given) for field_id, given in wanted_values.items())
    return True


def found_by(query: str, haystack: str) -> bool:
    """Say if a full-text query finds an entity: by the text, or by the digits of a phone number."""
    query = query.strip().lower()
    if query in haystack:
        return True
    bare = "".join(character for character in query if character.isdigit())
    is_phone = len(bare) >= 5 and all(character in "+-() ." for character in query if not character.isdigit())
    return is_phone and bare in haystack


def _is_range(given: Any) -> bool:
    return isinstance(given, dict) and bool(given.keys() & {"from", "to"})


def _bounds(given: Json) -> tuple[float | None, float | None]:
    def number(text: Any) -> float | None:
        try:
            return float(text)
        except (TypeError, ValueError):
            return None

    return number(given.get("from")), number(given.get("to"))


def _within(given: Any, value: float | None) -> bool:
    if not _is_range(given):
        wanted = brackets.numbers(given)
        return not wanted or value in wanted
    start, end = _bounds(given)
    if value is None:
        return False
    return (start is None or value >= start) and (end is None or value <= end)


def _stands_in(lead: Lead, stage: Any) -> bool:
    if not isinstance(stage, dict):
        return False
    pipelines, statuses = brackets.numbers(stage.get("pipeline_id")), brackets.numbers(stage.get("status_id"))
    return (not pipelines or lead.pipeline_id in pipelines) and (not statuses or lead.status_id in statuses)


def _has_value(lead: Lead, field_id: str, given: Any) -> bool:
    values = [str(item.get("value")) for item in lead.values.get(int(field_id) if field_id.isdigit() else 0, ())]
    if _is_range(given):
        return any(_within(given, float(text)) for text in values if text.replace(".", "", 1).isdigit())
    wanted = {str(text) for text in given.values()} if isinstance(given, dict) else {str(given)}
    enum_ids = {str(item.get("enum_id")) for item in lead.values.get(int(field_id), ())}
    return not wanted.isdisjoint(values) or not wanted.isdisjoint(enum_ids)


def _order(call: Call) -> tuple[str, bool]:
    """Return what the call orders by and if it is descending; ids ascending unless it says otherwise."""
    order = call.query.get("order")
    for name, direction in order.items() if isinstance(order, dict) else ():
        if name in ("id", "created_at", "updated_at"):
            return name, str(direction).lower() == "desc"
    return "id", False


def _in_order(call: Call, found: Iterable[Lead], order: str) -> Iterable[Lead]:
    """Return the leads found, which come ordered by `order`, as the call wants them."""
    wanted, is_descending = _order(call)
    if wanted == order and not is_descending:
        return found
    # The id decides between equal times, so that pages neither skip nor repeat a row.
    key = operator.attrgetter("id") if wanted == "id" else operator.attrgetter(wanted, "id")
    return sorted(found, key=key, reverse=is_descending)
