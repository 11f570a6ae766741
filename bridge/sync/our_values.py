"""A mapped field's value in Kommo, in our words: the way back from what `desired` says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bridge.models import Catalogue
from leads.models import FieldMapping
from leads.names import name_key

# Columns of a lead that a mapped field in Kommo can set; the rest of the mapped attributes are ours alone.
ADOPTABLE_BOOLEANS = ("is_decision_maker", "has_solar_system", "has_active_contract")
MAX_TEXT = 200


def is_adoptable(attribute: str) -> bool:
    return attribute.startswith("custom.") or attribute in (
        "bill_value",
        "chosen_flow",
        "qualification_score",
        "email",
        *ADOPTABLE_BOOLEANS,
    )


def our_value(mapping: FieldMapping, held: Any, catalogue: Catalogue | None) -> Any:
    """Return Kommo's value in our words. Raises ValueError when the attribute cannot hold it."""
    attribute = mapping.attribute
    if mapping.type == FieldMapping.Type.SELECT and held is not None:
        held = _our_option(mapping, held, catalogue)
    if attribute in ("bill_value", "qualification_score"):
        if held is None:
            return None
        value = Decimal(str(held)).quantize(Decimal("0.01"))
        if value < 0 or (attribute == "qualification_score" and value > 100):
            raise ValueError(f"{attribute} cannot be {value}")
        return value
    if attribute in ADOPTABLE_BOOLEANS:
        return held if isinstance(held, bool) else None
    if attribute in ("chosen_flow", "email"):
        return "" if held is None else str(held)[:MAX_TEXT]
    return held


def _our_option(mapping: FieldMapping, held: Any, catalogue: Catalogue | None) -> str:
    """Return our value for an option of Kommo's: the mapped one, else the option's own name."""
    held_id = held if isinstance(held, int) else None
    for ours, bound in mapping.enum_ids.items():
        if bound == held_id:
            return str(ours)
    for one in catalogue.lead_fields if catalogue else ():
        if one["id"] == mapping.kommo_field_id:
            for option in one.get("enums") or ():
                if option["id"] == held_id:
                    reverse = {name_key(theirs): ours for ours, theirs in mapping.options.items()}
                    return str(reverse.get(name_key(option["value"]), option["value"]))
    raise ValueError(f"option {held} is unknown")
