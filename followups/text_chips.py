"""A text for people who know no code: words, and chips that stand for what is known of the lead. Pure.

A chip is code of one of a few plain shapes, with the words that fall away together with what is not known:
`{% if first_name %}, {{ first_name }}{% endif %}` is the chip *, first name*. All other code is shown as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from followups.texts import LONGEST_TEXT

# What a text may name of a lead, in the order in which it is offered, and what staff call it.
NAMES: dict[str, str | Promise] = {
    "first_name": gettext_lazy("first name"),
    "name": gettext_lazy("full name"),
    "meeting.when": gettext_lazy("when the meeting is"),
    "meeting.date": gettext_lazy("day of the meeting"),
    "meeting.time": gettext_lazy("hour of the meeting"),
    "meeting.link": gettext_lazy("link of the meeting"),
    "booking_url": gettext_lazy("link to book a meeting"),
    "chosen_flow": gettext_lazy("chosen flow"),
    "bill_value": gettext_lazy("bill value"),
    "stage": pgettext_lazy("of a lead", "stage"),
    "meeting.starts_at": gettext_lazy("day and hour of the meeting"),
    "qualification_score": gettext_lazy("qualification score"),
    "phone": gettext_lazy("phone"),
    "email": gettext_lazy("email"),
}
# Of these the buttons are always in sight; the others are behind *more*.
OFFERED_AT_ONCE = 7

_NAME = "|".join(re.escape(name) for name in NAMES) + r"|custom\.\w+"
_WORDS = r"(?:(?!\{\{|\{%).)*?"
_IF_KNOWN = re.compile(
    rf"\{{%\s*if\s+(?P<asked>{_NAME}|meeting)\s*%\}}(?P<before>{_WORDS})\{{\{{\s*(?P<name>{_NAME})\s*\}}\}}(?P<after>{_WORDS})"
    rf"(?:\{{%\s*else\s*%\}}(?P<otherwise>{_WORDS}))?\{{%\s*endif\s*%\}}",
    re.DOTALL,
)
_PLAIN = re.compile(
    rf"\{{\{{\s*(?P<name>{_NAME})\s*(?:\|\s*default:\s*(?P<quote>[\"'])(?P<otherwise>[^\"'{{}}]*)(?P=quote)\s*)?\}}\}}"
)
_CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_CONDITION = re.compile(rf"\{{%\s*if\s+(?P<asked>{_NAME}|meeting)\s*%\}}")
_WORD = re.compile(r"\{%\s*(?P<word>else|endif)\s*%\}")


@dataclass(frozen=True)
class Words:
    text: str

    @property
    def code(self) -> str:
        return self.text


@dataclass(frozen=True)
class Chip:
    """What is known of the lead, with the words around it; `otherwise` in place of all of them, if not known."""

    code: str
    name: str
    before: str = ""
    after: str = ""
    otherwise: str = ""

    @property
    def label(self) -> str:
        return called(self.name)


@dataclass(frozen=True)
class Code:
    """Code of any other shape; `label` says it in words where it is a plain condition."""

    code: str

    @property
    def label(self) -> str:
        if found := _CONDITION.fullmatch(self.code):
            return _("if there is: %(what)s") % {"what": called(found["asked"])}
        if found := _WORD.fullmatch(self.code):
            return _("otherwise") if found["word"] == "else" else _("end of the condition")
        return self.code


Part = Words | Chip | Code


def called(name: str) -> str:
    if name == "meeting":
        return _("a meeting")
    return str(NAMES[name]) if name in NAMES else name.removeprefix("custom.")


def parts(text: str) -> list[Part]:
    """Return a text in pieces; their codes joined are the text."""
    if len(text) > LONGEST_TEXT:
        # Too long to be sent, and to be looked through.
        return [Code(text)]
    found: list[Part] = []
    at = 0
    while at < len(text):
        opening = _CODE.search(text, at)
        start = opening.start() if opening else len(text)
        if start > at:
            found.append(Words(text[at:start]))
        if opening is None:
            break
        piece = _chip(text, start) or Code(opening[0])
        found.append(piece)
        at = start + len(piece.code)
    return found


def _chip(text: str, at: int) -> Chip | None:
    found = _IF_KNOWN.match(text, at)
    if found and found["asked"] in (found["name"], found["name"].partition(".")[0]):
        return Chip(found[0], found["name"], found["before"], found["after"], found["otherwise"] or "")
    if found := _PLAIN.match(text, at):
        return Chip(found[0], found["name"], otherwise=found["otherwise"] or "")
    return None


def readable(text: str) -> str:
    """Return the text as staff read it: what stands for something of the lead in brackets, by its name."""
    return "".join(_readable(part) for part in parts(text))


def _readable(part: Part) -> str:
    if isinstance(part, Words):
        return part.text
    if isinstance(part, Code):
        return f"[{part.label}]"
    instead = _(", or “%(words)s”") % {"words": part.otherwise} if part.otherwise else ""
    return f"{part.before}[{part.label}{instead}]{part.after}"
