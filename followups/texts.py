"""What a step says: Liquid templates that staff can write and cannot break anything with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, wraps
from typing import Any

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError

from followups import moments
from followups.enrollment import clock_of, zone_of
from followups.loops import BoundedFor, BoundedTablerow
from leads.models import Lead

LONGEST_TEXT = 4000
# Liquid's lexer looks to the end of the text for the end of each.
MOST_OPENINGS = 200

# A lead of whom everything is known: what a text says only then is tried too before it is saved.
SAMPLE: Mapping[str, Any] = {
    "name": "Maria Souza",
    "first_name": "Maria",
    "phone": "+5511999990000",
    "email": "maria@example.com",
    "bill_value": 4500,
    "chosen_flow": "Aluguel de Lote",
    "qualification_score": 82,
    "stage": "QUALIFICADO",
    "objections": ["preço"],
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
        self.filters = {name: _bounded(apply) for name, apply in self.filters.items()}


def _bounded(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a filter to what fits into a text: Liquid's own limits do not see inside one.

    Without it, `(1..100000000) | join` and `replace` upon `replace` take all memory of the worker.
    """

    @wraps(apply)
    def bounded(value: Any, *args: Any, **kwargs: Any) -> Any:
        return _cut(apply(_cut(value), *map(_cut, args), **kwargs))

    return bounded


def _cut(value: Any) -> Any:
    return value[:LONGEST_TEXT] if isinstance(value, (str, list, tuple, range)) else value


_environment = _Bounded(autoescape=False)


def check(text: str) -> None:
    """Raise BrokenTextError when the text could not be rendered for a lead, of whom nothing or everything is known."""
    if not text.strip():
        raise BrokenTextError("The text is empty.")
    with _told_plainly():
        filters = _template(text).analyze().filters
    # Liquid looks a filter up when it comes to it, which in a branch can be at the first lead it is meant for.
    for name, places in filters.items():
        if name not in _environment.filters:
            raise BrokenTextError(f"unknown filter '{name}' (line {places[0].line_col(text)[0]})")
    render(text, {})
    render(text, SAMPLE)


def render(text: str, facts: Mapping[str, Any]) -> str:
    """Return the message; what is not known of the lead is left empty. Raises BrokenTextError."""
    with _told_plainly():
        return _template(text).render(**facts).strip()[:LONGEST_TEXT]


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except LiquidError as error:
        raise BrokenTextError(f"{error.message or error} (line {_line(error)})") from error
    except BrokenTextError:
        raise
    # Filters let through what Python says of a number without end, or of a text that is no base64. One lead's text
    # must not hold up everybody who is due with it.
    except Exception as error:
        raise BrokenTextError(f"a filter cannot work with what it is given: {error}") from error


def facts_of(lead: Lead, *, at: datetime) -> dict[str, Any]:
    """Return what a text may speak of that leaves at this moment: the lead's facts, the stage, the meeting in words.

    What is unknown is None and never an empty text, which Liquid's `if` takes for something.
    """
    name = lead.name.strip()
    return {
        "name": name or None,
        "first_name": name.split(" ")[0] or None,
        "phone": lead.phone,
        "email": lead.email or None,
        "bill_value": _number(lead.bill_value),
        "chosen_flow": lead.chosen_flow or None,
        "qualification_score": lead.qualification_score,
        "stage": lead.stage.name if lead.stage else lead.other_stage_name,
        "objections": [objection.name for objection in lead.objections.all()],
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
    pipeline = lead.pipeline
    others = {pipeline.time_zone, zone_of(lead)}
    said = moments.told(lead.meeting_starts_at, at=at, clock=clock_of(lead), others=others, locale=pipeline.locale)
    return {
        "when": said.when,
        "date": said.date,
        "time": said.time,
        "starts_at": said.date_and_time,
        "zone": said.clock or None,
        "link": lead.meeting_link or None,
    }


@lru_cache(maxsize=512)
def _template(text: str) -> BoundTemplate:
    # Before it is read: reading alone can take minutes.
    if len(text) > LONGEST_TEXT:
        raise BrokenTextError(f"The text has {len(text)} characters; at most {LONGEST_TEXT} are sent.")
    if text.count("{{") + text.count("{%") > MOST_OPENINGS:
        raise BrokenTextError(f"The text has more than {MOST_OPENINGS} openings ({{{{ or {{%).")
    return _environment.from_string(text)


def _line(error: LiquidError) -> int:
    context = error.context()
    return context[0] if context else 1
