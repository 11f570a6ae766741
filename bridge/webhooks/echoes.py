"""Is a webhook's lead what its card is known to hold? Then it is an echo of our write, or old news, and costs no call.

Pure: the card's copy of Kommo in, the body in Kommo's older naming in, yes or no out. In doubt it says no, and the lead
is read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.cards.plan import LOST_STATUS_ID
from bridge.kommo import custom_field_values
from bridge.webhooks import parsing


def says_nothing_new(observed: Mapping[str, Any], data: dict[str, Any]) -> bool:
    """Say whether everything the body carries equals what the card holds (shape: bridge.models.Card.observed).

    A body of the Digital Pipeline has only ids, an account's has the whole lead. Whom Kommo made responsible for a lead
    that we created, the card does not know before a body says so: that is no news to anybody, and learnt from it.
    """
    place = (parsing.number(data.get("pipeline_id")), parsing.number(data.get("status_id")))
    if place != (observed.get("pipeline_id"), observed.get("status_id")):
        return False
    if "name" not in data:
        # A bare hook of the Digital Pipeline: the place was all it had to say.
        return True
    if place[1] == LOST_STATUS_ID and parsing.number(data.get("last_modified")) != observed.get("updated_at"):
        # Why a lead is lost no body tells.
        return False
    price = parsing.whole(data.get("price"))
    if data.get("name") != observed.get("name") or price != (observed.get("price") or 0):
        return False
    responsible = parsing.number(data.get("responsible_user_id"))
    if not responsible or observed.get("responsible_user_id", responsible) != responsible:
        return False
    return parsing.tag_names(data) == sorted(observed.get("tags", ())) and _same_fields(
        data, observed.get("fields", {})
    )


def told_responsible(observed: Mapping[str, Any], data: dict[str, Any]) -> int | None:
    """Return who a body says is responsible, where the card does not know it; None when there is nothing to learn."""
    return None if "responsible_user_id" in observed else parsing.number(data.get("responsible_user_id")) or None


def _same_fields(data: dict[str, Any], observed: Mapping[str, Any]) -> bool:
    theirs = {
        str(field_id): [value.get("value") for value in values]
        for field_id, values in parsing.custom_field_values(data).items()
    }
    ours = {field_id: value for field_id, value in observed.items() if value is not None}
    if theirs.keys() != ours.keys():
        return False
    return all(custom_field_values.looks_like(ours[field_id], values) for field_id, values in theirs.items())
