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


def beside(row: Pipeline, said: document.Sequence, *, now: datetime) -> list[dict[str, Any] | None]:
    """Return the numbers for each step as a draft has it; None for one that is new, or that nobody was sent.

    Messages are counted by the place of their step in the rules that hold, wherever the draft has put it.
    """
    live = next((one for one in exporting.read_pipeline(row).sequences if one.slug == said.slug), None)
    if live is None:
        return [None] * len(said.steps)
    period = results.usual(row, now=now)
    counted = results.of_sequence(row, said.slug, period)
    places = _places(live.steps, said.steps)
    found = [counted.get(place + 1) if place is not None else None for place in places]
    return [
        one
        | {
            "share": one["answered"] / one["sent"] if one["sent"] else None,
            "link": _leads(row, said.slug, place, period),
        }
        if one and place is not None
        else None
        for one, place in zip(found, places, strict=True)
    ]


def _places(live: Sequence[document.Step], said: Sequence[document.Step]) -> list[int | None]:
    """Return where each step of a draft stands in the rules that hold: by its words, else by its place."""
    left = dict(enumerate(live))
    found: list[int | None] = []
    for step in said:
        same = [place for place, one in left.items() if (one.text, one.instruction) == (step.text, step.instruction)]
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
