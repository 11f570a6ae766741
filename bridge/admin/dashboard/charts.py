"""Charts as plain numbers for the templates to draw: no script has to run, and dark mode is the page's own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 600, 120


@dataclass(frozen=True)
class Bar:
    """One bar of two parts, the second on top of the first; in the chart's own units, y growing downwards."""

    x: float
    width: float
    y: float
    height: float
    top_y: float
    top_height: float
    label: str


def bars(values: Sequence[tuple[int, int, str]]) -> dict[str, Any]:
    """Return {"bars", "most"} for (first part, second part, label) from left to right."""
    most = max((first + second for first, second, _ in values), default=0)
    step = WIDTH / max(1, len(values))
    scale = HEIGHT / (most or 1)
    drawn = [
        Bar(
            x=round(index * step, 2),
            width=round(step * 0.72, 2),
            y=round(HEIGHT - first * scale, 2),
            height=round(first * scale, 2),
            top_y=round(HEIGHT - (first + second) * scale, 2),
            top_height=round(second * scale, 2),
            label=label,
        )
        for index, (first, second, label) in enumerate(values)
    ]
    return {"bars": drawn, "most": most, "width": WIDTH, "height": HEIGHT}


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
