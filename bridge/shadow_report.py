"""In shadow: what would the bridge have done, beside what people and the older integration did, card by card?

Two hands are compared by where they put a card since the shadow began: ours in words (decisions, also those that gave
way to a person), theirs on the card itself; and by what they put onto it (bridge/shadow_values.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Max

from bridge import shadow_values
from bridge.accounts import catalogue as catalogues
from bridge.models import Account, Card
from bridge.shadow_values import Value, Verdict
from followups.models import Attempt
from leads.models import Event, Lead, Stage
from leads.rulebook import rulebook

# So many cards are named by default.
NAMED = 20
AT_ONCE = 500
# The values of so many cards are compared, those that were busy last: more would take longer than anybody waits.
VALUES_OF = 2_000
OURS = (Event.Kind.DECISION, Event.Kind.STAGE_CHANGED, Event.Kind.MOVE_SUPPRESSED)
# Where everybody begins: nobody concluded anything.
BEGINNING = "new lead"


@dataclass(frozen=True)
class Row:
    """One card: where the bridge would have put it and why, and where others did (empty: they left it)."""

    verdict: Verdict
    kommo_id: int | None
    lead_id: UUID
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
    # The same of values, card by card.
    value_counts: Counter[Verdict] = field(default_factory=Counter)
    values: list[Value] = field(default_factory=list)
    # Of so many cards; there are more than these.
    values_of: int = 0
    has_more: bool = False
    would_create: int = 0
    would_say: int = 0


@dataclass
class _Hands:
    """What both did with one lead, as keys of stages; the newest counts."""

    ours: str = ""
    reason: str = ""
    theirs: str = ""


def compare(account: Account, *, values_of: int | None = VALUES_OF) -> Report:
    """Return the comparison since the account has been in shadow; empty when it is not.

    `values_of`: the values of so many cards, of those that something happened to last; None: of all.
    """
    report = Report(account.shadow_since)
    if account.shadow_since is None:
        return report
    hands = _hands(account, account.shadow_since)
    places = _places(account)
    for card in _cards(account, list(hands)):
        hand = hands[card.lead_id]
        place = places.get((card.observed.get("pipeline_id"), card.observed.get("status_id")), "other")
        verdict = _verdict(hand, place if card.kommo_lead_id else "")
        report.counts[verdict] += 1
        row = Row(verdict, card.kommo_lead_id, card.lead_id, named(card.lead), hand.ours, hand.reason, hand.theirs)
        report.rows.append(row)
    order = list(Verdict)
    report.rows.sort(key=lambda row: (row.verdict is Verdict.AGREE, order.index(row.verdict), row.kommo_id or 0))
    # Kommo's times are whole seconds.
    _compare_values(report, account, account.shadow_since.replace(microsecond=0), values_of)
    since = {"created_at__gte": account.shadow_since}
    report.would_create = Card.objects.filter(account=account, kommo_lead_id=None, state=Card.State.SHOWN).count()
    attempts = Attempt.objects.filter(enrollment__lead__pipeline__account_link__account=account, **since)
    report.would_say = attempts.filter(state=Attempt.State.WOULD_SEND).count()
    return report


def _compare_values(report: Report, account: Account, since: datetime, most: int | None) -> None:
    """Compare what stands on the cards of leads that were spoken with, or whose card was changed, since then."""
    kinds = (Event.Kind.INTERACTION, Event.Kind.STAFF_EDIT)
    events = Event.objects.filter(lead__pipeline__account_link__account=account, at__gte=since, kind__in=kinds)
    busy = events.values_list("lead_id").annotate(last=Max("at")).order_by("-last", "lead_id")
    ids = [lead_id for lead_id, _ in (busy[: most + 1] if most is not None else busy)]
    report.has_more = most is not None and len(ids) > most
    catalogue = catalogues.stored(account)
    for start in range(0, len(ids[:most]), AT_ONCE):
        rows = Card.objects.filter(account=account, lead__in=ids[:most][start : start + AT_ONCE])
        for card in (
            rows.select_related("lead__pipeline").prefetch_related("lead__objections").order_by("kommo_lead_id")
        ):
            report.values_of += 1
            book = rulebook(card.lead.pipeline)
            found = list(shadow_values.of_card(card, book, account, catalogue, since=since))
            report.value_counts.update(value.verdict for value in found)
            report.values += [value for value in found if value.verdict is not Verdict.AGREE]


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
            hand = hands.setdefault(lead_id, _Hands())
            hand.ours, hand.reason = target, reason
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


def named(lead: Lead) -> str:
    return lead.name or (f"{lead.phone[:6]}…" if lead.phone else str(lead.pk)[:8])


def lines(report: Report, *, most: int | None = NAMED) -> Iterator[str]:
    """Yield the report, with so many cards by name."""
    counts = ", ".join(f"{verdict}: {report.counts[verdict]:,}" for verdict in Verdict)
    yield f"  shadow report, card by card: {counts}"
    yield f"    new cards the bridge would have made: {report.would_create:,}"
    yield f"    messages it would have said: {report.would_say:,}"
    values = ", ".join(f"{verdict}: {report.value_counts[verdict]:,}" for verdict in Verdict)
    of = f"{report.values_of:,} cards" + (", those that were busy last" if report.has_more else "")
    yield f"  values on {of}: {values}"
    for value in report.values if most is None else report.values[:most]:
        yield (
            f"    {value.verdict}: lead {value.kommo_id} ({named(value.lead)}), {value.subject}: "
            f"we {value.ours or 'nothing'}; they {value.theirs or 'nothing'}"
        )
    shown = report.rows if most is None else [row for row in report.rows if row.verdict is not Verdict.AGREE][:most]
    for row in shown:
        number = f"lead {row.kommo_id}" if row.kommo_id else "no card yet"
        ours = f"we {row.ours} ({row.reason})" if row.ours else "we nothing"
        yield f"    {row.verdict}: {number} ({row.lead}): {ours}; they {row.theirs or 'nothing'}"
