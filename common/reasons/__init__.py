"""Why something is as it is: a sentence of ours that knows its code and what it speaks of.

A reason is its English sentence, so that whoever shows, compares or sends a text needs to know nothing of codes. It is
kept by its code and its parts (`as_stored`, `columns`), and told in the reader's language by them (bridge/reasons).
Whatever else is made of one, as `f"{reason}!"` or its first hundred characters, is a text and no reason any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from common.reasons.sentences import SENTENCES

# Made of other reasons, by nothing but a sign between them.
SIGNS = {"several": "; ", "about": ": "}
# What a reason may speak of, as it is; anything else by its name. Further reasons are texts as well.
PLAIN = (str, int, tuple)


class Reason(str):
    """A sentence with its code and its parts: texts, whole numbers, and further reasons.

    >>> Reason("kommo_answered", number=402)
    'Kommo answered 402'
    """

    code: str
    parts: Mapping[str, Any]

    def __new__(cls, code: str, /, **parts: Any) -> Reason:
        for name, part in parts.items():
            if not isinstance(part, PLAIN):
                parts[name] = str(part)
        sign = SIGNS.get(code)
        made = super().__new__(cls, SENTENCES[code] % parts if sign is None else sign.join(parts["each"]))
        made.code, made.parts = code, parts
        return made

    def __str__(self) -> str:
        """Return the reason: the text of an error is asked for by `str`, and stays the reason it was raised with."""
        return self

    @property
    def sentence(self) -> str:
        """The sentence alone, as rows of before have it."""
        return super().__str__()

    def __getitem__(self, place: Any) -> str:
        """Return a part of the sentence; the reason itself where that is all of it, as what fits a column is."""
        part = super().__getitem__(place)
        return self if len(part) == len(self) and isinstance(place, slice) and place.step is None else part

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.code, dict(self.parts))

    def with_parts(self, change: Callable[[str], str]) -> Reason:
        """Return the same reason with all that it speaks of changed, its sentence as it is."""
        return Reason(self.code, **{name: _changed(part, change) for name, part in self.parts.items()})


def several(reasons: Iterable[str]) -> str:
    """Return some reasons as one, which is told piece by piece; a single one as it is, none as an empty text."""
    each = tuple(piece for reason in reasons for piece in (pieces(reason) if isinstance(reason, Reason) else (reason,)))
    if len(each) < 2:
        return each[0] if each else ""
    return Reason("several", each=each)


def about(subject: str, reason: str) -> Reason:
    """Return a reason behind what it is about."""
    return Reason("about", each=(subject, reason))


def pieces(reason: str) -> tuple[str, ...]:
    """Return the reasons one is made of; of one stored as a sentence, by the sign between them."""
    if isinstance(reason, Reason):
        return tuple(reason.parts["each"]) if reason.code == "several" else (reason,)
    return tuple(reason.split("; "))


def codes_of(reason: Any) -> set[str]:
    """Return the codes of a reason and of all that it speaks of; none of a sentence of before."""
    if isinstance(reason, tuple):
        return {code for member in reason for code in codes_of(member)}
    if not isinstance(reason, Reason):
        return set()
    return {reason.code}.union(*(codes_of(part) for part in reason.parts.values()))


def _made(code: str, parts: dict[str, Any]) -> Reason:
    return Reason(code, **parts)


def _changed(part: Any, change: Callable[[str], str]) -> Any:
    if isinstance(part, Reason):
        return part.with_parts(change)
    if isinstance(part, tuple):
        return tuple(_changed(member, change) for member in part)
    changed = change(str(part))
    return part if changed == str(part) else changed
