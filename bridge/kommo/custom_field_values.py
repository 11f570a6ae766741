"""Custom field values: from our values to Kommo's words and back, and when two of them are equal. Pure.

`to_kommo` gives what a write carries, `from_kommo` a plain value that compares: text, a number as text, a boolean, an
enum id, a sorted list of enum ids, the day of a date (ISO), or Unix seconds; None for an empty field. For every type,
reading back what was written compares equal.

Kommo has a form of its own for what it is sent: a date becomes the start of its day in the account's zone, a text may
end at its first emoji, a box set to no may be kept as empty. So what is sent is in a form that survives, and
`is_form_of` and `agrees` know two forms of one value from two values.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

# Where nobody has measured it: `text` takes 256 characters by the API (PHP client, issues 224, 327, 400).
TEXT_LIMIT = 255
TEXTAREA_LIMIT = 10_000
# A link that is cut leads nowhere.
LONGEST_URL = 2000
TEXTS = frozenset({"text", "textarea", "url", "streetaddress", "tracking_data"})
NUMBERS = frozenset({"numeric", "monetary", "price"})
CHOICES = frozenset({"select", "radiobutton"})
DATES = frozenset({"date", "birthday"})
# Types that show the same: one of ours is written in the form of whichever the account has.
SAME_KIND = (
    {"text", "textarea", "streetaddress", "tracking_data"},
    NUMBERS,
    CHOICES,
    {"date", "date_time", "birthday"},
)
# Beyond the basic plane, and halves of such characters; with what only joins or colours them.
BEYOND = re.compile("[\U00010000-\U0010ffff\ud800-\udfff][\u200d\ufe0e\ufe0f\u20e3]*")
PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
# Characters nobody sees: joiners, marks of direction, breaks that are none.
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
# What joined a sign of the basic plane to one that goes, as in a heart on fire, has nothing to join any more.
JOINS_BEYOND = re.compile("\u200d(?=[\U00010000-\U0010ffff\ud800-\udfff])")


@dataclass(frozen=True)
class Form:
    """How an account keeps values, as far as it is known; the defaults are the careful reading."""

    zone: tzinfo = UTC
    text_limit: int = TEXT_LIMIT
    textarea_limit: int = TEXTAREA_LIMIT
    keeps_emoji: bool = False


CAREFUL = Form()


def to_kommo(type_: str, value: Any, enum_ids: Sequence[int] = (), form: Form = CAREFUL) -> list[dict[str, Any]] | None:
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
    if type_ in DATES:
        return [{"value": datetime.combine(_day(value, form.zone), time(), form.zone).isoformat(timespec="seconds")}]
    if type_ == "date_time":
        if _is_day(str(value).strip()):
            # Said without an hour: the start of that day.
            value = datetime.combine(_day(value, form.zone), time(), form.zone)
        return [{"value": _moment(value).isoformat(timespec="seconds")}]
    if type_ in TEXTS:
        text = fit(type_, _plain(value), form)
        return [{"value": text}] if text else None
    raise ValueError(f"fields of type {type_} are not written")


def from_kommo(type_: str, values: Sequence[Any] | None, zone: tzinfo = UTC) -> Any:
    """Return the comparable form of a field's `values`, as a read or a write has them; None when it is empty.

    A date is the day it is in the account's zone.

    A type we do not know compares by its first value's text, so that a change in it is still seen.
    """
    entries = [value for value in values or () if isinstance(value, dict)]
    if not entries:
        return None
    first = entries[0].get("value")
    if type_ in CHOICES:
        return entries[0].get("enum_id", first)
    if type_ == "multiselect":
        return sorted((entry.get("enum_id") or entry.get("value") for entry in entries), key=str)
    if first is None or first == "":
        return None
    if type_ in NUMBERS:
        try:
            return _plain_number(first)
        except ValueError:
            return str(first)
    if type_ == "checkbox":
        return first if isinstance(first, bool) else str(first).lower() in ("1", "true")
    try:
        if type_ in DATES:
            return str(_day(first, zone))
        if type_ == "date_time":
            return int(_moment(first).timestamp())
    except ValueError:
        return str(first)
    return normal_text(first) if isinstance(first, str) else str(first)


def looks_like(value: Any, values: Sequence[Any]) -> bool:
    """Say whether a webhook's bare values (texts, without types) tell the same as a comparable value.

    Choices carry only their text in some bodies and cannot be compared: that counts as different, and is read back.
    """
    if isinstance(value, list) or len(values) != 1:
        return False
    text = normal_text(str(values[0]))
    if isinstance(value, bool):
        return value is (text.lower() in ("1", "true"))
    if isinstance(value, str) and text.lstrip("-").isdigit() and _is_day(value):
        return value == _nearest_day(int(text))
    return str(value) == text or _equal_numbers(str(value), text)


def fit(type_: str, text: str, form: Form = CAREFUL) -> str:
    """Return a text as it is sent: in a form that an account keeps. Raises ValueError for a link that is too long."""
    text = normal_text(text)
    if type_ == "url":
        return _link(text)
    if not form.keeps_emoji:
        text = without_emoji(text)
    if type_ == "textarea":
        return "\n".join(" ".join(line.split()) for line in text.splitlines())[: form.textarea_limit].strip()
    return " ".join(text.split())[: form.text_limit].strip()


def without_emoji(text: str) -> str:
    """Return the text without characters beyond the basic plane; letters in fancy dress become plain ones."""
    if not BEYOND.search(text):
        return text
    text = BEYOND.sub(_undressed, JOINS_BEYOND.sub("", text))
    return re.sub(" {2,}", " ", unicodedata.normalize("NFC", text)).strip()


def is_form_of(type_: str, kommo_value: Any, known: Any) -> bool:
    """Say whether what Kommo holds is only another form of what it was known to hold, whoever touched the card last."""
    if kommo_value == known:
        return True
    if known is False:
        return kommo_value is None
    if type_ in DATES and isinstance(known, int):
        # As it was remembered before days were.
        return bool(kommo_value == _nearest_day(known))
    if not isinstance(known, str):
        return False
    if kommo_value is None:
        # Nothing is left of a text that begins with an emoji.
        return not _key(type_, known[: _first_beyond(known)])
    forms = (known, known[: _first_beyond(known)])
    return isinstance(kommo_value, str) and _key(type_, kommo_value) in {_key(type_, form) for form in forms}


def agrees(type_: str, wanted: Any, kommo_value: Any, form: Form = CAREFUL) -> bool:
    """Say whether a field shows what it should, if only in another form: writing it again would change nothing.

    A text that people typed is as it should be when it would be sent as what is wanted, cut and without its emoji.
    """
    if wanted == kommo_value:
        return True
    if type_ not in TEXTS or not isinstance(kommo_value, str):
        return False
    try:
        fitting = fit(type_, kommo_value, form)
    except ValueError:
        return False
    return _key(type_, fitting) == _key(type_, wanted or "")


def same_kind(type_: str, other: str) -> bool:
    """Say whether a field of the one type shows what one of the other does."""
    return type_ == other or any({type_, other} <= kind for kind in SAME_KIND)


def same_name(name: str, other: str) -> bool:
    """Say whether two names are one, in any form."""
    return _key("text", name) == _key("text", other)


def normal_text(text: str) -> str:
    """Return the text as Kommo gives it back: composed characters, no spaces around."""
    return unicodedata.normalize("NFC", text).strip()


def without_unseen(text: str) -> str:
    """Return a text without what no account is known to keep, and nobody sees.

    How accents are composed, which spaces it has, whether signs are written as HTML writes them.
    """
    return " ".join(UNSEEN.sub("", html.unescape(normal_text(text))).split())


def _equal_numbers(left: str, right: str) -> bool:
    """Say whether two plain numbers are one; what begins with a nought or a plus is a code, compared by its signs."""
    return bool(PLAIN_NUMBER.fullmatch(left) and PLAIN_NUMBER.fullmatch(right)) and Decimal(left) == Decimal(right)


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


def _day(value: Any, zone: tzinfo) -> date:
    """Return the day that a date, a moment, or Unix seconds are in the zone."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    text = str(value).strip()
    if _is_day(text):
        return date.fromisoformat(text)
    if isinstance(value, datetime) and not value.tzinfo:
        return value.date()
    if not isinstance(value, datetime) and not text.lstrip("-").isdigit():
        moment = datetime.fromisoformat(text)
        if not moment.tzinfo:
            return moment.date()
    try:
        return _moment(value).astimezone(zone).date()
    except OverflowError as error:
        raise ValueError(f"{value!r} is not a day") from error


