"""In shadow: what would the bridge have done, beside what people and the older integration did, card by card?

Two hands are compared by where they put a card since the shadow began: ours in words (decisions, also those that gave
way to a person), theirs on the card itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from bridge.models import Account, Card
from followups.models import Attempt
from leads.models import Event, Lead, Stage

# So many cards are named by default.
NAMED = 20
AT_ONCE = 500
OURS = (Event.Kind.DECISION, Event.Kind.STAGE_CHANGED, Event.Kind.MOVE_SUPPRESSED)
# Where everybody begins: nobody concluded anything.
BEGINNING = "new lead"


class Verdict(StrEnum):
    AGREE = "agree"
    DIFFER = "differ"
    ONLY_WE = "only we"
    ONLY_THEY = "only they"


@dataclass(frozen=True)
class Row:
    """One card: where the bridge would have put it and why, and where others did (empty: they left it)."""

    verdict: Verdict
    kommo_id: int | None
    lead: str
    ours: str
    reason: str
    theirs: str


@dataclass
class Report:
    since: datetime | None
    counts: Counter[Verdict] = field(default_factory=Counter)
    # Those that do not agree first.
    rows: list[Row] = field(default_factory=list)
    would_create: int = 0
    would_say: int = 0


@dataclass
class _Hands:
    """What both did with one lead, as keys of stages; the newest counts."""

    ours: str = ""
    reason: str = ""
    theirs: str = ""


def compare(account: Account) -> Report:
    """Return the comparison since the account has been in shadow; empty when it is not."""
    report = Report(account.shadow_since)
    if account.shadow_since is None:
        return report
    hands = _hands(account, account.shadow_since)
    places = _places(account)
    for card in _cards(account, list(hands)):
        one = hands[card.lead_id]
        place = places.get((card.observed.get("pipeline_id"), card.observed.get("status_id")), "other")
        verdict = _verdict(one, place if card.kommo_lead_id else "")
        report.counts[verdict] += 1
        row = Row(verdict, card.kommo_lead_id, _named(card.lead), one.ours, one.reason, one.theirs)
        report.rows.append(row)
    order = list(Verdict)
    report.rows.sort(key=lambda row: (row.verdict is Verdict.AGREE, order.index(row.verdict), row.kommo_id or 0))
    since = {"created_at__gte": account.shadow_since}
    report.would_create = Card.objects.filter(account=account, kommo_lead_id=None, state=Card.State.SHOWN).count()
    said = Attempt.objects.filter(enrollment__lead__pipeline__account_link__account=account, **since)
    report.would_say = said.filter(state=Attempt.State.WOULD_SEND).count()
    return report


def _hands(account: Account, since: datetime) -> dict[UUID, _Hands]:
    """Return the last word of both hands on each lead. One pass over the events of that time."""
    events = Event.objects.filter(
        lead__pipeline__account_link__account=account, at__gte=since, kind__in=(*OURS, Event.Kind.STAFF_MOVE)
    ).order_by("id")
    hands: dict[UUID, _Hands] = {}
    columns = ("lead_id", "kind", "actor", "reason", "data")
    for lead_id, kind, actor, reason, data in events.values_list(*columns).iterator():
        if kind == Event.Kind.STAFF_MOVE:
            hands.setdefault(lead_id, _Hands()).theirs = str(data.get("to", ""))
        elif actor == Lead.Actor.BRIDGE and data.get("rule") != BEGINNING and (target := _target(data)):
            one = hands.setdefault(lead_id, _Hands())
            one.ours, one.reason = target, reason
    return hands


def _cards(account: Account, lead_ids: list[UUID]) -> Iterator[Card]:
    for start in range(0, len(lead_ids), AT_ONCE):
        yield from Card.objects.filter(account=account, lead__in=lead_ids[start : start + AT_ONCE]).select_related(
            "lead"
        )


def _target(data: dict[str, Any]) -> str:
    return str(data.get("would_be") or data.get("to") or "")


def _places(account: Account) -> dict[tuple[int | None, int | None], str]:
    stages = Stage.objects.filter(pipeline__account_link__account=account).select_related("pipeline")
    return {(stage.pipeline.kommo_pipeline_id, stage.kommo_status_id): stage.key for stage in stages}


def _verdict(hands: _Hands, place: str) -> Verdict:
    if not hands.ours:
        return Verdict.ONLY_THEY
    if hands.ours == (hands.theirs or place):
        return Verdict.AGREE
    return Verdict.DIFFER if hands.theirs else Verdict.ONLY_WE


def _named(lead: Lead) -> str:
    return lead.name or (f"{lead.phone[:6]}…" if lead.phone else str(lead.pk)[:8])


def lines(report: Report, *, most: int | None = NAMED) -> Iterator[str]:
    """Yield the report, with so many cards by name."""
    counts = ", ".join(f"{verdict}: {report.counts[verdict]:,}" for verdict in Verdict)
    yield f"  shadow report, card by card: {counts}"
    yield f"    new cards the bridge would have made: {report.would_create:,}"
    yield f"    messages it would have said: {report.would_say:,}"
    named = report.rows if most is None else [row for row in report.rows if row.verdict is not Verdict.AGREE][:most]
    for row in named:
        number = f"lead {row.kommo_id}" if row.kommo_id else "no card yet"
        ours = f"we {row.ours} ({row.reason})" if row.ours else "we nothing"
        yield f"    {row.verdict}: {number} ({row.lead}): {ours}; they {row.theirs or 'nothing'}"
