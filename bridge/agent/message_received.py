"""What did leads write that the agent must be told of? Made into one `message.received` a pause, and a lead.

The rows are the truth: a message waits on its own row until it stands in an event, which is stored in the same
transaction. So whatever dies in between, each is told once, under one id. While the event of earlier ones is still
being told, what comes meanwhile goes with the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from bridge.accounts import silent_while_kommo_is_away
from bridge.models import AgentEvent, Card, IntakeCall, WebhookEvent
from followups import lead_for_agent
from leads import may_speak, untold_messages
from leads.models import Lead, Message

RECEIVED = "message.received"
LEADS_AT_ONCE = 50
# A pause that is over so soon is waited for: the worker's clock has a grain of a second.
AHEAD = timedelta(seconds=1)
# What was received is read within a moment. What is unread for longer than that is behind, and is waited for a while;
# not what stays unread for its own reasons, as while Kommo is away.
LATE, LATE_NO_MORE, WAITED_FOR = timedelta(seconds=3), timedelta(minutes=1), timedelta(seconds=15)


def has_work(now: datetime) -> bool:
    """Say whether a lead's pause is over, or within the next moment. One query."""
    return _due(now + AHEAD).exists()


def gather(now: datetime) -> int:
    """Make events of what waits and whose lead has paused; return how many leads that were.

    A fixed number of statements. What the agent may not hear now is held back.
    """
    ids = [lead_id for lead_id, _ in _due(now)[:LEADS_AT_ONCE]]
    return _gather(ids, now) if ids else 0


@transaction.atomic
def _gather(ids: Sequence[UUID], now: datetime) -> int:
    rows = Lead.objects.select_for_update(no_key=True, of=("self",), skip_locked=True).filter(pk__in=ids)
    leads = {lead.pk: lead for lead in rows.select_related("pipeline", "stage").order_by("pk")}
    # Asked again under the lock: somebody else may have told of them, or another message come.
    paused = {lead_id for lead_id, _ in _due(now).filter(lead__in=list(leads))}
    messages = [row for row in untold_messages.waiting(list(paused)) if row.lead_id in leads]
    # Who opted out is heard all the same: they may have asked for something.
    refusals = {
        pk: why for pk, why in may_speak.refusals(leads.values()).items() if why.shut is not may_speak.Shut.OPTED_OUT
    }
    # Of those the agent does not serve people take care, also once it does.
    left = {pk for pk, why in refusals.items() if why.shut is may_speak.Shut.UNSERVED}
    untold_messages.settle([row for row in messages if row.lead_id in left], untold_messages.Telling.LEFT)
    untold_messages.settle(
        [row for row in messages if row.lead_id in refusals.keys() - left], untold_messages.Telling.HELD
    )
    to_tell = [row for row in messages if row.lead_id not in refusals]
    if to_tell:
        _tell([leads[pk] for pk in dict.fromkeys(row.lead_id for row in to_tell)], to_tell, now)
        untold_messages.settle(to_tell, untold_messages.Telling.TOLD)
    return len(paused)


def _tell(leads: Sequence[Lead], messages: Sequence[Message], now: datetime) -> None:
    people = lead_for_agent.people(leads)
    cards = Card.objects.filter(lead__in=leads).select_related("account")
    in_doubt = {
        card.lead_id
        for card in cards
        if card.kommo_lead_id and silent_while_kommo_is_away.unknown_since(card.account, now)
    }
    answers = _answered_by_bots(messages)
    by_id = {lead.pk: lead for lead in leads}
    events = []
    for number, ((lead_id, channel), rows) in enumerate(groupby(messages, key=lambda row: (row.lead_id, row.channel))):
        together, lead = list(rows), by_id[lead_id]
        data = {
            "lead": people[lead_id],
            "messages": [_message(row) for row in together],
            "channel": channel,
            "may_reply": not (lead.opted_out_at or (lead_id in in_doubt and lead.pipeline.silent_when_kommo_is_away)),
            "answered_by_bot": answers.get(together[0].pk),
        }
        # Of one lead in the order of their times.
        at = now + timedelta(microseconds=number)
        events.append(AgentEvent(lead=lead, type=RECEIVED, data=data, created_at=at, due_at=now))
    AgentEvent.objects.bulk_create(events)


def _message(row: Message) -> dict[str, Any]:
    return {
        "id": row.message_id or str(row.pk),
        "text": row.text,
        "at": row.at.isoformat(),
        "kind": row.kind,
        "attachment": row.attachments[0] if row.attachments else None,
    }


def _answered_by_bots(messages: Sequence[Message]) -> dict[UUID, dict[str, Any]]:
    """Return by message what another bot has answered since: the agent may want to add nothing to it. One query."""
    first = min(row.at for row in messages)
    bots = Message.objects.filter(
        lead__in={row.lead_id for row in messages}, direction=Message.Direction.BOT, at__gte=first
    ).order_by("at", "id")
    by_lead: dict[UUID, list[Message]] = {}
    for bot in bots:
        by_lead.setdefault(bot.lead_id, []).append(bot)
    found = {}
    for row in messages:
        if answers := [bot for bot in by_lead.get(row.lead_id, ()) if bot.at >= row.at]:
            found[row.pk] = {"text": answers[-1].text, "at": answers[-1].at.isoformat(), "name": answers[-1].author}
    return found


def _due(now: datetime) -> QuerySet[Any, Any]:
    """Return the leads whose pause is over and of whom nothing is being told.

    Where what was received is read late, after a restart above all, a pause may only look over: the next bubble lies
    unread. It is waited for a while.
    """
    under_way = AgentEvent.objects.filter(lead=OuterRef("lead_id"), type=RECEIVED, state=AgentEvent.State.DUE)
    late = {"state": "received", "received_at__range": (now - LATE_NO_MORE, now - LATE)}
    is_behind = Exists(WebhookEvent.objects.filter(**late)) | Exists(IntakeCall.objects.filter(**late))
    waited_for = Q(newest__lte=now - untold_messages.pause() - WAITED_FOR)
    return untold_messages.due(now).exclude(Exists(under_way)).filter(waited_for | ~Q(is_behind))
