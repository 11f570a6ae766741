"""Custom field values: from our values to Kommo's words and back, and when two of them are equal. Pure.

`to_kommo` gives what a write carries, `from_kommo` a plain value that compares: text, a number as text, a boolean, an
enum id, a sorted list of enum ids, or Unix seconds; None for an empty field. For every type, reading back what was
written compares equal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_TEXT_LENGTH = 1000
TEXTS = frozenset({"text", "textarea", "url", "streetaddress", "tracking_data"})
NUMBERS = frozenset({"numeric", "monetary", "price"})
CHOICES = frozenset({"select", "radiobutton"})
DATES = frozenset({"date", "birthday"})


def to_kommo(type_: str, value: Any, enum_ids: Sequence[int] = ()) -> list[dict[str, Any]] | None:
    """Return the `values` of a write; None clears the field. Choices are named by `enum_ids`, never by their text.

    Raises ValueError when the value does not fit the type.
    """
    if value is None or value == "" or value == []:
        return None
    if type_ in CHOICES:
        return [{"enum_id": enum_ids[0]}] if enum_ids else None
    if type_ == "multiselect":
        return [{"enum_id": enum_id} for enum_id in sorted(set(enum_ids))] or None
    if type_ in NUMBERS:
        return [{"value": _plain_number(value)}]
    if type_ == "checkbox":
        if not isinstance(value, bool):
            raise ValueError("a checkbox holds yes or no")
        return [{"value": value}]
    if type_ in DATES or type_ == "date_time":
        return [{"value": _moment(value).isoformat(timespec="seconds")}]
    if type_ in TEXTS:
        return [{"value": _text(value)}]
    raise ValueError(f"fields of type {type_} are not written")


def from_kommo(type_: str, values: Sequence[Any] | None) -> Any:
    """Return the comparable form of a field's `values`, as a read or a write has them; None when it is empty.

    A type we do not know compares by its first value's text, so that a change in it is still seen.
    """
    entries = [one for one in values or () if isinstance(one, dict)]
    if not entries:
        return None
    first = entries[0].get("value")
    if type_ in CHOICES:
        return entries[0].get("enum_id", first)
    if type_ == "multiselect":
        return sorted((one.get("enum_id") or one.get("value") for one in entries), key=str)
    if first is None or first == "":
        return None
    if type_ in NUMBERS:
        try:
            return _plain_number(first)
        except ValueError:
            return str(first)
    if type_ == "checkbox":
        return first if isinstance(first, bool) else str(first).lower() in ("1", "true")
    if type_ in DATES or type_ == "date_time":
        try:
            return int(_moment(first).timestamp())
        except ValueError:
            return str(first)
    return normal_text(first) if isinstance(first, str) else str(first)


def looks_like(held: Any, said: Sequence[Any]) -> bool:
    """Say whether a webhook's bare values (texts, without types) tell the same as a comparable value.

    Choices carry only their text in some bodies and cannot be compared: that counts as different, and is read back.
    """
    if isinstance(held, list) or len(said) != 1:
        return False
    text = normal_text(str(said[0]))
    if isinstance(held, bool):
        return held is (text.lower() in ("1", "true"))
    return str(held) == text or _equal_numbers(str(held), text)


def normal_text(text: str) -> str:
    """Return the text as Kommo gives it back: composed characters, no spaces around."""
    return unicodedata.normalize("NFC", text).strip()


def _equal_numbers(left: str, right: str) -> bool:
    try:
        return Decimal(left) == Decimal(right)
    except InvalidOperation:
        return False


def _plain_number(value: Any) -> str:
    """Return a number as plain text without trailing zeros, the form that survives Kommo's round trip."""
    if isinstance(value, bool):
        raise ValueError("yes or no is not a number")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a number") from error
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("", "-0") else text


def _moment(value: Any) -> datetime:
    """Return an aware moment. A date is the start of its day, in UTC; Kommo gives Unix seconds back."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    text = str(value).strip()
    if text.lstrip("-").isdigit():
        try:
            return datetime.fromtimestamp(int(text), UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(f"{value!r} is not a time") from error
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        value = "sim" if value else "não"
    if isinstance(value, datetime):
        value = value.isoformat(timespec="minutes")
    if isinstance(value, (list, tuple)):
        value = ", ".join(str(one) for one in value)
    return normal_text(str(value))[:MAX_TEXT_LENGTH]
