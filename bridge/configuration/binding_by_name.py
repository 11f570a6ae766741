"""Which of the account's things is ours? By the id that is kept, else by name, without regard to case and accents.

Pure: dicts are the catalogue's, as Kommo tells them (bridge/models/account.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from common.name_spellings import name_key

Found = dict[str, Any]

WON, LOST = 142, 143


def pipeline(
    pipelines: list[Found],
    *,
    kept: int | None,
    name: str,
    is_default: bool,
    configured: int | None,
    taken: Collection[int | None],
) -> Found | None:
    """Return the pipeline that holds our cards: kept, configured, of our name, or the main one."""
    by_id = {kommo_pipeline["id"]: kommo_pipeline for kommo_pipeline in pipelines}
    if kept in by_id:
        return by_id[kept]
    if is_default and configured:
        return by_id.get(configured)
    free = [
        kommo_pipeline
        for kommo_pipeline in pipelines
        if kommo_pipeline["id"] not in taken and not kommo_pipeline.get("is_archive")
    ]
    named = next(
        (kommo_pipeline for kommo_pipeline in free if name_key(kommo_pipeline["name"]) == name_key(name)), None
    )
    main = next((kommo_pipeline for kommo_pipeline in free if kommo_pipeline["is_main"]), None)
    return named or (main if is_default else None)


def statuses(found: Found) -> list[Found]:
    """Return the stages of a pipeline that cards can be moved to by name.

    The incoming stage cannot be written to, and won and lost are known by their ids, never by name.
    """
    return [
        kommo_status
        for kommo_status in found["statuses"]
        if kommo_status["type"] != 1 and kommo_status["id"] not in (WON, LOST)
    ]


def status(found: Found, *, kept: int | None, name: str, kind: str, taken: Collection[int | None] = ()) -> Found | None:
    """Return the status of a stage; `taken` are those of other stages, which no name may take from them."""
    fixed = {"won": WON, "lost": LOST}.get(kind)
    by_id = {kommo_status["id"]: kommo_status for kommo_status in found["statuses"]}
    by_name = {
        name_key(kommo_status["name"]): kommo_status
        for kommo_status in statuses(found)
        if kommo_status["id"] not in taken
    }
    return by_id.get(fixed or kept or 0) or by_name.get(name_key(name))


def place_behind(found: Found, previous: int | None) -> int:
    """Return the `sort` with which a new stage stands right behind another; before all others for None.

    Kommo leaves gaps of ten; where there is none left, two stages share a place, which Kommo allows.
    """
    places: dict[int, int] = {kommo_status["id"]: kommo_status["sort"] for kommo_status in statuses(found)}
    before = places.get(previous or 0, 0)
    behind = min((place for place in places.values() if place > before), default=before + 20)
    return max(before + 1, (before + behind) // 2)


def field(fields: list[Found], *, kept: int | None, name: str) -> Found | None:
    by_id = {kommo_field["id"]: kommo_field for kommo_field in fields}
    if kept in by_id:
        return by_id[kept]
    return next((kommo_field for kommo_field in fields if name_key(kommo_field["name"]) == name_key(name)), None)


def options(
    found: Found, *, kept: Mapping[str, int], names: Mapping[str, str], values: list[str]
) -> tuple[dict[str, int], list[str]]:
    """Return our value -> option id for every value, and the values without one. `names` says what Kommo calls them."""
    enums = found["enums"] or ()
    by_id = {option["id"] for option in enums}
    by_name = {name_key(option["value"]): option["id"] for option in enums}
    bound: dict[str, int] = {}
    for value in values:
        before = kept.get(value)
        chosen = before if before in by_id else by_name.get(name_key(names.get(value, value)))
        if chosen is not None:
            bound[value] = chosen
    return bound, [value for value in values if value not in bound]
