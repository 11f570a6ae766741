"""What waits in a batch: a due card, and what would bring it up to date."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.cards.plan import Desired, Plan
from bridge.models import Card


@dataclass
class Entry:
    """A due card with the plan that would bring it up to date, and the version of the lead it was computed from."""

    card: Card
    plan: Plan
    version: int
    # What the plan was computed from.
    wanted: Desired
