"""Reading what Kommo posted: bracket-form text in, entities and actions out. Pure, and total: no body makes it raise.

The format is Kommo's own: PHP-style keys, everything a string, lists with any keys, several entities and
actions in one body. Whatever cannot be read is left out and said in `problem`; the raw body stays stored.
Source: https://developers.kommo.com/docs/webhooks-general
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import quote, unquote_plus, unquote_to_bytes

import qs_codec

from bridge.logs import phones_in

# The view has bounded a body's bytes; this bounds one entity in it, far above what Kommo lets a lead have.
MOST_KEYS_OF_AN_ENTITY = 10_000
MOST_UNNUMBERED = 200
DEEPEST = 12
MOST_PHONES = 200

OPTIONS = qs_codec.DecodeOptions(
    depth=DEEPEST,
    parameter_limit=MOST_KEYS_OF_AN_ENTITY,
    # Lists stay dictionaries keyed by Kommo's own indices: they may have gaps, or be ids.
    parse_lists=False,
    duplicates=qs_codec.Duplicates.LAST,
)

# Top-level keys that hold entities, and what we call one of them.
ENTITIES = {
    "leads": "lead",
    "contacts": "contact",
    "companies": "company",
    "task": "task",
    "talk": "talk",
    "message": "message",
    "outgoing_message": "message",
    "unsorted": "unsorted",
    "customers": "customer",
    "catalogs": "catalog",
}
# Says nothing of anybody but whose account it is.
ACCOUNT = "account"
# A message has been seen without its wrapper: add[0][text] at the top.
BARE_ACTIONS = frozenset({"add", "update"})


class Problem(StrEnum):
    """Why nothing could be read from a body."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    NOTHING_KNOWN = "nothing_known"


SAID = {
    Problem.EMPTY: "the body is empty",
    Problem.UNREADABLE: "the body is not bracket-form",
    Problem.NOTHING_KNOWN: "the body names no entity we know",
}


@dataclass(frozen=True)
class Item:
    """One entity and what happened to it. `kommo_id` is the id of the entity, None where the body has none."""

    entity: str
    action: str
    kommo_id: int | None
    data: dict[str, Any]


# Beside what was read; by it such a body is found again when somebody asks to be forgotten.
PARTLY = "a part of the body cannot be read"


@dataclass(frozen=True)
class Parsed:
    """is_whole: nothing of the body was left out, because it could not be decoded or nobody knows what it is about."""

    account_id: int | None = None
    items: tuple[Item, ...] = ()
    problem: Problem | None = None
    is_whole: bool = True


def parse(body: bytes) -> Parsed:
    """Return everything the body tells, in its order."""
    text = body.decode("utf-8", errors="replace").strip()
    if not text:
        return Parsed(problem=Problem.EMPTY)
    items: list[Item] = []
    account_id: int | None = None
    unreadable = unknown = 0
    for (key, action, _), pairs in _by_entity(text).items():
        try:
            inner = _decode(pairs)
        except Exception:
            # The library promises nothing for text that is no form; one entity's nonsense costs no other.
            unreadable += 1
            continue
        if key == ACCOUNT and action == "id":
            account_id = number(inner)
        elif key in ENTITIES and isinstance(inner, dict):
            items.append(_item(ENTITIES[key], action, inner))
        elif key != ACCOUNT:
            unknown += 1
    if items:
        return Parsed(account_id, tuple(items), is_whole=not (unreadable or unknown))
    return Parsed(account_id, problem=Problem.UNREADABLE if unreadable else Problem.NOTHING_KNOWN)


Place = tuple[str, str, str]
ROOT = "entity"

# Bodies of one account have the same keys over and over. Longer ones are not kept.
KNOWN_KEYS, LONGEST_KNOWN_KEY = 5_000, 200
PLAIN_NAME = re.compile(r"\[([A-Za-z0-9_]+)\]")
PLAIN_KEY = re.compile(rf"{ROOT}(?:\[[A-Za-z0-9_]+\])+")
PLAIN_BODY_KEY = re.compile(rb"(?:[A-Za-z0-9_\[\]]|%5[BDbd])++")
ODD_VALUE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _by_entity(text: str) -> dict[Place, list[str]]:
    """Return the body's pairs by (key, action, index), each pair with the rest of its key.

    Decoding a body as a whole takes time with the square of its entities; entity by entity it does not.
    """
    found: defaultdict[Place, list[str]] = defaultdict(list)
    for pair in filter(None, text.split("&")):
        place, rest = _placed(pair)
        if len(pairs := found[place]) < MOST_KEYS_OF_AN_ENTITY:
            pairs.append(f"{ROOT}{quote(rest, safe='[]')}={pair.partition('=')[2]}")
    return found


