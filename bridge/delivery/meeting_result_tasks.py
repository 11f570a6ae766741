"""The seller's task that asks how a meeting went: when it is asked, and when the bridge itself ticks it off.

Once for each time at which a lead had met; what a person has ticked off or deleted is left as it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db.models import Exists, OuterRef
from django.utils import translation
from django.utils.translation import gettext as _

from bridge.accounts import refusals
from bridge.delivery.marked_notes import RETRY_AFTER, find, mark_of, record
from bridge.errors import KommoError
from bridge.kommo.client import KommoClient
from bridge.kommo.what_an_error_stops import Action
from bridge.models import Account, Briefing, Card, Delivery
from leads import meetings
from leads.models import Pipeline

log = structlog.get_logger(__name__)

# Meetings of longer ago are not asked about anew: somebody has just switched the task on, or Kommo was away for long.
ASKED_ANEW = timedelta(days=1)
MOST_ASKED = 200


def ask_for_results(*, now: datetime) -> set[int]:
    """Have sellers asked how meetings went that have no result, and no more where it is known by now.

    Once for each time at which a lead had met; return the accounts to nudge.
    """
    asked = [row for pipeline in Pipeline.objects.exclude(meeting_result_task="") for row in _to_ask(pipeline, now)]
    Briefing.objects.bulk_create(asked, ignore_conflicts=True)
    open_ones = Briefing.objects.filter(asks_result=True, resolved_at=None)
    open_ones.filter(since__lte=now - meetings.ASKED_FOR).update(resolved_at=now, due_at=None)
    answered = open_ones.filter(~is_awaited(), due_at=None)
    accounts = set(answered.values_list("card__account_id", flat=True))
    if accounts:
        answered.update(due_at=now)
    return accounts | {row.card.account_id for row in asked}


def _to_ask(pipeline: Pipeline, now: datetime) -> list[Briefing]:
    began_by = now - pipeline.meeting_result_task_after
    rows = meetings.without_result(now).filter(starts_at__lte=began_by, starts_at__gt=began_by - ASKED_ANEW)
    asked = Briefing.objects.filter(card__lead=OuterRef("lead"), since=OuterRef("starts_at"), asks_result=True)
    rows = rows.filter(~Exists(asked), lead__pipeline=pipeline, lead__card__account__state=Account.State.ACTIVE)
    rows = rows.exclude(lead__card__state__in=[Card.State.GONE, Card.State.CLOSED]).select_related("lead__card")
    return [
        Briefing(card=row.lead.card, since=row.starts_at, asks_result=True, due_at=now)
        for row in rows[:MOST_ASKED]
        if row.starts_at
    ]


def is_awaited() -> Exists:
    """Say of a row whether the result it asks for is still missing."""
    same = meetings.awaiting_result().filter(lead=OuterRef("card__lead"), starts_at=OuterRef("since"))
    return Exists(same)


def resolve(row: Briefing, account: Account, client: KommoClient, now: datetime) -> bool:
    """Tick the task off whose meeting has a result by now; False when nothing more should be asked now.

    What a person has ticked off or deleted is left as it is.
    """
    if row.tried and row.card.lead.erased_at is None:
        try:
            _tick_off(row, client, now)
        except KommoError as error:
            action = refusals.heed(account, error, now=now, client=client)
            is_final = action in (Action.DEAD, Action.GONE, Action.REFRESH_CATALOGUE)
            if not is_final:
                row.due_at, row.error = now + max(RETRY_AFTER, error.retry_after or timedelta(0)), str(error)[:500]
                row.save(update_fields=["due_at", "error"])
                return action is Action.REST_FEATURE
            log.info("task_not_ticked_off", lead=str(row.card.lead_id), error=error.in_log)
    row.resolved_at, row.due_at, row.error = now, None, ""
    row.save(update_fields=["resolved_at", "due_at", "error", "task_id"])
    return True


def _tick_off(row: Briefing, client: KommoClient, now: datetime) -> None:
    if row.task_id is None:
        # Written perhaps, and the answer lost.
        assert row.card.kommo_lead_id is not None
        row.task_id = find(client.tasks(row.card.kommo_lead_id), mark_of(row))
    if row.task_id is None or client.task(row.task_id).is_completed:
        return
    with translation.override(row.card.lead.pipeline.locale.replace("_", "-").lower()):
        result = _("The result is known.")
    client.complete_task(row.task_id, result)
    record(row, Delivery.Operation.TASK, {"id": row.task_id, "is_completed": True, "result": {"text": result}}, now)
