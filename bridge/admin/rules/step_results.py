"""What came of each message of a sequence, beside its text: the numbers of the results page, for thirty days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from bridge.configuration import document, exporting
from bridge.selectors import results
from leads.models import Pipeline


def beside(row: Pipeline, sequence: document.Sequence, *, now: datetime) -> list[dict[str, Any] | None]:
    """Return the numbers for each step as a draft has it; None for one that is new, or that nobody was sent.

    Messages are counted by the place of their step in the rules that hold, wherever the draft has put it.
    """
    live = next(
        (
            live_sequence
            for live_sequence in exporting.read_pipeline(row).sequences
            if live_sequence.slug == sequence.slug
        ),
        None,
    )
    if live is None:
        return [None] * len(sequence.steps)
    period = results.usual(row, now=now)
    counted = results.of_sequence(row, sequence.slug, period)
    places = _places(live.steps, sequence.steps)
    found = [counted.get(place + 1) if place is not None else None for place in places]
    return [
        numbers
        | {
            "share": numbers["answered"] / numbers["sent"] if numbers["sent"] else None,
            "link": _leads(row, sequence.slug, place, period),
        }
        if numbers and place is not None
        else None
        for numbers, place in zip(found, places, strict=True)
    ]


def _places(live: Sequence[document.Step], steps: Sequence[document.Step]) -> list[int | None]:
    """Return where each step of a draft stands in the rules that hold: by its words, else by its place."""
    left = dict(enumerate(live))
    found: list[int | None] = []
    for step in steps:
        same = [
            place
            for place, live_step in left.items()
            if (live_step.text, live_step.instruction) == (step.text, step.instruction)
        ]
        found.append(same[0] if same else None)
        left.pop(same[0] if same else -1, None)
    return [number if place is None and number in left else place for number, place in enumerate(found)]


def _leads(row: Pipeline, slug: str, place: int, period: results.Period) -> str:
    """Return where the leads are listed who answered."""
    asked = {
        "pipeline": row.slug,
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "of": f"{slug}:{place + 1}",
    }
    return f"{reverse('results-leads', args=['answered'])}?{urlencode(asked)}"