def _placed(pair: str) -> tuple[Place, str]:
    """Return where a pair belongs, and the rest of its key."""
    key = pair.partition("=")[0]
    return _known_place(key) if len(key) <= LONGEST_KNOWN_KEY else _place(key)


def _place(key: str) -> tuple[Place, str]:
    top, _, rest = unquote_plus(key, errors="replace").replace("\0", "").partition("[")
    action, _, rest = rest.partition("]")
    if top in BARE_ACTIONS:
        return ("message", top, action), rest
    index, _, rest = rest.removeprefix("[").partition("]")
    return (top, action, index), rest


_known_place = lru_cache(maxsize=KNOWN_KEYS)(_place)


def _decode(pairs: list[str]) -> Any:
    """Return one entity as nested dictionaries; where it was given twice, as a value and as a parent, the parent."""
    plain = _decode_plain(pairs)
    return _decode_any(pairs) if plain is None else _without_nul(plain)


def _decode_plain(pairs: list[str]) -> dict[str, Any] | None:
    """Return an entity as Kommo writes it; None for one that is spelled otherwise, whose decoding takes longer."""
    decoded: dict[str, Any] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if len(key) > LONGEST_KNOWN_KEY or not (path := _path(key)) or ODD_VALUE.search(value):
            return None
        parent = decoded
        for name in path[:-1]:
            inner = parent.setdefault(name, {})
            if not isinstance(inner, dict):
                return None
            parent = inner
        if path[-1] in parent:
            return None
        try:
            parent[path[-1]] = unquote_to_bytes(value.replace("+", " ")).decode()
        except UnicodeDecodeError:
            return None
    return decoded or None


@lru_cache(maxsize=KNOWN_KEYS)
def _path(key: str) -> tuple[str, ...]:
    """Return the names of a key that is nothing but names in brackets, and not too many; empty for any other."""
    path = tuple(PLAIN_NAME.findall(key)) if PLAIN_KEY.fullmatch(key) else ()
    return path if len(path) <= DEEPEST else ()


def _decode_any(pairs: list[str]) -> Any:
    # What has no number is numbered by counting what stands before it; Kommo numbers all.
    unnumbered = [pair for pair in pairs if "[]" in pair.partition("=")[0]]
    if len(unnumbered) > MOST_UNNUMBERED:
        pairs = unnumbered[:MOST_UNNUMBERED] + [pair for pair in pairs if "[]" not in pair.partition("=")[0]]
    decoded = _without_nul(qs_codec.decode("&".join(pairs), OPTIONS).get(ROOT))
    if isinstance(decoded, list):
        parts = [part for part in decoded if isinstance(part, dict)]
        return {key: value for part in parts for key, value in part.items()} if parts else decoded[-1]
    return decoded


