"""What a scenario reports: a count or a ratio, what it is measured against, and whether that is what we want."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RELATIONS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class Figure:
    """One row of the table. Without a target a figure is only told; with `skipped` it could not be measured here."""

    name: str
    value: float | None
    yardstick: str
    relation: str = ""
    bound: float | None = None
    skipped: str = ""

    @property
    def target(self) -> str:
        return f"{self.relation} {self.bound:g}" if self.bound is not None else ""

    @property
    def met(self) -> bool | None:
        """Say whether the target is met; None where there is nothing to say."""
        if self.value is None or self.bound is None:
            return None
        return RELATIONS[self.relation](self.value, self.bound)


def at_most(bound: float, name: str, value: float, yardstick: str) -> Figure:
    return Figure(name, value, yardstick, "<=", bound)


def at_least(bound: float, name: str, value: float, yardstick: str) -> Figure:
    return Figure(name, value, yardstick, ">=", bound)


def shown(name: str, value: float, yardstick: str) -> Figure:
    return Figure(name, value, yardstick)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
