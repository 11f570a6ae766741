"""What changes from one configuration to another, told in lines a person reads, and what of one belongs to the other.

Two versions of a record are the same thing when their identity is (a slug, a key, a conversation stage), and where
several share one, or have none, by their order. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from bridge.configuration import document
from bridge.configuration.records import Record, keys_of
from bridge.configuration.structures import Many, One

# Their order means nothing, or cannot be changed (see importing).
UNORDERED = (document.Pipeline, document.Sequence)
LONGEST_SHOWN = 80
# How much of what is the same stands before the difference.
BEFORE_DIFFERENCE = 20


def between(old: document.Configuration, new: document.Configuration) -> list[str]:
    """Return the changes, one line each: `+` added, `-` removed, `~` changed. Empty when nothing changes."""
    return list(_of_records("", old.pipelines, new.pipelines))


def match(old: Sequence[Record], new: Sequence[Record]) -> list[int | None]:
    """Return for every new record the place of its old version; None for one that was not there."""
    places = {name: place for place, name in enumerate(_names(old))}
    return [places.get(name) for name in _names(new)]


def _names(records: Sequence[Record]) -> list[tuple[Any, ...]]:
    """Return the identities, numbered where several are alike."""
    seen: Counter[tuple[Any, ...]] = Counter()
    names = []
    for record in records:
        seen[record.identity] += 1
        names.append((*record.identity, seen[record.identity]))
    return names


def _of_records(path: str, old: Sequence[Record], new: Sequence[Record]) -> Iterator[str]:
    places = match(old, new)
    kept = [place for place in places if place is not None]
    for place, record in enumerate(old):
        if place not in kept:
            yield f"- {path}{_title(record, place)}"
    for number, (found, record) in enumerate(zip(places, new, strict=True)):
        if found is None:
            yield f"+ {path}{_title(record, number)}{_told(record)}"
        else:
            yield from _of_record(f"{path}{_title(record, number)}", old[found], record)
    is_ordered = bool(new) and not isinstance(new[0], UNORDERED)
    if is_ordered and (kept != sorted(kept) or _is_inserted(places)):
        yield f"~ {path}{new[0].called} order: {', '.join(_short(record) for record in new)}"


def _is_inserted(places: list[int | None]) -> bool:
    """Say whether something new stands before something old."""
    return any(before is None and after is not None for before, after in pairwise(places))


def _of_record(path: str, old: Record, new: Record) -> Iterator[str]:
    for key in keys_of(type(new)):
        before, after = getattr(old, key.attribute), getattr(new, key.attribute)
        if before == after:
            continue
        if isinstance(key.kind, Many):
            yield from _of_records(f"{path}, ", before, after)
        elif isinstance(key.kind, One) and before is not None and after is not None:
            yield from _of_record(f"{path}, {key.name}", before, after)
        else:
            old_text, new_text = _cut(_shown(key.kind, before), _shown(key.kind, after))
            yield f"~ {path}: {key.name}: {old_text} -> {new_text}"


def _title(record: Record, place: int) -> str:
    """Return “stage qualified”, “step 2”."""
    return f"{record.called} {_short(record) or place + 1}"


def _short(record: Record) -> str:
    keys = keys_of(type(record))
    return " ".join(str(getattr(record, key.attribute)) for key in keys[: len(record.identity)])


def _told(record: Record) -> str:
    """Return what a new record says besides its identity."""
    if not record.on_one_line:
        return ""
    keys = keys_of(type(record))[len(record.identity) :]
    parts = [
        f"{key.name}: {_shown(key.kind, getattr(record, key.attribute))}"
        for key in keys
        if key.default is None or getattr(record, key.attribute) != key.default()
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _shown(kind: Any, value: Any) -> str:
    if value is None:
        return "nothing"
    shown = kind.show(value)
    if isinstance(shown, dict):
        text = ", ".join(f"{name}: {part}" for name, part in shown.items()) or "nothing"
    elif isinstance(shown, list):
        text = ", ".join(map(str, shown)) or "nothing"
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = f"“{shown}”" if isinstance(shown, str) else str(shown)
    return text.replace("\n", "⏎")


def _cut(old: str, new: str) -> tuple[str, str]:
    """Return two long texts around the place where they begin to differ."""
    start = 0
    if max(len(old), len(new)) > LONGEST_SHOWN:
        same = next((place for place, (former, other) in enumerate(zip(old, new, strict=False)) if former != other), 0)
        start = max(0, same - BEFORE_DIFFERENCE)
    return _shortened(old, start), _shortened(new, start)


def _shortened(text: str, start: int) -> str:
    end = start + LONGEST_SHOWN
    return f"{'…' * (start > 0)}{text[start:end]}{'…' * (len(text) > end)}"
