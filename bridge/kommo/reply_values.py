"""Reading values out of Kommo's JSON, in any of the forms it was seen to send; ReplyShapeError for what is none."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

# What a database holds as a number.
LARGEST_ID = 2**63 - 1
# The end of the year 2199, in Unix seconds.
LATEST = 7_258_118_399


class ReplyShapeError(ValueError):
    """An answer lacks something every answer of its kind has."""


def embedded(data: Any, key: str) -> list[Any]:
    """Return `_embedded[key]` as a list."""
    inner = data.get("_embedded") if isinstance(data, dict) else None
    found = inner.get(key) if isinstance(inner, dict) else None
    return [row for row in rows(found) if isinstance(row, dict)]


def rows(given: Any) -> list[Any]:
    """Return a list as one, however PHP wrote it: empty objects as [], single ones bare, those with gaps by place."""
    if isinstance(given, dict):
        is_by_place = all(str(key).isdigit() for key in given)
        return list(given.values()) if is_by_place else [given]
    return given if isinstance(given, list) else []


def texts(given: Any) -> tuple[str, ...]:
    """Return ids of ours that come back: as a text, a number, or a list of those."""
    values = rows(given) if isinstance(given, list | dict) else [given]
    return tuple(str(value) for value in values if isinstance(value, str | int) and str(value))


def is_said(given: Any) -> bool:
    """Say whether a box is ticked: told as such, as a number or as its text."""
    return given is True or str(given).strip().lower() in ("1", "true")


def listed(data: Any, key: str) -> list[Any]:
    """Return the list under a key; none is an empty one. Raises ReplyShapeError: what cannot be read is not empty."""
    given = data.get(key)
    if given and not isinstance(given, list | dict):
        raise ReplyShapeError(f"no list in “{key}”")
    return rows(given)


def whole(price: Any) -> int:
    """Return a price in whole units: some accounts tell minor units, as a fraction or as text."""
    try:
        return int(Decimal(str(price or 0).replace(" ", "").replace(",", ".")))
    except (InvalidOperation, ValueError, OverflowError):
        raise ReplyShapeError(f"no number in “price”: {price!r}") from None


def number(data: Any, key: str) -> int | None:
    """Return an id; None for none. Raises ReplyShapeError for what is none."""
    value = _digits(data.get(key))
    if not value:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST_ID:
        raise ReplyShapeError(f"no id in “{key}”")
    return value


def _digits(value: Any) -> Any:
    """Return a number that is told as its text as a number, anything else as it is."""
    is_text = isinstance(value, str) and len(value) <= len(str(LARGEST_ID)) and value.isascii() and value.isdigit()
    return int(value) if is_text else value


def seconds(value: Any) -> int:
    """Return a time; 0 for what is none, or lies where no clock goes."""
    value = _digits(value)
    is_time = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LATEST
    return value if is_time else 0


def integer(data: Any, key: str) -> int:
    value = _digits(data.get(key)) if isinstance(data, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST_ID:
        raise ReplyShapeError(f"no number in “{key}”")
    return value


def text(data: Any, key: str) -> str:
    value = data.get(key) if isinstance(data, dict) else None
    if not isinstance(value, str):
        raise ReplyShapeError(f"no text in “{key}”")
    return value
