"""Reasons in the reader's language: by their code and their parts (common/reasons), piece by piece.

Rows of before have the English sentence instead, which is taken apart by the sentences there are; so is what is too
long for its column. A piece nobody has words for stays as it is stored: it is still true. Names of stages, what people
wrote and what Kommo answered are never translated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

from bridge.configuration import sentences
from bridge.reasons.rule_problems import PROBLEMS
from common.reasons import SIGNS, Reason
from common.reasons.sentences import SENTENCES, TOLD_OTHERWISE, WITHOUT_WORDS
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
    if isinstance(reason, Reason):
        return _by_code(reason)
    return "; ".join(map(_piece, reason.split("; "))) if reason else ""


def _by_code(reason: Reason) -> str:
    if sign := SIGNS.get(reason.code):
        return sign.join(map(in_words, reason.parts["each"]))
    parts = {
        name: _by_code(part) if isinstance(part, Reason) else TELLING.get(name, _listed)(str(part))
        for name, part in reason.parts.items()
    }
    return gettext(TOLD_OTHERWISE.get(reason.code, SENTENCES[reason.code])) % parts


def problem(text: str) -> str:
    """Return what the configuration has against itself in plain words; one nobody has words for as it is."""
    for pattern, sentence in PROBLEM_PATTERNS:
        if found := pattern.fullmatch(text):
            return gettext(sentence) % found.groupdict()
    return text


def _piece(text: str) -> str:
    if code := PLAIN.get(text):
        return _by_code(Reason(code))
    for pattern, code in PATTERNS:
        if found := pattern.fullmatch(text):
            return _by_code(Reason(code, **found.groupdict()))
    head, colon, tail = text.partition(": ")
    if colon:
        return f"{_piece(head)}: {_piece(tail)}"
    return _facts(text)


def _facts(text: str) -> str:
    """Return what is known of a lead by its names, within a text of any kind."""
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
    "fact": _facts,
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


# Of rows of before; what has no words in it they have as it stands.
STORED = {code: sentence for code, sentence in SENTENCES.items() if code not in WITHOUT_WORDS}
PLAIN = {sentence: code for code, sentence in STORED.items() if "%(" not in sentence}
PATTERNS = [(_pattern(sentence), code) for code, sentence in STORED.items() if "%(" in sentence]
PROBLEM_PATTERNS = [(_pattern(english, IN_PROBLEMS), sentence) for english, sentence in PROBLEMS.items()]
