"""What was found in an account when it was first compared, and what would be written now?

Everything is counted from our own rows and our copy of the account's pipelines: no call leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db.models import Count, Q

from bridge.accounts import catalogue as catalogues
from bridge.cards.desired import desired
from bridge.cards.plan import Observed, Operation, plan
from bridge.models import Account, Card, Catalogue
from leads.models import FieldMapping, Lead, Stage
from leads.rulebook import rulebook

# So many of what would be written are named; the rest is counted.
NAMED = 20
# So many of the waiting cards are planned: more would take longer than anybody waits for a page.
PLANNED = 2_000


@dataclass
class Found:
    """What stands in an account. `stages`: (name, cards), in Kommo's order. `would_write`: a line per card."""

    read: int
    cards: int
    stages: list[tuple[str, int]]
    without_contact: int
    without_phone: int
    # Leads of people who have another card already, by Kommo's id; and groups of leads without a phone of one name.
    seconds: list[int]
    same_name: list[tuple[str, int]]
    unbound_stages: list[str]
    unbound_fields: list[str]
    in_human_care: int
    would_create: int = 0
    would_change: int = 0
    would_write: list[str] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        return len(self.seconds) + sum(count - 1 for _, count in self.same_name)


def take_stock(account: Account) -> Found:
    """Return what stands in the account, and what the bridge would write now."""
    cards = Card.objects.filter(account=account, kommo_lead_id__isnull=False).exclude(
        state__in=(Card.State.GONE, Card.State.CLOSED)
    )
    counts = cards.aggregate(
        cards=Count("id"),
        without_contact=Count("id", filter=Q(kommo_contact_id=None)),
        without_phone=Count("id", filter=Q(kommo_contact_id__isnull=False, lead__phone=None)),
        in_human_care=Count("id", filter=~Q(lead__handoff_source="")),
    )
    catalogue = catalogues.stored(account)
    ours = {"pipeline__account_link__account": account}
    stages = Stage.objects.filter(kommo_status_id=None, **ours).order_by("pipeline", "rank")
    fields = FieldMapping.objects.filter(kommo_field_id=None, **ours)
    found = Found(
        read=account.first_comparison.get("read", 0),
        stages=_stages(cards, catalogue),
        seconds=list(account.first_comparison.get("seconds", ())),
        same_name=_same_name(account),
        unbound_stages=list(stages.values_list("name", flat=True)),
        unbound_fields=list(fields.values_list("kommo_field", flat=True)),
        **counts,
    )
    _plan(account, catalogue, found)
    return found


def _stages(cards: object, catalogue: Catalogue | None) -> list[tuple[str, int]]:
    """Return Kommo's own names with how many of our cards stand there, in the account's order."""
    standing: Counter[tuple[int | None, int | None]] = Counter()
    places = cards.values_list("observed__pipeline_id", "observed__status_id").annotate(number=Count("id"))  # type: ignore[attr-defined]
    for pipeline_id, status_id, number in places.order_by():
        standing[pipeline_id, status_id] += number
    rows: list[tuple[str, int]] = []
    for pipeline in catalogue.pipelines if catalogue else ():
        for status in pipeline["statuses"]:
            if number := standing.pop((pipeline["id"], status["id"]), 0):
                rows.append((f"{pipeline['name']} / {status['name']}", number))
    return rows + [(f"pipeline {place[0]} / stage {place[1]}", number) for place, number in standing.items()]


def _same_name(account: Account) -> list[tuple[str, int]]:
    """Return names that several cards without a phone share: perhaps one person, whom nobody can tell apart."""
    leads = Lead.objects.filter(card__account=account, phone=None, erased_at=None).exclude(name="")
    names = leads.values_list("name").annotate(number=Count("pk")).filter(number__gt=1)
    return list(names.order_by("-number", "name")[:NAMED])


def _plan(account: Account, catalogue: Catalogue | None, found: Found) -> None:
    """Plan what waits, as a drain would."""
    waiting = Card.objects.filter(account=account, state__in=(*Card.PENDING, Card.State.SHOWN))
    rows = waiting.select_related("lead__pipeline", "lead__stage").prefetch_related("lead__objections").order_by("pk")
    for card in rows[:PLANNED]:
        wanted = desired(card, rulebook(card.lead.pipeline), account, catalogue)
        planned = plan(wanted, Observed(card.kommo_lead_id, card.observed, card.in_doubt))
        if planned.is_empty:
            continue
        if planned.operation is Operation.CREATE:
            found.would_create += 1
        else:
            found.would_change += 1
        if len(found.would_write) < NAMED:
            number = f"lead {card.kommo_lead_id}" if card.kommo_lead_id else "a new card"
            found.would_write.append(f"{number} ({card.lead}): {', '.join(sorted(planned.effect))}")


def lines(found: Found) -> Iterator[str]:
    """Yield what was found, a line each."""
    yield f"  found: {found.cards:,} cards taken over" + (f", of {found.read:,} leads read" if found.read else "")
    for name, number in found.stages:
        yield f"    {number:>7,}  {name}"
    yield f"  without a contact: {found.without_contact:,}; with a contact but without a phone: {found.without_phone:,}"
    yield f"  in human care (the agent stays silent): {found.in_human_care:,}"
    yield f"  probable duplicates: {found.duplicates:,}"
    if found.seconds:
        named = ", ".join(map(str, found.seconds[:NAMED]))
        yield f"    leads of people who have another card: {named}{' …' if len(found.seconds) > NAMED else ''}"
    for name, number in found.same_name:
        yield f"    {number} cards without a phone are called “{name}”"
    yield f"  stages bound to nothing: {', '.join(found.unbound_stages) or 'none'}"
    yield f"  fields bound to nothing: {', '.join(found.unbound_fields) or 'none'}"
    yield from would_write_lines(found)


def would_write_lines(found: Found) -> Iterator[str]:
    """Yield what the bridge would write now."""
    if not found.would_create and not found.would_change:
        yield "  what the bridge would write now: nothing"
        return
    yield (
        f"  what the bridge would write now: {found.would_create:,} new cards, {found.would_change:,} changes, "
        "by what conversations said"
    )
    for line in found.would_write:
        yield f"    {line}"
