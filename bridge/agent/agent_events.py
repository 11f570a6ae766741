"""What the agent is told at AGENT_WEBHOOK_URL: stored with the change it tells of, sent after it, tried until taken.

Follow-ups have a road of their own (followups/dispatch.py); here go `agent.paused`, `agent.resumed`,
`lead.stage_changed` and, once leads have paused (bridge/agent/message_received.py), `message.received`. The row's id is
the `webhook-id` of every try, so the agent acts once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from time import sleep
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from bridge import process_identity
from bridge.agent import message_received
from bridge.models import AgentEvent
from common.reasons import Reason
from followups import signed_calls
from followups.lead_for_agent import person
from leads import may_speak, untold_messages
from leads.models import Lead

PAUSED, RESUMED, STAGE_CHANGED = "agent.paused", "agent.resumed", "lead.stage_changed"
RECEIVED = "message.received"
PAUSES = (PAUSED, RESUMED)
AT_ONCE = 8
# Nobody else sends it meanwhile; longer than the slowest answer. What a dead process of this machine was at is free at
# once (bridge/worker.py).
HELD_FOR = timedelta(seconds=60)
RETRY_FIRST, RETRY_CAP = timedelta(seconds=5), timedelta(minutes=30)
# News of three days ago is not news; the log keeps it, and a person can replay it.
GIVEN_UP_AFTER = timedelta(days=3)
# An agent that is away for three days is asked some hundred and fifty times; the last of them tell enough.
TRIES_KEPT = 50
LONGEST_ERROR_OF_A_TRY = 200
LOOK_AGAIN_SECONDS = 0.1


def tell(lead: Lead, event_type: str, *, now: datetime, **data: Any) -> None:
    """Store an event for the agent, in the transaction of what it tells of.

    There is none without an address, nor of a lead that the agent does not serve.
    """
    if settings.AGENT_WEBHOOK_URL and not may_speak.unserved([lead]):
        AgentEvent.objects.create(
            lead=lead, type=event_type, data={"lead": person(lead), **data}, created_at=now, due_at=now
        )


def has_work(now: datetime) -> bool:
    return _due(now).exists() or message_received.has_work(now)


def holders() -> list[str]:
    taken = AgentEvent.objects.filter(state=AgentEvent.State.DUE).exclude(holder="")
    return list(taken.values_list("holder", flat=True).distinct())


def free(dead: Sequence[str], *, now: datetime) -> int:
    """Let others send at once what processes that died were at: told twice under one id, the agent acts once."""
    taken = AgentEvent.objects.filter(state=AgentEvent.State.DUE, holder__in=dead)
    return taken.update(due_at=now, holder="")


def deliver_due(
    *, until: datetime, clock: Callable[[], datetime], progress: Callable[[], object] = lambda: None
) -> bool:
    """Send what is due, oldest first and a few at once, until the time is up; True when more may be due.

    `progress` is called at least every time the agent may take to answer.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="agent-event") as pool:
        while clock() < until:
            progress()
            message_received.gather(clock())
            rows = _claim(clock())
            if rows is None and message_received.has_work(clock()):
                # A pause is over within the next moment: asking for another task takes longer.
                sleep(LOOK_AGAIN_SECONDS)
                continue
            if rows is None:
                return False
            answers = list(pool.map(lambda row: (clock(), _ask(row, clock()), clock()), rows))
            for row, (asked_at, answer, at) in zip(rows, answers, strict=True):
                _settle(row, answer, asked_at, at)
    return True


def replay(events: QuerySet[AgentEvent], *, now: datetime) -> int:
    """Send events again, under the same ids; those of forgotten people have nothing to say any more."""
    return events.exclude(data={}).update(state=AgentEvent.State.DUE, due_at=now, error="", holder="")


