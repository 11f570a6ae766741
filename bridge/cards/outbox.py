"""The outbox is the set of due cards; this is how cards get into it, and how it never forgets one.

A card's row is the truth, a task in the queue only a nudge to look. Whoever holds an account's lease is the only one to
send for it (bridge/cards/account_lease.py), so order per card and the account's ceiling need no further care.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, NullIf

from bridge import correlation_id
from bridge.models import Account, AccountPipeline, Briefing, Card, Forgetting
from common.statements import Select, Update, insert
from leads.announcements import Saved
from leads.models import Lead, Pipeline

# A nudge that nobody answered for this long was lost; the next one is sent again.
NUDGE_EVERY = timedelta(seconds=2)
# Names of contacts that are corrected in quick succession travel once.
COLLECT_NAMES_FOR = timedelta(seconds=2)

ADOPTED_AT_ONCE = 1_000
LEFT_OUT_BY = 50

# States that a change of the lead makes due again; a retrying card keeps its time, a gone or closed one stays away.
REOPENED = (Card.State.IN_SYNC, Card.State.SHOWN, Card.State.BLOCKED, Card.State.DEAD)


def mark_due(saved: Sequence[Saved], *, now: datetime) -> set[int]:
    """Make the cards of saved leads due, in the transaction that saved them; return the accounts to nudge."""
    known = [change.lead for change in saved if not change.created]
    asked_by = correlation_id.current()
    rows = MARK_DUE.run(lead_ids=[lead.pk for lead in known], now=now, asked_by=asked_by) if known else []
    with_card = {lead_id for lead_id, _ in rows}
    fresh = [change.lead for change in saved if change.lead.pk not in with_card]
    return {account_id for _, account_id in rows} | _new_cards(fresh, now)


def requeue(cards: models.QuerySet[Card], *, now: datetime, lane: Card.Lane = Card.Lane.BULK) -> int:
    """Make cards due again, whole, whatever kept them: a dead card, a blocked one, a wait, parts that were refused.

    Gone and closed ones stay away.
    """
    wanted = cards.exclude(state__in=[Card.State.GONE, Card.State.CLOSED])
    return wanted.update(
        state=Card.State.DUE,
        due_at=now,
        lane=lane,
        pending_since=Coalesce(F("pending_since"), Value(now)),
        wanted_version=F("wanted_version") + 1,
        attempts=0,
        tries_without_outcome=0,
        refused_plan="",
        refused_parts={},
        waiting_reason="",
    )


def let_live_go_first(cards: models.QuerySet[Card]) -> int:
    """Put cards that are due behind those of conversations under way: nobody is waiting for them."""
    return cards.filter(state__in=Card.PENDING).update(lane=Card.Lane.BULK)


def recreate(cards: models.QuerySet[Card], *, now: datetime) -> int:
    """Give leads whose card was deleted in Kommo a new one; staff asked for it. Closed cards come back as well."""
    # Of a person who was erased there is nothing to show.
    lost = cards.filter(state__in=[Card.State.GONE, Card.State.CLOSED], lead__erased_at=None)
    return lost.update(
        state=Card.State.DUE,
        due_at=now,
        pending_since=now,
        lane=Card.Lane.LIVE,
        wanted_version=F("wanted_version") + 1,
        kommo_lead_id=None,
        kommo_contact_id=None,
        observed={},
        agreed={},
        in_doubt={},
        ownership={},
        create_intent_at=None,
        write_settles_at=None,
        attempts=0,
        tries_without_outcome=0,
        refused_plan="",
        refused_parts={},
        waiting_reason="",
    )


def wake(account_id: int, *, most_attempts: int, now: datetime) -> int:
    """Make the cards due at once that waited for an outage which is over; return how many.

    A card that failed more often than the outage explains goes on waiting by its own count; so does one whose earlier
    write may still arrive.
    """
    waiting = Card.objects.filter(account_id=account_id, state=Card.State.RETRYING, due_at__gt=now)
    explained = waiting.filter(attempts__lte=max(1, most_attempts))
    return explained.exclude(write_settles_at__gt=now).update(due_at=now)


def count_failure(card_ids: Sequence[int]) -> None:
    """Let cards that may be to blame for a failure travel in smaller company, and behind those that are not."""
    Card.objects.filter(pk__in=card_ids).update(attempts=F("attempts") + 1)


def has_due(account_id: int, *, now: datetime) -> bool:
    return HAS_DUE.first(account_id=account_id, now=now) is not None


def due(now: datetime) -> models.QuerySet[Card]:
    return Card.objects.filter(state__in=Card.PENDING, due_at__lte=now)


def _may_leave() -> Q:
    """Nothing is created before the account was compared once: whoever is in Kommo already is known only then."""
    return Q(kommo_lead_id__isnull=False) | Q(account__compared_at__isnull=False)


def held_back(account: Account) -> models.QuerySet[Card]:
    """Return the cards that wait for the first comparison, before which nothing is created."""
    cards = Card.objects.filter(account=account, kommo_lead_id=None, state__in=Card.PENDING)
    return cards.none() if account.may_create else cards


def close(cards: models.QuerySet[Card], *, reason: str) -> int:
    """Let cards go for good: nothing is written to them any more, whatever their leads become."""
    return cards.update(state=Card.State.CLOSED, due_at=None, pending_since=None, waiting_reason=reason[:500])


def visit(lead: Lead, status_id: int) -> None:
    """Put a stage that must be entered onto the card's way, even when the lead moves on before it is delivered."""
    card = Card.objects.select_for_update().filter(lead=lead).first()
    if card and card.stages_to_visit[-1:] != [status_id]:
        card.stages_to_visit = [*card.stages_to_visit, status_id]
        card.save(update_fields=["stages_to_visit"])