def _without_nul(value: Any) -> Any:
    """PostgreSQL keeps no NUL in a text, and nobody means one."""
    if isinstance(value, dict):
        return {str(key).replace("\0", ""): _without_nul(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nul(inner) for inner in value]
    return value.replace("\0", "") if isinstance(value, str) else value


def _item(entity: str, action: str, data: dict[str, Any]) -> Item:
    if entity == "contact" and data.get("type") == "company":
        entity = "company"
    # Notes are nested once more: leads[note][0][note][...].
    inner = data.get("note")
    if action == "note" and isinstance(inner, dict):
        return Item(entity, action, number(inner.get("element_id")), inner)
    if entity == "unsorted":
        return Item(entity, action, _unsorted_lead(data), data)
    return Item(entity, action, number(data.get("id", data.get("talk_id"))), data)


def _unsorted_lead(data: dict[str, Any]) -> int | None:
    """Return the lead an incoming lead became or is: where it stands depends on what was done with it."""
    for key in ("accept_result", "decline_result"):
        result = data.get(key)
        if isinstance(result, dict):
            for value in _values(result.get("leads")):
                return number(value)
    return number(data.get("lead_id"))


def _values(entries: Any) -> list[Any]:
    if isinstance(entries, dict):
        return list(entries.values())
    return list(entries) if isinstance(entries, (list, tuple)) else []


def number(value: Any) -> int | None:
    """Return an id or a time out of Kommo's text; None for everything else. Ids may come with spaces around them."""
    if isinstance(value, dict):
        # A key that is both a value and a parent: PHP puts the value under an empty or numeric key.
        return next(
            (found for inner in value.values() if not isinstance(inner, dict) and (found := number(inner)) is not None),
            None,
        )
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def whole(price: Any) -> int:
    """Return a price in whole units, as a card holds it; some accounts tell decimals. -1 for what is no number."""
    text = str(price or 0).strip().replace(",", ".")
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return -1


def custom_field_values(data: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """Return field id -> its values as the API writes them: {"value": …, "enum_id": …}; [] where a field came bare.

    Values come as values[0][value], as bare scalars (dates), or as one object (radiobutton).
    """
    found: dict[int, list[dict[str, Any]]] = {}
    for entry in _values(data.get("custom_fields")):
        field_id = number(entry.get("id")) if isinstance(entry, dict) else None
        if field_id is not None:
            found[field_id] = _field_values(entry.get("values"))
    return found


def _field_values(values: Any) -> list[dict[str, Any]]:
    if isinstance(values, str):
        return [{"value": values}]
    if not isinstance(values, dict):
        return [{"value": value} for value in _values(values) if isinstance(value, str)]
    entries = [values] if "value" in values else list(values.values())
    result = []
    for entry in entries:
        if isinstance(entry, dict):
            enum_id = number(entry.get("enum"))
            result.append({"value": entry.get("value"), **({"enum_id": enum_id} if enum_id is not None else {})})
        else:
            result.append({"value": entry})
    return result


def phones_of_contact(data: dict[str, Any]) -> list[str] | None:
    """Return the phone numbers a contact's body carries; None where it does not say which they are."""
    if "custom_fields" not in data:
        return None
    entries = [
        value
        for value in _values(data.get("custom_fields"))
        if isinstance(value, dict) and value.get("code") == "PHONE"
    ]
    return [str(value.get("value") or "") for entry in entries for value in _field_values(entry.get("values"))]


def tag_names(data: dict[str, Any]) -> list[str]:
    names = (entry.get("name") for entry in _values(data.get("tags")) if isinstance(entry, dict))
    return sorted(name for name in names if isinstance(name, str))


# --- What may be kept of an entity that names a person who was erased

# By these an entity says what it is, and what it is about.
REFERENCES = frozenset(
    {"id", "talk_id", "element_id", "entity_id", "lead_id", "contact_id", "main_contact_id", "linked_leads_id"}
)


def references(data: dict[str, Any]) -> set[int]:
    """Return the ids of what an entity is about, without its own."""
    found = _references({key: value for key, value in data.items() if key != "id"})
    return {found for found in found if found is not None}


def _references(value: Any) -> Iterator[int | None]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key == "linked_leads_id" and isinstance(inner, dict):
            yield from map(number, inner)
        elif key in REFERENCES:
            yield number(inner)
        if isinstance(inner, dict):
            yield from _references(inner)


def phones(data: dict[str, Any]) -> list[str]:
    """Return what looks like a phone anywhere in an entity, however it is written there, as digits."""
    return list(islice(_phones(data), MOST_PHONES))


def _phones(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _phones(inner, str(name))
    # A time in seconds has as many digits as a phone.
    elif isinstance(value, str) and not key.endswith("_at") and not key.startswith(("date", "last_")):
        yield from phones_in(value)


def only_references(data: dict[str, Any]) -> dict[str, Any]:
    """Return of an entity's data the ids alone."""
    return {key: value for key, value in data.items() if key in REFERENCES and number(value) is not None}


def without(body: bytes, is_theirs: Callable[[Item], bool]) -> bytes:
    """Return a body in which the entities that `is_theirs` accepts are told by their ids alone; all others stay.

    With them goes what cannot be decoded, and what entity nobody knows: whose that is nobody can tell.
    """
    text = body.decode("utf-8", errors="replace").strip()
    theirs: set[Place] = set()
    odd: set[Place] = set()
    goes = False
    for place, pairs in _by_entity(text).items():
        key, action, _ = place
        if key == ACCOUNT:
            continue
        try:
            inner = _decode(pairs)
        except Exception:
            odd.add(place)
            goes = True
            continue
        is_known = key in ENTITIES and isinstance(inner, dict)
        is_one = is_theirs(_item(ENTITIES[key], action, inner) if is_known else Item(key, action, None, {"": inner}))
        goes |= is_one
        if is_one or not is_known:
            (theirs if is_known else odd).add(place)
    if not goes:
        return body
    return "&".join(pair for pair in filter(None, text.split("&")) if _may_stay(pair, theirs, odd)).encode()


def what_is_told(body: bytes) -> bytes:
    """Return a body without what stands in every one: whose account it is, and the names of what is told."""
    pairs = body.split(b"&")
    return b"&".join(_told(pair) for pair in pairs if _placed(pair.decode(errors="replace"))[0][0] != ACCOUNT)


def _told(pair: bytes) -> bytes:
    key, _, value = pair.partition(b"=")
    return value if PLAIN_BODY_KEY.fullmatch(key) else pair


def _may_stay(pair: str, theirs: set[Place], odd: set[Place]) -> bool:
    place, rest = _placed(pair)
    if place in odd:
        return False
    last = rest.rpartition("[")[2].removesuffix("]")
    return place not in theirs or (last in REFERENCES and number(unquote_plus(pair.partition("=")[2])) is not None)
