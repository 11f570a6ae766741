"""Reasons in the reader's language: they are stored in English, once, and told piece by piece.

A piece nobody has words for stays as it is stored: it is still true. Names of stages, what people wrote and what Kommo
answered are never translated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

from bridge.configuration import sentences
from bridge.reasons.known import SENTENCES, TOLD_OTHERWISE
from bridge.reasons.rule_problems import PROBLEMS
from leads.models.lead import ATTRIBUTES

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
# What a placeholder stands for: a name, when it is not among these. What follows a colon is a reason of its own, unless
# it stands within a name in quotes.
NAME = r"(?:“[^”]*”|(?!: ).)+"
SHAPES = {
    "why": ".+",
    "but": ".+",
    "rest": ".+",
    "attribute": rf"{'|'.join((*ATTRIBUTES, 'phone', 'conversation_stage'))}|custom\.\w+",
    "number": r"\d+",
    "span": r"(?:\d+ \w+ ?){1,2}|at once",
    "weekday": r"\w+days",
}
# In a problem, what stands in quotes ends with them; there may be nothing behind it.
IN_PROBLEMS = {**SHAPES, "key": "[^”]*", "other": "[^”]*", "rest": ".*"}
# Attributes within a comparison. Not those that are plain words as well, such as “name”.
NAMED = re.compile(rf"\b(?:{'|'.join(name for name in ATTRIBUTES if '_' in name)}|custom\.\w+)\b")


def in_words(reason: str) -> str:
    """Return a reason in the active language."""
    return "; ".join(map(_piece, reason.split("; "))) if reason else ""


def problem(text: str) -> str:
    """Return what the configuration has against itself in plain words; one nobody has words for as it is."""
    for pattern, sentence in PROBLEM_PATTERNS:
        if found := pattern.fullmatch(text):
            return gettext(sentence) % found.groupdict()
    return text


def _piece(text: str) -> str:
    if text in PLAIN:
        return gettext(TOLD_OTHERWISE.get(text, text))
    for pattern, sentence in PATTERNS:
        if found := pattern.fullmatch(text):
            parts = {name: TELLING.get(name, _listed)(part) for name, part in found.groupdict().items()}
            return gettext(TOLD_OTHERWISE.get(sentence, sentence)) % parts
    head, colon, tail = text.partition(": ")
    if colon:
        return f"{_piece(head)}: {_piece(tail)}"
    return NAMED.sub(lambda found: sentences.attribute(found[0]), text)


def _listed(text: str) -> str:
    """Return names of which any would do with the word between them in the active language."""
    return text.replace("” or “", f"” {gettext('or')} “")


def _span(text: str) -> str:
    if text == "at once":
        return gettext("at once")

    def days(found: re.Match[str]) -> str:
        count = int(found[1])
        return ngettext("%(count)d day", "%(count)d days", count) % {"count": count}

    return re.sub(r"(\d+) days?", days, text.strip())


def _moment(text: str) -> str:
    try:
        at = timezone.localtime(datetime.fromisoformat(text))
    except ValueError:
        return text
    return f"{date_format(at, 'SHORT_DATE_FORMAT')} {at:%H:%M}"


# How a part is told; names as they are, when it is not among these.
TELLING: dict[str, Callable[[str], str]] = {
    "why": in_words,
    "but": in_words,
    "rest": _piece,
    "attribute": sentences.attribute,
    "span": _span,
    "weekday": gettext,
    "at": _moment,
}


def _pattern(sentence: str, shapes: Mapping[str, str] = SHAPES) -> re.Pattern[str]:
    texts_and_names = PLACEHOLDER.split(sentence)
    parts = [
        f"(?P<{part}>{shapes.get(part, NAME)})" if number % 2 else re.escape(part)
        for number, part in enumerate(texts_and_names)
    ]
    return re.compile("".join(parts))


PLAIN = {sentence for sentence in SENTENCES if "%(" not in sentence} | TOLD_OTHERWISE.keys()
PATTERNS = [(_pattern(sentence), sentence) for sentence in (*SENTENCES, *TOLD_OTHERWISE) if "%(" in sentence]
PROBLEM_PATTERNS = [(_pattern(english, IN_PROBLEMS), sentence) for english, sentence in PROBLEMS.items()]
