"""Reasons of decisions in the reader's language: they are stored in English, once, and told piece by piece.

A piece nobody has words for stays as it is stored: it is still true. Names of stages and what the agent said are never
translated.
"""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from bridge.admin.followups import words

# Parts whose own text is told in words again.
NESTED = ("why", "but")

PIECES: tuple[tuple[re.Pattern[str], Any], ...] = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"(?P<why>.+), but (?P<but>.+)", _("%(why)s, but %(but)s")),
        (r"conversation stage (?P<a>“.*”) means (?P<b>.+)", _("conversation stage %(a)s means %(b)s")),
        (r"conversation stage (?P<a>“.*”) is not mapped yet", _("conversation stage %(a)s is not mapped yet")),
        (r"conversation stage (?P<a>“.*”) moves nothing(?: now)?", _("conversation stage %(a)s moves nothing now")),
        (r"first message of a new lead", _("first message of a new lead")),
        (r"nothing in this interaction calls for a move", _("nothing in this interaction calls for a move")),
        (r"(?P<a>.+) is further along", _("%(a)s is further along")),
        (r"meeting (?P<a>\S+) booked", _("meeting %(a)s booked")),
        (r"a meeting booked", _("a meeting is booked")),
        (r"meeting (?P<a>\S+) moved to another time", _("meeting %(a)s moved to another time")),
        (r"meeting (?P<a>\S+) cancelled", _("meeting %(a)s cancelled")),
        (r"it stood in (?P<a>.+) before", _("it stood in %(a)s before")),
        (
            r"the lead wrote again from (?P<a>.+) and was taken up",
            _("the lead wrote again from %(a)s and was taken up"),
        ),
        (r"the lead wrote again from (?P<a>.+)", _("the lead wrote again from %(a)s")),
        (r"the lead booked a meeting from (?P<a>.+)", _("the lead booked a meeting from %(a)s")),
        (r"the lead wrote from (?P<a>.+)", _("the lead wrote from %(a)s")),
        (r"the card stays there", _("the card stays there")),
        (r"the card moved to (?P<a>.+)", _("the card moved to %(a)s")),
        (r"the lead did not come to the meeting", _("the lead did not come to the meeting")),
        (r"automatic moves do not leave (?P<a>.+)", _("automatic moves do not leave %(a)s")),
        (
            r"automatic moves do not go back from (?P<a>.+) to (?P<b>.+)",
            _("automatic moves do not go back from %(a)s to %(b)s"),
        ),
        (r"its meeting is still booked", _("its meeting is still booked")),
        (r"a person moved the card to (?P<a>.+)", _("a person moved the card to %(a)s")),
        (r"a person put the card into a stage of their own", _("a person put the card into a stage of their own")),
        (r"a person has taken over", _("a person has taken over")),
        (r"moved in Kommo to (?P<a>.+)", _("moved in Kommo to %(a)s")),
        (r"changed in Kommo: (?P<a>.+)", _("changed in Kommo: %(a)s")),
        (r"the card stands in (?P<a>.+)", _("the card stands in %(a)s")),
        (r"the card left (?P<a>.+)", _("the card left %(a)s")),
        (r"nothing else is known", _("nothing else is known")),
        (r"the meeting is cancelled", _("the meeting is cancelled")),
        (r"the meeting is completed", _("the meeting is over")),
        (r"the meeting is no_show", _("the lead did not come to the meeting")),
        (r"no meeting is booked", _("no meeting is booked")),
        # Two pieces of one sentence: reasons are joined by the same sign.
        (r"talk of a meeting", _("talk of a meeting")),
        (r"none is booked", _("none is booked")),
        (r"a new lead starts here", _("a new lead starts here")),
        (
            r"no rule of the conversation leads here: staff or a follow-up do",
            _("no rule of the conversation leads here: staff or a follow-up do"),
        ),
        (
            r"the agent would have to report the conversation stage (?P<a>.+)",
            _("the agent would have to report the conversation stage %(a)s"),
        ),
        (
            r"a lead who writes again from (?P<a>.+) is taken up here",
            _("a lead who writes again from %(a)s is taken up here"),
        ),
        (
            r"it is asked only in the conversation stage (?P<a>.+)",
            _("it is asked only in the conversation stage %(a)s"),
        ),
        (r"qualification says qualified: (?P<why>.+)", _("qualification says qualified: %(why)s")),
        (r"qualification says disqualified: (?P<why>.+)", _("qualification says disqualified: %(why)s")),
        (r"qualification says undecided: (?P<why>.+)", _("qualification says undecided: %(why)s")),
        (r"(?P<a>\w+) is not known yet", _("%(a)s is not known yet")),
        (r"paused by (?P<a>.+)", _("paused by %(a)s")),
        (r"resumed by (?P<a>.+)", _("resumed by %(a)s")),
        (r"moved by (?P<a>.+)", _("moved by %(a)s")),
        (r"(?P<a>.+) stopped: (?P<why>.+)", _("%(a)s stopped: %(why)s")),
        (
            r"stage (?P<a>“.*”) is not bound to a stage in Kommo: .+",
            _("stage %(a)s is not bound to a stage in Kommo"),
        ),
        (r"field (?P<a>“.*”) is not bound to a field in Kommo: .+", _("field %(a)s is not bound to a field in Kommo")),
        (r"(?P<a>“.*”) has no option (?P<b>“.*”) in Kommo", _("%(a)s has no option %(b)s in Kommo")),
        (r"deleted in Kommo", _("deleted in Kommo")),
    )
)


def told(reason: str) -> str:
    """Return a reason in the active language."""
    return "; ".join(map(_piece, reason.split("; "))) if reason else ""


def _piece(text: str) -> str:
    for pattern, said in PIECES:
        if found := pattern.fullmatch(text):
            parts = {name: told(part) if name in NESTED else _listed(part) for name, part in found.groupdict().items()}
            return str(said % parts)
    return words.said(text)


def _listed(text: str) -> str:
    """Return names of which any would do with the word between them in the active language."""
    word = gettext("or")
    return text.replace("” or “", f"” {word} “")
