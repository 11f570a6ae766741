"""How long each growing table keeps its rows, and forgetting them in batches small enough not to be felt.

What a lead's page tells of its past (events) stays longest; raw bodies and technical logs go first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.db.models import Model, Q
from django_q.models import OrmQ, Task

from bridge.models import (
    AgentEvent,
    Alert,
    Briefing,
    Delivery,
    Drift,
    Heartbeat,
    IdempotencyRecord,
    IntakeCall,
    WebhookEvent,
    WorkLease,
)
from followups.models import Attempt, Enrollment
from leads.models import (
    Event,
    ForgottenReport,
    Lead,
    Meeting,
    Message,
    Milestone,
    Stay,
    UnmappedConversationStage,
    UnmappedFlow,
)

log = structlog.get_logger(__name__)

BATCH = 2000
EVERY_ROW = Q()
PRUNE_EVERY = timedelta(minutes=10)


@dataclass(frozen=True)
class Rule:
    """Rows of `model` for which `column` is older than `keep` (None: kept for ever), and that `only` allows."""

    model: type[Model]
    column: str
    keep: timedelta | None
    only: Q = EVERY_ROW


def rules() -> list[Rule]:
    days = {name: None if value is None else timedelta(days=value) for name, value in settings.RETENTION_DAYS.items()}
    ended = ~Q(state=Enrollment.State.WAITING)
    return [
        Rule(IdempotencyRecord, "created_at", IdempotencyRecord.KEPT_FOR),
        Rule(WebhookEvent, "received_at", days["webhooks"], ~Q(state=WebhookEvent.State.RECEIVED)),
        Rule(IntakeCall, "received_at", days["webhooks"], ~Q(state=IntakeCall.State.RECEIVED)),
        Rule(Delivery, "at", days["deliveries"]),
        Rule(AgentEvent, "created_at", days["agent_events"], ~Q(state=AgentEvent.State.DUE)),
        Rule(Drift, "found_at", days["drift"], ~Q(resolution=Drift.Resolution.OPEN)),
        Rule(Briefing, "since", days["deliveries"], Q(due_at=None)),
        Rule(Attempt, "created_at", days["followups"], ~Q(state=Attempt.State.SENDING)),
        Rule(Enrollment, "ended_at", days["followups"], ended),
        Rule(Event, "at", days["events"]),
        Rule(Message, "at", days["events"]),
        Rule(Milestone, "at", days["events"]),
        Rule(Meeting, "told_at", days["events"], ~Q(status__in=Lead.BOOKED) | Q(awaits_result=True)),
        Rule(Stay, "left_at", days["events"]),
        Rule(Task, "stopped", days["tasks"]),
        # One row for each name and address that anybody on the internet tries.
        Rule(AccessAttempt, "attempt_time", days["logins"]),
        Rule(AccessLog, "attempt_time", days["logins"]),
        Rule(Session, "expire_date", timedelta(0)),
        # Whatever the agent once called a stage or a flow, and nobody mapped.
        Rule(UnmappedConversationStage, "last_seen_at", timedelta(days=365)),
        Rule(UnmappedFlow, "last_seen_at", timedelta(days=365)),
        Rule(LogEntry, "action_time", days["record"]),
        Rule(ForgottenReport, "at", days["forgotten_reports"]),
        Rule(Heartbeat, "at", timedelta(days=1)),
        # One that is over goes when staff were told so; where telling fails for a month, nobody waits for it any more.
        Rule(Alert, "last_seen_at", timedelta(days=30)),
        Rule(WorkLease, "until", timedelta(days=1)),
        # A message nobody could take for a day asks for something that was asked for again long ago.
        Rule(OrmQ, "lock", timedelta(days=1)),
    ]


def prune(*, now: datetime, limit: int = BATCH, go_on: Callable[[], bool] = lambda: True) -> dict[str, int]:
    """Forget old rows, a batch per table and round while `go_on` says so; return how many of each table."""
    forgotten: dict[str, int] = {}
    for rule in (rule for rule in rules() if rule.keep is not None):
        name = rule.model._meta.label
        try:
            while go_on():
                count = forget(rule, now=now, limit=limit)
                forgotten[name] = forgotten.get(name, 0) + count
                if count < limit:
                    break
        except DatabaseError:
            # One table that cannot be pruned lets no other grow.
            log.exception("not_pruned", table=name)
    return {name: count for name, count in forgotten.items() if count}


def forget(rule: Rule, *, now: datetime, limit: int) -> int:
    """Delete one batch of a rule's rows, oldest first; return how many."""
    assert rule.keep is not None
    rows = rule.model._default_manager
    old = rows.filter(rule.only, **{f"{rule.column}__lt": now - rule.keep}).order_by(rule.column)
    ids = list(old.values_list("pk", flat=True)[:limit])
    if ids:
        rows.filter(pk__in=ids).delete()
    return len(ids)
