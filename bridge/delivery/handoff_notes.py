"""A note and a task for the seller who takes a lead over, each once per handoff.

Neither call is idempotent in Kommo. So both texts end with a mark of the handoff, and once a call may have been applied
without our hearing of it, later tries look for the mark first.

The two go apart: where Kommo refuses one for our rights or the plan, that one waits while the other goes. What Kommo
will never take is given up, and said where staff look.

Two further kinds of rows go the same way: leads that call for a person (bridge/delivery/calls_for_a_person.py), and the
task that asks how a meeting went (bridge/delivery/meeting_result_tasks.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db import models
from django.db.models import Count, F, Q
from django.utils import translation

from bridge import account_traits
from bridge.account_traits import Trait
from bridge.accounts import refusals, troubles
from bridge.delivery import handoff_note_texts
from bridge.delivery.handoff_note_texts import summary
from bridge.delivery.marked_notes import RETRY_AFTER, find, mark_of, record
from bridge.delivery.meeting_result_tasks import is_awaited, resolve
from bridge.errors import KommoAccessError, KommoError, KommoRejectedError
from bridge.kommo.client import KommoClient
from bridge.kommo.what_an_error_stops import Action, decide, is_block
from bridge.models import Account, Briefing, Card, Delivery, Trouble
from common.statements import Select
from leads.models import Lead

T = TypeVar("T")

log = structlog.get_logger(__name__)

MOST_NAMELESS = 100
GIVEN_UP_AFTER = timedelta(days=1)
BATCH = 10
TASK_TYPE_FOLLOW_UP = 1


def brief(lead: Lead, *, now: datetime) -> int | None:
    """Have the seller told of a handoff that has just begun; return the account to nudge, if any."""
    pipeline = lead.pipeline
    card = Card.objects.filter(lead=lead).exclude(state__in=[Card.State.GONE, Card.State.CLOSED]).first()
    if card is None or lead.handoff_since is None or not (pipeline.handoff_note or pipeline.handoff_task):
        return None
    Briefing.objects.bulk_create([Briefing(card=card, since=lead.handoff_since, due_at=now)], ignore_conflicts=True)
    return card.account_id


def deliver_due(account: Account, client: KommoClient, *, now: datetime) -> bool:
    """Write a few due notes and tasks; True when more may be due."""
    if account.state != Account.State.ACTIVE:
        return False
    rows = DUE.all(account_id=account.pk, now=now)
    for row in rows:
        ends = row.asks_result and not row.is_awaited
        if not (resolve if ends else _deliver)(row, account, client, now):
            return False
    return len(rows) == BATCH


# Every drain asks, and nearly always there is nothing.
DUE = Select(
    lambda account_id, now: (
        Briefing.objects.filter(card__account_id=account_id, card__kommo_lead_id__isnull=False, due_at__lte=now)
        .annotate(is_awaited=is_awaited())
        .select_related("card__lead__pipeline", "card__lead__stage")
        .order_by("due_at")[:BATCH]
    )
)


def given_up() -> models.QuerySet[Briefing]:
    """Return what sellers are not told, of handoffs that last."""
    rows = Briefing.objects.filter(given_up_at__isnull=False)
    asks = Q(asks_result=True, resolved_at=None)
    return rows.filter(Q(since=F("card__lead__handoff_since")) | ~Q(call="") | asks)


def untold(rows: models.QuerySet[Briefing]) -> dict[str, int]:
    """Return how many of these briefings are about what: handoffs, leads who called, results of meetings. One query."""
    return rows.aggregate(
        handoffs=Count("pk", filter=Q(call="", asks_result=False)),
        calls=Count("pk", filter=~Q(call="") & Q(asks_result=False)),
        results=Count("pk", filter=Q(asks_result=True)),
    )


def tell_again(*, now: datetime) -> set[int]:
    """Have sellers told what was given up, because a person has mended the cause; return the accounts to nudge."""
    rows = given_up()
    accounts = set(rows.values_list("card__account_id", flat=True))
    Briefing.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(
        due_at=now, given_up="", given_up_at=None, error=""
    )
    return accounts


def _deliver(row: Briefing, account: Account, client: KommoClient, now: datetime) -> bool:
    """Write what is still missing; False when nothing more should be asked now."""
    lead = row.card.lead
    is_of_handoff = not (row.call or row.asks_result)
    if is_of_handoff and (lead.handoff_since != row.since or not lead.is_with_people):
        _put_down(row, "the handoff ended before")
        return True
    again, row.tried = row.tried, True
    row.save(update_fields=["tried"])
    waits: list[datetime] = []
    goes_on = True
    for part in PARTS:
        if not part.is_missing(row):
            continue
        until = troubles.rests_until(account.pk, part.subject, now=now) if goes_on else now + RETRY_AFTER
        if until is None:
            try:
                with translation.override(lead.pipeline.locale.replace("_", "-").lower()):
                    setattr(row, part.column, part.write(row, client, now, again))
            except KommoError as error:
                until, goes_on = _failed(row, part, account, client, error, now)
            else:
                row.save(update_fields=[part.column])
                troubles.over(account.pk, part.subject)
        if until is not None:
            waits.append(until)
    row.due_at = min(waits, default=None)
    row.error = row.error if waits or row.given_up else ""
    row.save(update_fields=["due_at", "error", "given_up", "given_up_at"])
    return goes_on


def _failed(
    row: Briefing, part: Part, account: Account, client: KommoClient, error: KommoError, now: datetime
) -> tuple[datetime | None, bool]:
    """Return when the part is tried again, None for never, and whether others may be tried now."""
    row.error = str(error)[:500]
    action = refusals.heed(account, error, now=now, client=client)
    if action is Action.REST_FEATURE:
        return troubles.rests_until(account.pk, part.subject, now=now) or now + RETRY_AFTER, True
    if action is Action.PAUSE_ACCOUNT:
        return now, False
    is_final = action in (Action.DEAD, Action.GONE, Action.REFRESH_CATALOGUE)
    if is_final or (not row.asks_result and now - row.since > GIVEN_UP_AFTER):
        _give_up(row, part, error, now)
        return None, is_final
    return now + max(RETRY_AFTER, error.retry_after or timedelta(0)), False


def _give_up(row: Briefing, part: Part, error: KommoError, now: datetime) -> None:
    row.given_up, row.given_up_at = f"{row.given_up} {part.operation.value}".strip(), now
    log.error("briefing_given_up", lead=str(row.card.lead_id), part=part.operation.value, error=error.in_log)
    record(
        row,
        part.operation,
        {"entity_id": row.card.kommo_lead_id},
        now,
        outcome=Delivery.Outcome.REFUSED,
        error=str(error),
    )


def _put_down(row: Briefing, error: str) -> None:
    row.due_at, row.error = None, error[:500]
    row.save(update_fields=["due_at", "error"])


def _tell_by_note(row: Briefing, client: KommoClient, now: datetime, again: bool) -> int | None:
    assert row.card.kommo_lead_id is not None
    mark = mark_of(row)
    found = find(client.notes(row.card.kommo_lead_id), mark) if again else None
    return found or _write_note(
        row, client, f"{summary(row.card.lead, row.call, row.card.account.currency)}\n\n{mark}", now
    )


def _tell_by_task(row: Briefing, client: KommoClient, now: datetime, again: bool) -> int | None:
    assert row.card.kommo_lead_id is not None
    mark = mark_of(row)
    found = find(client.tasks(row.card.kommo_lead_id), mark) if again else None
    return found or _write_task(row, client, f"{_task_of(row)} {mark}", now)


def _task_of(row: Briefing) -> str:
    pipeline = row.card.lead.pipeline
    if row.asks_result:
        return f"{pipeline.meeting_result_task} ({row.since.astimezone(ZoneInfo(pipeline.time_zone)):%d/%m/%Y %H:%M})"
    return handoff_note_texts.in_words(row.call) if row.call else pipeline.handoff_task


def _write_note(row: Briefing, client: KommoClient, text: str, now: datetime) -> int | None:
    note = {"entity_id": row.card.kommo_lead_id, "note_type": "common", "params": {"text": text}}
    written = _in_the_sellers_name(row.card, client, lambda: client.create_notes([note]))
    record(row, Delivery.Operation.NOTE, note, now)
    return written[0].id if written else None


def _in_the_sellers_name(card: Card, client: KommoClient, write: Callable[[], T]) -> T:
    """Write under the seller's name where that is wanted and allowed, else under ours. Raises KommoError.

    In whose name we may not is remembered until the account is connected again. An answer that refuses has written
    nothing, so it is safe to write once more.
    """
    account = card.account
    seller = _responsible(card, client) if settings.KOMMO_NOTES_BY_SELLER else None
    nameless = account.traits.get(Trait.NAMELESS, [])
    if not seller or seller == account.kommo_user_id or seller in nameless:
        return write()
    try:
        with client.in_the_name_of(seller):
            return write()
    except (KommoAccessError, KommoRejectedError) as error:
        if is_block(error):
            raise
        written = write()
    account_traits.remember(account, Trait.NAMELESS, [*nameless, seller][-MOST_NAMELESS:])
    return written


def _write_task(row: Briefing, client: KommoClient, text: str, now: datetime) -> int | None:
    task: dict[str, Any] = {
        "entity_id": row.card.kommo_lead_id,
        "entity_type": "leads",
        "task_type_id": TASK_TYPE_FOLLOW_UP,
        "text": text,
        "complete_till": int((now + row.card.lead.pipeline.handoff_task_within).timestamp()),
    }
    if responsible := _responsible(row.card, client):
        task["responsible_user_id"] = responsible
    try:
        written = client.create_tasks([task])
    except KommoRejectedError as error:
        if not responsible or decide(error) is not Action.DEAD:
            raise
        # Somebody who left, most likely. Without a name Kommo gives it to whom it gives such tasks.
        del task["responsible_user_id"]
        written = client.create_tasks([task])
    record(row, Delivery.Operation.TASK, task, now)
    return written[0].id if written else None


def _responsible(card: Card, client: KommoClient) -> int | None:
    """Return whose lead it is: a card that was never read since its creation does not know, and Kommo would take us."""
    if "responsible_user_id" in card.observed:
        return card.observed["responsible_user_id"] or None
    assert card.kommo_lead_id is not None
    return client.lead(card.kommo_lead_id).responsible_user_id


@dataclass(frozen=True)
class Part:
    """One of the two ways a seller is told: where its id is kept, and how it is written."""

    column: str
    operation: Delivery.Operation
    subject: Trouble.Subject
    write: Callable[[Briefing, KommoClient, datetime, bool], int | None]

    def is_missing(self, row: Briefing) -> bool:
        pipeline = row.card.lead.pipeline
        note, task = pipeline.handoff_note, pipeline.handoff_task
        if row.asks_result:
            note, task = False, pipeline.meeting_result_task
        wanted = {"note_id": note, "task_id": task}[self.column]
        return bool(wanted) and getattr(row, self.column) is None and self.operation.value not in row.given_up.split()


PARTS = (
    Part("note_id", Delivery.Operation.NOTE, Trouble.Subject.NOTES, _tell_by_note),
    Part("task_id", Delivery.Operation.TASK, Trouble.Subject.TASKS, _tell_by_task),
)