def _due(now: datetime) -> QuerySet[AgentEvent]:
    """Return what may be sent now. News of one lead and one subject keep their order, whatever is tried again.

    An agent that hears “resumed” and then an older “paused” would stay silent for ever. What leads wrote is told again
    only while the agent may speak with them.
    """
    due = AgentEvent.objects.filter(state=AgentEvent.State.DUE)
    older = due.filter(lead=OuterRef("lead"), created_at__lt=OuterRef("created_at"))
    pauses = Q(type__in=PAUSES)
    older_pause, older_of_type = Exists(older.filter(pauses)), Exists(older.filter(type=OuterRef("type")))
    shut = ~Q(lead__handoff_source="") | Q(lead__pipeline__silenced_at__isnull=False)
    next_events = due.filter(due_at__lte=now).exclude(pauses & Q(older_pause)).exclude(~pauses & Q(older_of_type))
    return next_events.exclude(Q(type=RECEIVED) & shut)


def drop_answered(lead: Lead, *, now: datetime) -> int:
    """Tell no more of what the lead wrote before somebody else answered; return how many events that were."""
    until = untold_messages.answered_until(lead)
    rows = AgentEvent.objects.filter(lead=lead, type=RECEIVED, state=AgentEvent.State.DUE) if until else ()
    answered = [row.pk for row in rows if until and datetime.fromisoformat(row.data["messages"][-1]["at"]) <= until]
    return AgentEvent.objects.filter(pk__in=answered).update(
        state=AgentEvent.State.DROPPED, error="somebody else has answered since"
    )


def _claim(now: datetime) -> list[AgentEvent] | None:
    """Take a few of the oldest due; None when there are none.

    Compare-and-set: of all workers that see a row, one sends it.
    """
    found = _due(now).order_by("due_at").select_related("lead__pipeline")[:AT_ONCE]
    claim: dict[str, Any] = {
        "due_at": now + HELD_FOR,
        "holder": process_identity.process(),
        "attempts": F("attempts") + 1,
    }
    taken = [row for row in found if _due(now).filter(pk=row.pk).update(**claim)]
    for row in taken:
        row.attempts += 1
    return _withhold(taken) if taken else None


def _withhold(rows: list[AgentEvent]) -> list[AgentEvent]:
    """Return what is still told; not what is of leads that the agent has come to serve no more."""
    unserved = may_speak.unserved({row.lead_id: row.lead for row in rows}.values())
    for row in rows:
        if why := unserved.get(row.lead_id):
            AgentEvent.objects.filter(pk=row.pk).update(state=AgentEvent.State.DROPPED, error=why[:1000])
    return [row for row in rows if row.lead_id not in unserved]


def _ask(row: AgentEvent, now: datetime) -> signed_calls.Answer:
    body = {"type": row.type, "timestamp": row.created_at.isoformat(), "data": row.data}
    return signed_calls.post(settings.AGENT_WEBHOOK_URL, settings.AGENT_WEBHOOK_SECRET, str(row.pk), body, now=now)


def _settle(row: AgentEvent, answer: signed_calls.Answer, asked_at: datetime, now: datetime) -> None:
    row.status_code = answer.status
    row.error = "" if answer.is_success else (answer.error or Reason("agent_answered", number=answer.status))[:1000]
    attempt = {
        "at": asked_at.isoformat(),
        "status": answer.status,
        "error": row.error[:LONGEST_ERROR_OF_A_TRY],
        "seconds": round((now - asked_at).total_seconds(), 3),
    }
    row.tries = [*(row.tries or ()), attempt][-TRIES_KEPT:]
    if answer.is_success:
        row.state, row.delivered_at = AgentEvent.State.DELIVERED, now
    else:
        growing: timedelta = min(RETRY_CAP, RETRY_FIRST * 2 ** min(row.attempts - 1, 12))
        row.due_at = now + max(growing, timedelta(seconds=min(answer.retry_after_seconds or 0, 3600)))
        if answer.status == 410 or row.due_at - row.created_at > GIVEN_UP_AFTER:
            row.state = AgentEvent.State.DEAD
    row.holder = ""
    columns = ("state", "delivered_at", "error", "due_at", "status_code", "tries", "holder")
    # Not saved: news of a person who was erased while it was told is not there any more.
    standing = AgentEvent.objects.filter(pk=row.pk, lead__erased_at=None)
    standing.update(**{name: getattr(row, name) for name in columns})