def due_cards(account_id: int, *, now: datetime, limit: int, but: Sequence[int] = ()) -> list[Card]:
    """Return the due cards of an account with what planning needs, live before bulk, oldest first.

    `but`: without these, whose calls are under way.
    """
    statement = _due_cards(limit, are_some_under_way=bool(but))
    cards: list[Card] = statement.all(account_id=account_id, now=now, **left_out(but))
    models.prefetch_related_objects(cards, "lead__objections")
    return cards


def left_out(but: Sequence[int]) -> dict[str, list[int]]:
    """Return the values that leave cards out of what is due, of few lengths: each has a statement of its own."""
    return {"but": [*but, *[but[-1]] * (-len(but) % LEFT_OUT_BY)]} if but else {}


def accounts_with_work(*, now: datetime) -> list[int]:
    """Return the accounts that have due cards and that somebody may drain now."""
    return [account_id for (account_id,) in WITH_WORK.all(now=now, named_by=now - COLLECT_NAMES_FOR)]


def _with_work(now: datetime, named_by: datetime) -> models.QuerySet[Account, Any]:
    cards = due(now).filter(_may_leave(), account=models.OuterRef("pk"))
    contacts = Card.objects.filter(account=models.OuterRef("pk"), contact_due_at__lte=named_by)
    # From the few that are due to their accounts: an account has many cards of which nothing is to be told.
    briefings = Briefing.objects.filter(card__kommo_lead_id__isnull=False, due_at__lte=now).values("card__account")
    forgotten = Forgetting.objects.filter(
        card__account__state=Account.State.ACTIVE, state=Forgetting.State.DUE, due_at__lte=now
    ).values("card__account")
    free = (
        Account.objects.exclude(state=Account.State.PAUSED)
        .filter(Q(lease_until=None) | Q(lease_until__lt=now))
        .filter(Q(retry_at=None) | Q(retry_at__lte=now))
    )
    waiting = models.Exists(cards) | models.Exists(contacts) | Q(pk__in=briefings) | Q(pk__in=forgotten)
    return free.filter(waiting).values_list("pk")


def claim_nudge(account_id: int, *, now: datetime) -> bool:
    """Say whether a nudge is worth sending: not while one is on its way or somebody is draining already."""
    # Looked at first: on a busy day it seldom is, and a write that changes nothing waits for the lock all the same.
    waiting: dict[str, Any] = {"account_id": account_id, "now": now, "before": now - NUDGE_EVERY}
    if not QUIET.first(**waiting):
        return False
    return bool(_quiet(**waiting).update(nudged_at=now))


def _quiet(account_id: int, now: datetime, before: datetime) -> models.QuerySet[Account]:
    nobody_told = Q(nudged_at=None) | Q(nudged_at__lt=before)
    nobody_at_it = Q(lease_until=None) | Q(lease_until__lt=now)
    return Account.objects.filter(nobody_told, nobody_at_it, pk=account_id)


