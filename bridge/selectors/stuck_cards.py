"""What keeps cards from being delivered, by cause: a hundred cards with one cause are one thing to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from bridge.models import Card
from common.reasons import Reason

STUCK = (Card.State.DEAD, Card.State.BLOCKED, Card.State.GONE)
# So many different reasons are looked at; they become fewer once ids are left out.
REASONS_READ = 300

# Ids of leads, contacts and fields, positions in a batch: the same cause has others on every card.
PARTICULAR = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\[\d+\]|\b\d{4,}\b")


@dataclass(frozen=True)
class Cause:
    """`text` is the reason without what is particular to one card; `example` is one such reason as it stands."""

    state: str
    text: str
    example: str
    count: int


def cause_of(reason: str) -> str:
    """Return a reason without what is particular to one card; of the same code, where it has one. Pure."""
    if isinstance(reason, Reason):
        return reason.with_parts(lambda text: PARTICULAR.sub("…", text))
    return PARTICULAR.sub("…", reason)


def causes() -> list[Cause]:
    """Return the causes, the commonest first. One query over the cards that are stuck."""
    found: dict[tuple[str, str], Cause] = {}
    rows = Card.objects.filter(state__in=STUCK).values_list("state", "waiting_reason").annotate(number=Count("pk"))
    for state, reason, count in rows.order_by("-number")[:REASONS_READ]:
        text = cause_of(reason)
        known = found.get((state, text))
        found[state, text] = Cause(
            state, text, known.example if known else reason, count + (known.count if known else 0)
        )
    return sorted(found.values(), key=lambda cause: -cause.count)


def cards_of(state: str, cause: str) -> QuerySet[Card]:
    """Return the cards that are stuck in this state for this cause."""
    stuck = Card.objects.filter(state=state)
    reasons = stuck.values_list("waiting_reason", flat=True).distinct()
    return stuck.filter(waiting_reason__in=[reason for reason in reasons if cause_of(reason) == cause])
