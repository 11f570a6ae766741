"""The form a Kommo account keeps of what it is sent: dates, texts and numbers seldom come back as they went."""

from __future__ import annotations

import html
from datetime import datetime, time
from zoneinfo import ZoneInfo

from kommo_sandbox.answers import Json
from kommo_sandbox.calls import Call
from kommo_sandbox.options import Options
from kommo_sandbox.validation import Errors

PLAIN_DATES = frozenset({"date", "birthday"})
LAST_OF_BASIC_PLANE = 0xFFFF


def moment(options: Options, type_: str, at: int) -> int:
    """Return the Unix seconds that are kept: of a plain date the start of its day in the account's zone."""
    if type_ not in PLAIN_DATES or not options.dates_at_midnight:
        return at
    zone = ZoneInfo(options.account_time_zone)
    try:
        day = datetime.fromtimestamp(at, zone).date()
    except (ValueError, OverflowError, OSError):
        # Before the year 1, or after 9999: kept as it came.
        return at
    return int(datetime.combine(day, time(), zone).timestamp())


def text(options: Options, given: str, *, one_line: bool = True) -> str:
    """Return the text that is kept."""
    if options.cut_text_at_emoji:
        given = _cut(given)
    if options.tidy_spaces:
        lines = [" ".join(line.split()) for line in given.splitlines()]
        given = " ".join(lines) if one_line else "\n".join(lines)
        given = given.strip()
    return html.escape(given) if options.escapes_html else given


def too_long(call: Call, type_: str, given: str) -> str:
    """Return why the API does not take a text that long; empty when it does, as for whatever people type."""
    options = call.options
    limits = {"text": options.text_limit, "textarea": options.textarea_limit, "name": options.name_limit}
    limit = limits.get(type_, 0)
    if call.by_hand or not limit or len(given) <= limit:
        return ""
    return f"This value is too long. It should have {limit} characters or less."


def name(call: Call, item: Json, errors: Errors, key: str = "name") -> str | None:
    """Return the name that is kept of a lead or contact; None where none is sent, or none that the API takes."""
    if key not in item or not errors.text(item[key], key):
        return None
    if why := too_long(call, "name", item[key]):
        errors.add("TooLong", key, why)
        return None
    kept = text(call.options, item[key])
    return kept[: call.options.names_end_after] if call.options.names_end_after else kept


def number(options: Options, type_: str, given: str) -> str | float:
    if not options.other_number_forms:
        return given
    return f"{float(given):.2f}" if type_ == "monetary" else float(given)


def _cut(given: str) -> str:
    end = next((place for place, character in enumerate(given) if ord(character) > LAST_OF_BASIC_PLANE), len(given))
    return given[:end]
