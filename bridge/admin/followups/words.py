"""Reasons of follow-ups in the reader's language: they are stored in English, as all reasons are, piece by piece."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

SPAN = r"(?P<span>(?:\d+ \w+ ?){1,2}|at once)"

PIECES: tuple[tuple[re.Pattern[str], Any], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (rf"{SPAN} after our last message", _("%(span)s after our last message")),
        (rf"{SPAN} before the meeting", _("%(span)s before the meeting")),
        (rf"given up after {SPAN} of silence", _("given up after %(span)s of silence")),
        (r"quiet hours until (?P<what>[\d:]+)", _("quiet hours until %(what)s")),
        (r"no messages on (?P<weekday>\w+)s", _("no messages on %(weekday)s")),
        (r"holiday: (?P<what>.+)", _("holiday: %(what)s")),
        (r"earlier, because (?P<rest>.+)", _("earlier, because %(rest)s")),
        (r"sent now by (?P<what>.+)", _("sent now by %(what)s")),
        (r"let go on by (?P<what>.+)", _("let go on by %(what)s")),
        (r"skipped by (?P<what>.+)", _("skipped by %(what)s")),
        (r"cancelled by (?P<what>.+)", _("cancelled by %(what)s")),
        (r"the lead stands in (?P<what>.+)", _("the lead stands in %(what)s")),
        (r"the sequence is switched off", _("the sequence is switched off")),
        (r"the sequence is switched on again", _("the sequence is switched on again")),
        (r"the lead has answered", _("the lead has answered")),
        (r"a person has taken over", _("a person has taken over")),
        (r"a person has written to the lead", _("a person has written to the lead")),
        (r"the person opted out", _("the person opted out")),
        (r"a meeting is booked", _("a meeting is booked")),
        (r"the meeting had begun", _("the meeting had begun")),
        (r"every message was given", _("every message was given")),
        (r"too late: its moment had passed", _("too late: its moment had passed")),
        (r"its time had passed before", _("its time had passed before")),
        (r"a message was missed, so nobody gives the lead up", _("a message was missed, so nobody gives the lead up")),
        (
            rf"no answer to (?P<what>\d+) messages, the last {SPAN} ago",
            _("no answer to %(what)s messages, the last %(span)s ago"),
        ),
        (r"the agent answered (?P<what>\d+)", _("the agent answered %(what)s")),
        (r"the agent did not answer \((?P<what>\w+)\)", _("the agent did not answer (%(what)s)")),
        (r"sending", _("sending")),
    )
)
WEEKDAYS = {
    "Monday": _("Mondays"),
    "Tuesday": _("Tuesdays"),
    "Wednesday": _("Wednesdays"),
    "Thursday": _("Thursdays"),
    "Friday": _("Fridays"),
    "Saturday": _("Saturdays"),
    "Sunday": _("Sundays"),
}


def said(reason: str) -> str:
    """Return a reason in the active language; a piece nobody has words for stays as it is."""
    return "; ".join(map(_piece, reason.split("; "))) if reason else ""


def _piece(text: str) -> str:
    for pattern, words in PIECES:
        if found := pattern.fullmatch(text):
            return str(words % _values(found.groupdict()))
    return text


def _values(found: Mapping[str, str]) -> dict[str, str]:
    values = dict(found)
    if "span" in values:
        values["span"] = _span(values["span"])
    if "weekday" in values:
        values["weekday"] = str(WEEKDAYS.get(values["weekday"], values["weekday"]))
    if "rest" in values:
        values["rest"] = _piece(values["rest"])
    return values


def _span(text: str) -> str:
    if text == "at once":
        return gettext("at once")

    def days(found: re.Match[str]) -> str:
        count = int(found[1])
        return ngettext("%(count)d day", "%(count)d days", count) % {"count": count}

    return re.sub(r"(\d+) days?", days, text.strip())
