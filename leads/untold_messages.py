"""Of which messages of leads is the agent still to be told? Those that were heard, and that it did not report itself.

Heard is what a way in or Kommo's chat told. Each waits until its lead has paused, and is told once, with the others of
that pause (bridge/agent/message_received.py). While the agent may not speak it is held back. Once it may, it is told of
what nobody has answered since, as long as that is news; the rest was taken care of by others and stays with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet
from django.utils import timezone

from leads.models import Lead, Message, Pipeline

Telling = Message.Telling
# Whoever never pauses is not waited for longer than so many pauses, and no less than this.
MOST_PAUSES, LONGEST_GATHERING = 10, timedelta(seconds=30)
# What nobody has answered for so long is not answered out of the blue.
NEWS_FOR = timedelta(hours=24)
COLUMNS = ("telling", "untold_since")
NOT_THEIRS = Q(direction__in=[Message.Direction.OUTBOUND, Message.Direction.STAFF, Message.Direction.BOT])


def begin(row: Message, heard_at: datetime | None) -> None:
    """Let a message that was heard then wait, in memory, if somebody is there to be told."""
    if row.direction == Message.Direction.INBOUND and row.is_heard and settings.AGENT_WEBHOOK_URL:
        # By the clock of this moment, if need be: messages of one second keep the order in which they were heard.
        row.telling, row.untold_since = Telling.WAITING, heard_at or timezone.now()


def end(row: Message, telling: Telling = Telling.NONE) -> None:
    """Let a message wait no more, in memory."""
    if row.telling in (Telling.WAITING, Telling.HELD):
        row.telling, row.untold_since = telling, None


def pause() -> timedelta:
    return timedelta(seconds=settings.AGENT_DEBOUNCE_SECONDS)


def due(now: datetime) -> QuerySet[Any, Any]:
    """Return the ids of leads whose pause is over, and since when each waits: rows of (lead_id, since). One query."""
    longest = max(LONGEST_GATHERING, MOST_PAUSES * pause())
    waiting = Message.objects.filter(untold_since__isnull=False).order_by().values("lead_id")
    paused = waiting.annotate(since=Min("untold_since"), newest=Max("untold_since"))
    over = Q(newest__lte=now - pause()) | Q(since__lte=now - longest)
    return paused.filter(over).order_by("since").values_list("lead_id", "since")


def waiting(lead_ids: Sequence[UUID]) -> list[Message]:
    """Return what waits of these leads, each lead's in the order in which it was written."""
    rows = Message.objects.filter(lead__in=lead_ids, untold_since__isnull=False)
    return list(rows.order_by("lead_id", "at", "untold_since", "id"))


def settle(rows: Iterable[Message], telling: Telling) -> None:
    """Let messages wait no more. Their leads' rows are locked by the caller."""
    ids = [row.pk for row in rows]
    if ids:
        Message.objects.filter(pk__in=ids).update(telling=telling, untold_since=None)


def release(leads: QuerySet[Lead], *, now: datetime) -> None:
    """Let what was held back of these leads be told now, if nobody has answered it since. Two statements.

    leads: those with whom the agent may speak again.
    """
    messages = Message.objects.filter(telling=Telling.HELD, lead__in=leads)
    later = Message.objects.filter(NOT_THEIRS, lead=OuterRef("lead"), at__gt=OuterRef("at"))
    cared_for = messages.filter(Q(at__lte=now - NEWS_FOR) | Exists(later))
    Message.objects.filter(pk__in=list(cared_for.values_list("pk", flat=True))).update(telling=Telling.LEFT)
    messages.update(telling=Telling.WAITING, untold_since=now)


def release_pipeline(pipeline: Pipeline, *, now: datetime) -> None:
    release(Lead.objects.filter(pipeline=pipeline, handoff_source=""), now=now)


def answered_until(lead: Lead) -> datetime | None:
    """Return when somebody on our side, or another bot, wrote to the lead last."""
    found: datetime | None = Message.objects.filter(NOT_THEIRS, lead=lead).aggregate(newest=Max("at"))["newest"]
    return found
