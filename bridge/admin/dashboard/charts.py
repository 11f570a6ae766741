"""Charts as plain numbers for the templates to draw: no script has to run, and dark mode is the page's own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

WIDTH, HEIGHT = 600, 120


@dataclass(frozen=True)
class Part:
    """One part of a bar; `place` is its place among the parts, and so its colour."""

    place: int
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """One bar of parts that stand on each other; in the chart's own units, y growing downwards."""

    x: float
    width: float
    parts: tuple[Part, ...]
    label: str


def bars(values: Sequence[tuple[Sequence[int], str]]) -> dict[str, Any]:
    """Return {"bars", "most"} for (the parts from below, label), from left to right."""
    most = max((sum(parts) for parts, _ in values), default=0)
    step = WIDTH / max(1, len(values))
    scale = HEIGHT / (most or 1)
    drawn = [
        Bar(x=round(index * step, 2), width=round(step * 0.72, 2), parts=_stacked(parts, scale), label=label)
        for index, (parts, label) in enumerate(values)
    ]
    return {"bars": drawn, "most": most, "width": WIDTH, "height": HEIGHT}


def _stacked(parts: Sequence[int], scale: float) -> tuple[Part, ...]:
    tops = list(accumulate(parts))
    return tuple(
        Part(place, round(HEIGHT - top * scale, 2), round(part * scale, 2))
        for place, (part, top) in enumerate(zip(parts, tops, strict=True))
    )


def lines(series: Sequence[tuple[str, Sequence[int]]]) -> dict[str, Any]:
    """Return {"lines": [{"name", "points", "area", "total", "last"}], "most"} on one common scale."""
    most = max((value for _, values in series for value in values), default=0)
    scale = (HEIGHT - 6) / (most or 1)
    drawn = []
    for name, values in series:
        step = WIDTH / max(1, len(values) - 1)
        points = [(round(index * step, 2), round(HEIGHT - 3 - value * scale, 2)) for index, value in enumerate(values)]
        text = " ".join(f"{x},{y}" for x, y in points)
        drawn.append(
            {
                "name": name,
                "points": text,
                "area": f"0,{HEIGHT} {text} {WIDTH},{HEIGHT}",
                "total": sum(values),
                "last": values[-1] if values else 0,
            }
        )
    return {"lines": drawn, "most": most, "width": WIDTH, "height": HEIGHT}
