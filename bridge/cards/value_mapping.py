"""A mapped field's value in Kommo, in our words: the way back from what `desired` says.

The way back is the way there: whatever comes out of here is shown by the same value in Kommo again. An option becomes
our value, or its name; several a list; a date ISO text; a number a number. What cannot be said in our words raises
ValueError, and stays theirs.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from bridge.account_traits import Trait, form_of
from bridge.cards.desired import enum_id, field_type
from bridge.kommo.custom_field_values import Form
from bridge.models import Catalogue
from common.name_spellings import name_key
from leads.models import FieldMapping

Type = FieldMapping.Type
# Columns of a lead that a mapped field in Kommo can set; the rest of the mapped attributes are ours alone.
ADOPTABLE_BOOLEANS = ("is_decision_maker", "has_solar_system", "has_active_contract")
MAX_TEXT = 200
# What a JSON number holds exactly, and the column of an amount.
MOST = Decimal(10) ** 12
MOST_DIGITS = 15


def is_adoptable(attribute: str) -> bool:
    return attribute.startswith("custom.") or attribute in (
        "bill_value",
        "chosen_flow",
        "qualification_score",
        "email",
        *ADOPTABLE_BOOLEANS,
    )


def our_value(mapping: FieldMapping, kommo_value: Any, catalogue: Catalogue | None, before: Any = None) -> Any:
    """Return Kommo's value in our words, `before` being what it held. Raises ValueError when we have none for it."""
    attribute, type_ = mapping.attribute, mapping.type
    if attribute in ("bill_value", "qualification_score"):
        return _amount(attribute, kommo_value)
    if type_ == Type.CHECKBOX:
        kommo_value = _box(kommo_value, catalogue, before)
    elif type_ == Type.SELECT and kommo_value is not None:
        kommo_value = _our_option(mapping, kommo_value, catalogue)
    elif type_ == Type.MULTISELECT:
        kommo_value = _our_options(mapping, kommo_value, catalogue)
    elif type_ in (Type.NUMERIC, Type.MONETARY):
        kommo_value = _number(kommo_value)
    elif (
        type_ in (Type.DATE, Type.DATE_TIME)
        and kommo_value is not None
        and field_type(mapping, catalogue) == "date_time"
    ):
        kommo_value = _moment(kommo_value, mapping, form_of(catalogue.account if catalogue else None))
    if attribute in ADOPTABLE_BOOLEANS:
        return kommo_value if isinstance(kommo_value, bool) else None
    if attribute in ("chosen_flow", "email"):
        return _word(kommo_value)
    return kommo_value


def _amount(attribute: str, kommo_value: Any) -> Decimal | None:
    if kommo_value is None:
        return None
    value = Decimal(str(kommo_value))
    if not 0 <= value < MOST or (attribute == "qualification_score" and value > 100):
        raise ValueError(f"{attribute} cannot be {kommo_value}")
    return value.quantize(Decimal("0.01"))


def _number(kommo_value: Any) -> int | float | None:
    if kommo_value is None:
        return None
    value = Decimal(str(kommo_value))
    digits = len(value.normalize().as_tuple().digits)
    if abs(value) >= MOST or digits > MOST_DIGITS:
        raise ValueError(f"{kommo_value} is beyond what a fact can be")
    return int(value) if value == value.to_integral_value() else float(value)


def _box(kommo_value: Any, catalogue: Catalogue | None, before: Any) -> bool | None:
    """Return what a box says. Empty is no where the account knows no other no, and somebody took the tick away."""
    if (
        kommo_value is None
        and before is True
        and catalogue
        and catalogue.account.traits.get(Trait.EMPTY_BOX) == "empty"
    ):
        return False
    return kommo_value if isinstance(kommo_value, bool) else None


def _moment(kommo_value: Any, mapping: FieldMapping, form: Form) -> str:
    """Return a moment as ISO text in the pipeline's zone; of what we call a date the start of a day is the day."""
    try:
        moment = datetime.fromtimestamp(int(kommo_value), UTC)
    except (TypeError, OverflowError, OSError) as error:
        raise ValueError(f"{kommo_value!r} is not a time") from error
    there = moment.astimezone(form.zone)
    if mapping.type == Type.DATE and there.time() == time():
        return there.date().isoformat()
    return moment.astimezone(ZoneInfo(mapping.pipeline.time_zone)).isoformat()


def _word(kommo_value: Any) -> str:
    if isinstance(kommo_value, list):
        if len(kommo_value) > 1:
            raise ValueError("several values do not fit into one")
        kommo_value = kommo_value[0] if kommo_value else None
    return "" if kommo_value is None else str(kommo_value)[:MAX_TEXT]


def _our_options(mapping: FieldMapping, kommo_value: Any, catalogue: Catalogue | None) -> list[str] | None:
    return [_our_option(mapping, option, catalogue) for option in kommo_value] if kommo_value else None


def _our_option(mapping: FieldMapping, kommo_value: Any, catalogue: Catalogue | None) -> str:
    """Return our value for an option of Kommo's: the mapped one, else the option's own name."""
    for ours in _names(mapping, kommo_value, catalogue):
        # Two of ours may share a name: only what leads back there is the same.
        if enum_id(mapping, ours, catalogue) == kommo_value:
            return ours
    raise ValueError(f"option {kommo_value} has no name here")


def _names(mapping: FieldMapping, kommo_value: Any, catalogue: Catalogue | None) -> list[str]:
    found = [str(ours) for ours, bound in mapping.enum_ids.items() if bound == kommo_value]
    for lead_field in catalogue.lead_fields if catalogue else ():
        if lead_field["id"] == mapping.kommo_field_id:
            for option in lead_field.get("enums") or ():
                if option["id"] == kommo_value:
                    key = name_key(option["value"])
                    found += [str(ours) for ours, theirs in mapping.options.items() if name_key(theirs) == key]
                    found.append(str(option["value"]))
    return found
