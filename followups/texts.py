"""What a step says: Liquid templates that staff can write and cannot break anything with.

What is wrong with a text is told in the active language: a person who knows no Liquid reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache, wraps
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError, ResourceLimitError

from followups import moments_in_words
from followups.loops_in_texts import BoundedFor, BoundedTablerow
from followups.next_step import clock_of, zone_of
from leads import booking_links
from leads.models import Lead

LONGEST_TEXT = 4000
# Liquid's lexer looks to the end of the text for the end of each.
MOST_OPENINGS = 200
CLOSED_BY = {"{{": "}}", "{%": "%}"}
# A text for a chat needs a handful; within loops they multiply.
MOST_FILTERINGS = 1_000
# What a filter makes before it is cut counts as one more for each so many signs: `replace` can make millions at once.
COUNTS_AS_ONE = 100_000
# One compares each with all before it, one reads a text for what might be a moment.
LONGEST_VALUES = {"uniq": 100, "date": 100}
# Nobody writes of more; multiplied by themselves, numbers soon take minutes.
MOST_BITS = 1_000
# What Liquid lets one ask of any text or list.
OF_VALUES = frozenset({"size", "first", "last"})
# A sign that stands behind a blank, or nothing between two signs: something is missing in front of it.
HOLE = re.compile(r"[ \t][,!?.;:](?=\s|$)|^[,!?.;:]|[,:] *[,!?.;](?=\s|$)|[,:]\s*\Z", re.MULTILINE)

# A lead of whom everything is known: what a text says only then is tried too before it is saved.
SAMPLE: Mapping[str, Any] = {
    "name": "Maria Souza",
    "first_name": "Maria",
    "phone": "+5511999990000",
    "email": "maria@example.com",
    "channel": "whatsapp",
    "address": "5511999990000@s.whatsapp.net",
    "bill_value": 4500,
    "chosen_flow": "Aluguel de Lote",
    "qualification_score": 82,
    "stage": "QUALIFICADO",
    "objections": ["preço"],
    "booking_url": "https://cal.com/acme/visita?metadata[lead]=0f9c1a2b",
    "custom": {},
    "meeting": {
        "when": "amanhã às 14:00",
        "date": "25/11",
        "time": "14:00",
        "starts_at": "25/11 às 14:00",
        "zone": None,
        "link": "https://example.com/meet",
    },
}


class BrokenTextError(ValueError):
    """The template cannot be read; the message says where and why, for the person who wrote it."""


class _Bounded(Environment):
    # A text for a chat needs a handful of rounds; anything else is a mistake or a prank.
    loop_iteration_limit = 200
    output_stream_limit = 4 * LONGEST_TEXT
    local_namespace_limit = 20_000

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        # There are no other templates to take in.
        del self.tags["include"], self.tags["render"]
        self.add_tag(BoundedFor)
        self.add_tag(BoundedTablerow)
        self.filters = {
            name: _bounded(apply, longest=LONGEST_VALUES.get(name, LONGEST_TEXT))
            for name, apply in self.filters.items()
        }


_filterings_left: ContextVar[int] = ContextVar("filters that a text may still apply", default=MOST_FILTERINGS)


def _bounded(apply: Callable[..., Any], *, longest: int) -> Callable[..., Any]:
    """Keep a filter to what fits into a text: Liquid's own limits do not see inside one.

    Without it, `(1..100000000) | join` and `replace` upon `replace` take all memory of the worker.
    """

    @wraps(apply)
    def bounded(value: Any, *args: Any, **kwargs: Any) -> Any:
        left = _filterings_left.get()
        if left <= 0:
            raise ResourceLimitError(f"at most {MOST_FILTERINGS} filters are applied", token=None)
        made = apply(_cut(value, longest), *map(_cut, args), **kwargs)
        size = len(made) if isinstance(made, (str, list, tuple, range)) else 0
        _filterings_left.set(left - 1 - size // COUNTS_AS_ONE)
        return _cut(made)

    return bounded


def _cut(value: Any, longest: int = LONGEST_TEXT) -> Any:
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise ResourceLimitError("a number has too many digits", token=None)
    return value[:longest] if isinstance(value, (str, list, tuple, range)) else value


_environment = _Bounded(autoescape=False)


def check(text: str) -> None:
    """Raise BrokenTextError when the text could not be rendered for a lead, of whom nothing or everything is known."""
    if not text.strip():
        raise BrokenTextError(_("The text is empty."))
    with _told_plainly():
        filters = _template(text).analyze().filters
    # Liquid looks a filter up when it comes to it, which in a branch can be at the first lead it is meant for.
    for name, places in filters.items():
        if name not in _environment.filters:
            raise BrokenTextError(_at_line(_said(f"unknown filter '{name}'"), places[0].line_col(text)[0]))
    render(text, {})
    render(text, SAMPLE)


def check_names(text: str) -> None:
    """Raise BrokenTextError when the text speaks of something that no lead has: it would leave a hole in every message.

    Apart from `check`, since texts of long ago are read, and must be shown, that were never asked this.
    """
    if unknown := unknown_names(text):
        raise BrokenTextError(" ".join(unknown))


def unknown_names(text: str) -> list[str]:
    """Return a sentence for each name in the text that nothing is behind, with the nearest that is known."""
    with _told_plainly():
        names = _template(text).analyze().globals
    spoken = [(variable.segments, variable.span.line_col(text)[0]) for places in names.values() for variable in places]
    found = {name: line for segments, line in reversed(spoken) if (name := _unknown(segments))}
    return [_at_line(_unknown_in_words(name), line) for name, line in sorted(found.items(), key=lambda entry: entry[1])]


def _unknown(segments: Sequence[Any]) -> str | None:
    """Return the name, as far as it goes wrong; None when a lead may have it. What is computed is let pass."""
    first, *rest = segments
    if first not in SAMPLE:
        return ".".join([str(first), *(part for part in rest if isinstance(part, str))])
    value = SAMPLE[first]
    if not rest or not isinstance(rest[0], str) or first == "custom":
        return None
    known = value if isinstance(value, Mapping) else OF_VALUES
    return None if rest[0] in known else f"{first}.{rest[0]}"


def _unknown_in_words(name: str) -> str:
    known = [key for key in SAMPLE if key != "meeting"] + [f"meeting.{part}" for part in SAMPLE["meeting"]]
    near = get_close_matches(name, known, n=1) or get_close_matches(name.partition(".")[2], known, n=1)
    if near:
        words = _("“%(name)s” does not exist; did you mean “%(near)s”?")
        return words % {"name": name, "near": near[0]}
    return _("“%(name)s” does not exist; there are: %(known)s, custom.….") % {"name": name, "known": ", ".join(known)}


def holes(text: str, *, has_meeting: bool = True) -> list[str]:
    """Return what the text says where it does not know enough: a greeting of nobody, a comma after nothing.

    Tried on somebody of whom nothing is known, and on somebody of whom all but one thing is. has_meeting: everybody who
    gets it has one, as who gets a reminder.
    """
    meeting = dict(SAMPLE["meeting"]) if has_meeting else None
    known = dict(SAMPLE) | {"meeting": meeting}
    unknown = {"meeting": meeting and meeting | {"link": None}}
    people = [unknown, *(known | {name: None} for name in known if name != "meeting")]
    if HOLE.search(text):
        # Whoever writes so wants it so.
        return []
    for person in people:
        with suppress(BrokenTextError):
            if HOLE.search(rendered := render(text, person)):
                return [rendered]
    return []


def render(text: str, facts: Mapping[str, Any]) -> str:
    """Return the message; what is not known of the lead is left empty. Raises BrokenTextError."""
    with _told_plainly():
        _filterings_left.set(MOST_FILTERINGS)
        return _template(text).render(**facts).strip()[:LONGEST_TEXT]


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except LiquidError as error:
        raise BrokenTextError(_at_line(_said(str(error.message or error)), _line(error))) from error
    except BrokenTextError:
        raise
    # Filters let through what Python says of a number without end, or of a text that is no base64. One lead's text
    # must not hold up everybody who is due with it.
    except Exception as error:
        words = _("a filter cannot work with what it is given: %(error)s") % {"error": error}
        raise BrokenTextError(words) from error


def facts_of(lead: Lead, *, at: datetime) -> dict[str, Any]:
    """Return what a text may speak of that leaves at this moment: the lead's facts, the stage, the meeting in words.

    What is unknown is None and never an empty text, which Liquid's `if` takes for something.
    """
    name = lead.name.strip()
    last = next(iter(lead.addresses), None)
    return {
        "name": name or None,
        "first_name": name.split(" ")[0] or None,
        "phone": lead.phone,
        "email": lead.email or None,
        # Of the address last written from: its kind, and how it is written.
        "channel": last["kind"] if last else None,
        "address": last["value"] if last else None,
        "bill_value": _number(lead.bill_value),
        "chosen_flow": lead.chosen_flow or None,
        "qualification_score": lead.qualification_score,
        "stage": lead.stage.name if lead.stage else lead.other_stage_name,
        "objections": [objection.name for objection in lead.objections.all()],
        "booking_url": booking_links.link(lead.pipeline.booking_url, lead.pk),
        "custom": lead.custom,
        "meeting": _meeting(lead, at),
    }


def _number(amount: Decimal | None) -> float | None:
    """Return a number that Liquid counts with: it takes a Decimal for 0 without a word."""
    if amount is None:
        return None
    return int(amount) if amount == int(amount) else float(amount)


def _meeting(lead: Lead, at: datetime) -> dict[str, str | None] | None:
    if not (lead.has_standing_meeting and lead.meeting_starts_at):
        return None
    return meeting_told(
        lead.meeting_starts_at,
        at=at,
        clock=clock_of(lead),
        others={lead.pipeline.time_zone, zone_of(lead)},
        locale=lead.pipeline.locale,
        link=lead.meeting_link,
    )


def meeting_told(
    starts_at: datetime, *, at: datetime, clock: ZoneInfo, others: Collection[str] = (), locale: str, link: str
) -> dict[str, str | None]:
    """Return what a text that leaves at a moment says of a meeting; see `moments_in_words.words_for`."""
    words = moments_in_words.words_for(starts_at, at=at, clock=clock, others=others, locale=locale)
    return {
        "when": words.when,
        "date": words.date,
        "time": words.time,
        "starts_at": words.date_and_time,
        "zone": words.clock or None,
        "link": link or None,
    }


@lru_cache(maxsize=512)
def _template(text: str) -> BoundTemplate:
    # Before it is read: reading alone can take minutes.
    if len(text) > LONGEST_TEXT:
        words = _("The text has %(count)d characters; at most %(most)d are sent.")
        raise BrokenTextError(words % {"count": len(text), "most": LONGEST_TEXT})
    if text.count("{{") + text.count("{%") > MOST_OPENINGS:
        words = _("The text has more than %(most)d openings ({{ or {%%).")
        raise BrokenTextError(words % {"most": MOST_OPENINGS})
    for opening, sign in CLOSED_BY.items():
        last = text.rfind(opening)
        if last >= 0 and sign not in text[last:]:
            # Liquid looks for it behind each opening anew, and at each blank on its way.
            raise BrokenTextError(
                _at_line(_said(f"expected '{sign}', found end of file"), text.count("\n", 0, last) + 1)
            )
    return _environment.from_string(text)


# What Liquid says of the usual mistakes, and what that means to whoever wrote the text.
MISTAKES = (
    (r"expected tag (?P<tag>\w+), found end of (?:expression|file)", gettext_noop("{%% %(tag)s %%} is missing")),
    (r"expected '(?P<sign>[}%]+)', found end of file", gettext_noop("the closing “%(sign)s” is missing")),
    (r"(?:unknown|unexpected) tag '(?P<tag>[^']*)'", gettext_noop("unexpected tag {%% %(tag)s %%}")),
    (r"unknown filter '(?P<name>[^']*)'", gettext_noop("unknown filter “%(name)s”")),
    (r"expected end of expression, found .*", gettext_noop("there is a word or a sign too much between the brackets")),
    (
        r"(?:missing expression|expected a primitive expression, .*)",
        gettext_noop("something is missing in the brackets"),
    ),
    (r"unexpected '(?P<sign>[^']*)'", gettext_noop("“%(sign)s” stands where nothing of the kind can")),
)


def _said(message: str) -> str:
    """Return what Liquid says of a mistake in the reader's words, where it is a usual one."""
    for pattern, words in MISTAKES:
        if found := re.fullmatch(pattern, message):
            return _(words) % found.groupdict()
    return message


def _at_line(words: str, line: int) -> str:
    return _("%(words)s (line %(line)d)") % {"words": words, "line": line}


def _line(error: LiquidError) -> int:
    context = error.context()
    return context[0] if context else 1