def _is_day(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) is not None


def _nearest_day(seconds: int) -> str:
    """Return the day whose midnight is nearest, whatever the zone: enough to know an echo by."""
    try:
        return (datetime.fromtimestamp(seconds, UTC) + timedelta(hours=12)).date().isoformat()
    except (OverflowError, OSError, ValueError):
        return ""


def _moment(value: Any) -> datetime:
    """Return an aware moment; Kommo gives Unix seconds back."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    text = str(value).strip()
    if text.lstrip("-").isdigit():
        try:
            return datetime.fromtimestamp(int(text), UTC)
        except (OverflowError, OSError, ValueError) as error:
            raise ValueError(f"{value!r} is not a time") from error
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _plain(value: Any) -> str:
    """Return a value as people read it."""
    if isinstance(value, bool):
        return "sim" if value else "não"
    if isinstance(value, datetime):
        return value.isoformat(timespec="minutes")
    if isinstance(value, (list, tuple)):
        return ", ".join(str(part) for part in value)
    return str(value)


def _link(text: str) -> str:
    """Return a link with its scheme, fit for a strict account; Kommo's own check is on the rest."""
    text = "".join(
        quote(character, errors="replace") if character.isspace() or BEYOND.match(character) else character
        for character in text
    )
    if text and "://" not in text and not text.startswith(("mailto:", "tel:")):
        text = f"https://{text}"
    if len(text) > LONGEST_URL:
        raise ValueError(f"a link of {len(text)} characters is too long")
    return text


def _key(type_: str, text: str) -> str:
    """Return what is the same for all forms of a text."""
    text = without_unseen(without_emoji(text))
    if type_ == "url":
        text = re.sub(r"^https?://", "", text, flags=re.IGNORECASE).rstrip("/")
    return text


def _first_beyond(text: str) -> int:
    found = BEYOND.search(text)
    return found.start() if found else len(text)


def _undressed(found: re.Match[str]) -> str:
    plain = unicodedata.normalize("NFKC", found[0])
    return "" if BEYOND.search(plain) or plain == found[0] else plain