def account_id_of(pipeline: Pipeline) -> int | None:
    row: tuple[int] | None = ACCOUNT_OF.first(pipeline_id=pipeline.pk)
    return row[0] if row else None


def adopt_orphans(account: Account, *, now: datetime) -> int:
    """Give a card to every lead of the account's pipelines that has none yet; return how many."""
    orphans = Lead.objects.filter(pipeline__account_link__account=account, card=None, erased_at=None).order_by("pk")
    found, beyond = 0, Q()
    # In parts: an account may be connected to a bridge that has known a million leads for a year.
    while ids := list(orphans.filter(beyond).values_list("pk", flat=True)[:ADOPTED_AT_ONCE]):
        cards = [Card(lead_id=pk, account=account, due_at=now, pending_since=now) for pk in ids]
        Card.objects.bulk_create(cards, ignore_conflicts=True)
        found, beyond = found + len(ids), Q(pk__gt=ids[-1])
    return found


def _new_cards(leads: Sequence[Lead], now: datetime) -> set[int]:
    """Give leads a card where their pipeline has an account; return the accounts."""
    cards = []
    accounts = {pipeline.pk: account_id_of(pipeline) for pipeline in {lead.pipeline for lead in leads}}
    for lead in leads:
        account_id = accounts[lead.pipeline_id]
        if account_id is not None:
            stage = lead.stage
            visits = [stage.kommo_status_id] if stage and stage.always_visit and stage.kommo_status_id else []
            cards.append(
                Card(
                    lead_id=lead.pk,
                    account_id=account_id,
                    due_at=now,
                    pending_since=now,
                    stages_to_visit=visits,
                    correlation_id=correlation_id.current(),
                )
            )
    insert(cards, ignore_conflicts=True)
    return {card.account_id for card in cards}


def _due_again(now: datetime, asked_by: str) -> dict[str, object]:
    reopened = Q(state__in=REOPENED)
    return {
        "wanted_version": F("wanted_version") + 1,
        "correlation_id": Coalesce(NullIf(Value(asked_by), Value("")), F("correlation_id")),
        "due_at": Case(When(reopened, then=Value(now)), default=F("due_at")),
        "pending_since": Case(
            When(state__in=[Card.State.GONE, Card.State.CLOSED], then=F("pending_since")),
            default=Coalesce(F("pending_since"), Value(now)),
        ),
        # Last: the conditions above look at the state before the change.
        "state": Case(When(reopened, then=Value(Card.State.DUE)), default=F("state")),
    }


@cache
def _due_cards(limit: int, *, are_some_under_way: bool) -> Select:
    """One for each number of cards that are asked for: it is part of the statement."""

    def build(account_id: int, now: datetime, but: Sequence[int] = ()) -> models.QuerySet[Card]:
        cards = due_of(account_id, now, but if are_some_under_way else ())
        return cards.select_related("lead__pipeline", "lead__stage")[:limit]

    return Select(build)


def due_of(account_id: int, now: datetime, but: Sequence[int]) -> models.QuerySet[Card]:
    cards = due(now).filter(_may_leave(), account_id=account_id).order_by("lane", "due_at", "id")
    return cards.exclude(pk__in=but) if but else cards


# Asked every second: compiled, so that SQLite too takes the index of what is due (see common/statements.py).
WITH_WORK = Select(_with_work)
HAS_DUE = Select(lambda account_id, now: due_of(account_id, now, ()).values_list("pk")[:1])
QUIET = Select(lambda account_id, now, before: _quiet(account_id, now, before).values_list("pk"))
ACCOUNT_OF = Select(
    lambda pipeline_id: AccountPipeline.objects.filter(pipeline_id=pipeline_id).values_list("account_id")
)
MARK_DUE = Update(
    lambda lead_ids, now, asked_by: (
        # Locked by id first, as everybody who takes several cards locks them.
        Card.objects.filter(
            pk__in=Card.objects.select_for_update(no_key=True).filter(lead_id__in=lead_ids).order_by("pk").values("pk")
        ),
        {"lane": Card.Lane.LIVE, **_due_again(now, asked_by)},
    ),
    returning=("lead", "account"),
)
