"""What would change if these rules held: who would move, who would not all the same, and at how many calls.

The decision function is run over stored leads, a slice at a time: what one slice found goes on into the next, so a
page can show its progress over 200 000 leads, and no process holds more than a page of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from bridge.configuration import document
from bridge.models import AccountPipeline, Card
from leads import reconsideration
from leads.decisions import Decision
from leads.models import Lead, Pipeline
from leads.rulebook import Rulebook, rulebook
from leads.rules import Rules

# Leads named for each kind of move. They travel with the page, so not without end.
EXAMPLES = 50


@dataclass
class Outlook:
    """What has been found so far; `after` is the last lead looked at. Only plain values: it travels with the page.

    moves: "from>to" -> leads. held: the same, for those whom only the order of the stages keeps where they are.
    waiting: of the moves, those that the rules of today call for already.
    """

    total: int = 0
    looked: int = 0
    after: str = ""
    is_complete: bool = False
    waiting: int = 0
    moves: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[list[str]]] = field(default_factory=dict)

    @property
    def moving(self) -> int:
        return sum(self.moves.values())

    @property
    def held_back(self) -> int:
        return sum(self.held.values())

    @property
    def percent(self) -> int:
        return 100 if self.is_complete else min(99, 100 * self.looked // (self.total or 1))

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Cost:
    """How many calls to Kommo a number of moves takes, and at least how many seconds under the account's ceiling."""

    calls: int
    seconds: int


def begin(pipeline: Pipeline) -> Outlook:
    return Outlook(total=reconsideration.movable(pipeline).count())


def go_on(
    outlook: Outlook, pipeline: Pipeline, *, former: Rules, wanted: Rules, may_go_on: Callable[[], bool]
) -> Outlook:
    """Look at further leads while it may, at least one page; the same outlook, further along."""
    book = rulebook(pipeline)
    after = UUID(outlook.after) if outlook.after else None
    for page in reconsideration.pages(pipeline, book, after=after):
        _look_at(page, outlook, book, former, wanted)
        outlook.looked += len(page)
        outlook.after = str(page[-1].pk)
        if not may_go_on():
            return outlook
    outlook.is_complete = True
    return outlook


def cost(pipeline: Pipeline, moves: int) -> Cost:
    """Return what so many moves cost; nothing where no account is connected."""
    link = AccountPipeline.objects.filter(pipeline=pipeline).select_related("account").first()
    if link is None:
        return Cost(0, 0)
    calls = math.ceil(moves / min(link.account.batch_size, link.account.batch_limit))
    return Cost(calls, math.ceil(calls / link.account.requests_per_second))


def shown_differently(former: document.Pipeline, wanted: document.Pipeline) -> bool:
    """Say whether cards would show something else of the same leads: fields, tags, or the places of the stages."""
    places = [{stage.key: stage.kommo_status_id for stage in pipeline.stages} for pipeline in (former, wanted)]
    return (former.fields, former.tags, places[0]) != (wanted.fields, wanted.tags, places[1])


def cards(pipeline: Pipeline) -> int:
    """Return how many cards show the pipeline's leads."""
    left = [Card.State.GONE, Card.State.CLOSED]
    return Card.objects.filter(lead__pipeline=pipeline).exclude(state__in=left).count()


def _look_at(page: Iterable[Lead], outlook: Outlook, book: Rulebook, former: Rules, wanted: Rules) -> None:
    moves, held_back = Counter(outlook.moves), Counter(outlook.held)
    for lead in page:
        decision = reconsideration.consider(lead, book, wanted)
        if not decision.changed and not (decision.suppressed and decision.suppressed.against_order):
            continue
        before = reconsideration.consider(lead, book, former)
        if target := reconsideration.destination(decision):
            key = f"{_place(lead)}>{target}"
            moves[key] += 1
            outlook.waiting += before.stage == target
        elif target := reconsideration.destination(decision, before):
            key = f"{_place(lead)}>{target}"
            held_back[key] += 1
        else:
            continue
        shown = outlook.examples.setdefault(key, [])
        if len(shown) < EXAMPLES:
            shown.append([str(lead.pk), str(lead), _why(decision)])
    outlook.moves, outlook.held = dict(moves), dict(held_back)


def _place(lead: Lead) -> str:
    return lead.stage.key if lead.stage else ""


def _why(decision: Decision) -> str:
    suppressed = decision.suppressed
    return decision.reason if decision.changed or suppressed is None else suppressed.against_order
