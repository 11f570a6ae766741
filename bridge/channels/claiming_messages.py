"""Which message leaves now, and by which way? Claimed by one process, the gate asked right before each of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from bridge.channels import message_outcomes, queueing_messages, send_gate, unread_answers
from bridge.channels.after_a_part import PROOF, TRIED_FOR, after_failure, release, sum_parts
from bridge.channels.channel_kinds import WAYS
from bridge.channels.leaving_part import P, Task, in_full
from bridge.channels.part_values import Part
from bridge.channels.queueing_messages import Route
from bridge.models import Channel, Outgoing
from common.reasons import Reason
from followups import lead_for_agent
from leads.models import Lead, MessagePart

log = structlog.get_logger(__name__)

# Nobody else is at a message for so long; longer than the slowest of calls to Kommo.
HELD_FOR = timedelta(seconds=120)
DIED = Reason("unconfirmed", why=Reason("message_sender_died"))
# What the agent was told is not taken back.
TOLD_OF = ("not_delivered", "refused")


def due(now: datetime) -> QuerySet[Outgoing]:
    """Return what may be looked at now: of each lead its oldest message that is under way, if nobody is at it."""
    under_way = Outgoing.objects.filter(state=Outgoing.State.DUE)
    older = under_way.filter(lead=OuterRef("lead")).filter(
        Q(created_at__lt=OuterRef("created_at")) | Q(created_at=OuterRef("created_at"), pk__lt=OuterRef("pk"))
    )
    free = Q(held_until=None) | Q(held_until__lt=now)
    return under_way.filter(free, due_at__lte=now).exclude(Exists(older))


def has_work(now: datetime) -> bool:
    return due(now).exists()


def holders() -> list[str]:
    taken = Outgoing.objects.filter(state=Outgoing.State.DUE).exclude(holder="")
    return list(taken.values_list("holder", flat=True).distinct())


def free(dead: Sequence[str]) -> int:
    """Let others look at once at what processes that died were at."""
    return Outgoing.objects.filter(state=Outgoing.State.DUE, holder__in=dead).update(holder="", held_until=None)


def claim(holder: str, now: datetime, *, limit: int) -> list[Task] | None:
    """Take messages that are due; return what of them leaves now, None when none is due.

    What ends or waits is settled here.

    Compare-and-set: of all workers that see a row, one is at it.
    """
    found = list(due(now).order_by("due_at").values_list("pk", flat=True)[:limit])
    taken = [pk for pk in found if due(now).filter(pk=pk).update(held_until=now + HELD_FOR, holder=holder)]
    if not taken:
        return None
    rows = list(Outgoing.objects.filter(pk__in=taken).order_by("due_at"))
    return [task for task in (_take(row, now) for row in rows) if task]


def _take(row: Outgoing, now: datetime) -> Task | None:
    """Take one message a step further; return the part that leaves now, if one does."""
    try:
        with transaction.atomic():
            # The lead first, as interactions lock it.
            Lead.objects.select_for_update(no_key=True).filter(pk=row.lead_id).first()
            parts = list(MessagePart.objects.select_for_update().filter(message=row.pk).order_by("position"))
            fresh = in_full(Outgoing.objects.select_for_update(of=("self",)).filter(pk=row.pk)).first()
            return _step(fresh, parts, now) if fresh and fresh.state == Outgoing.State.DUE else None
    except Exception as error:
        log.exception("message_not_prepared", message=str(row.pk))
        release(row, now + timedelta(minutes=1), f"it could not be prepared: {type(error).__name__}")
        return None


def _step(row: Outgoing, parts: list[MessagePart], now: datetime) -> Task | None:
    if lost := [candidate for candidate in parts if candidate.state == P.SENDING]:
        _settle_lost(row, lost[0], now)
        sum_parts(row, parts)
    awaited = next((candidate for candidate in parts if candidate.state == P.SENT), None) if row.proof_until else None
    if awaited and row.proof_until:
        if not awaited.their_id and now < row.proof_until:
            release(row, row.proof_until, PROOF)
            return None
        # Kommo may have told of it, and its webhook is late or lost: looked for before it is said once more.
        return _looking(row, awaited, now)
    bad = next(
        (candidate for candidate in parts if candidate.state in (P.NOT_DELIVERED, P.REFUSED, P.UNCONFIRMED)), None
    )
    if bad is not None and bad.state == P.NOT_DELIVERED and row.told not in TOLD_OF and _may_go_on(row, now):
        return after_failure(row, parts, bad, bad.reason, now)
    if bad is not None:
        message_outcomes.end(row, parts, now)
        return None
    part = next((candidate for candidate in parts if candidate.state == P.QUEUED), None)
    if part is None:
        message_outcomes.end(row, parts, now)
        return None
    if reason := send_gate.refusals([row], now).get(row.pk):
        message_outcomes.end(row, parts, now, refused=reason)
        return None
    if _is_news_unread(row, now):
        # It may be a person who wrote: the gate is asked once that is read.
        Outgoing.objects.filter(pk=row.pk).update(held_until=now + unread_answers.LOOK_AGAIN, holder="")
        return None
    chosen = _route(row, now)
    if isinstance(chosen, str):
        return after_failure(row, parts, part, chosen, now)
    return _leaving(row, parts, part, chosen, now)


def _is_news_unread(row: Outgoing, now: datetime) -> bool:
    """Say whether something was heard of the person that is still to be read, for a moment after the part was due."""
    if now - row.due_at >= unread_answers.PATIENCE:
        return False
    card = getattr(row.lead, "card", None)
    return unread_answers.is_heard_of(queueing_messages.person_of(row.lead, card), card.account if card else None, now)


def _settle_lost(row: Outgoing, part: MessagePart, now: datetime) -> None:
    """Note what became of a part whose sender died at it."""
    channel = row.channel
    way = WAYS[channel.kind] if channel else None
    if channel and channel.kind == Channel.Kind.AGENT:
        # It acts once per id.
        part.state = P.QUEUED
    elif way and way.proves:
        # Kommo tells whether it was said.
        part.state, part.sent_at = P.SENT, now
        row.proof_until = now + way.proves
        row.save(update_fields=["proof_until"])
    else:
        part.state, part.reason = P.UNCONFIRMED, DIED
    part.save(update_fields=["state", "reason", "sent_at"])


def _may_go_on(row: Outgoing, now: datetime) -> bool:
    """Say whether what a messenger could not deliver may be tried by another way."""
    return now - row.created_at < TRIED_FOR and not send_gate.refusals([row], now)


def _looking(row: Outgoing, part: MessagePart, now: datetime) -> Task:
    card = getattr(row.lead, "card", None)
    person = queueing_messages.person_of(row.lead, card)
    assert row.channel is not None
    return Task(row, part, queueing_messages.route(row.channel, card), person, Part("", part.text), is_look=True)


def _route(row: Outgoing, now: datetime) -> Route | str:
    """Return the way of a message as it is now, or why it is none at present."""
    if row.channel is None or not row.channel.is_active:
        return Reason("channel_gone")
    card = getattr(row.lead, "card", None)
    found, against = queueing_messages.routes(row.lead, card, [row.channel], template_id=row.template_id, now=now)
    return found[0] if found else against[0].parts["each"][1]


def _leaving(row: Outgoing, parts: list[MessagePart], part: MessagePart, route: Route, now: datetime) -> Task:
    part.state, part.sent_at, part.reason = P.SENDING, None, ""
    part.save(update_fields=["state", "sent_at", "reason"])
    row.tries += 1
    row.save(update_fields=["tries"])
    card = getattr(row.lead, "card", None)
    person = queueing_messages.person_of(row.lead, card)
    # Words while they may leave; a template where nothing else does.
    template_id = row.template_id if route.way.why_not_now(person, "", now) else ""
    leaving = Part(
        event_id=f"{row.pk}.{part.position}" if row.attempt_id is None else str(row.attempt_id),
        text=part.text,
        is_first=part.position == parts[0].position,
        is_last=part.position == parts[-1].position,
        template_id=template_id,
        event=_event(row, part),
    )
    return Task(row, part, route, person, leaving)


def _event(row: Outgoing, part: MessagePart) -> tuple[str, dict[str, Any]]:
    """Return what the agent is told where it is the one to say a message."""
    if row.channel is None or row.channel.kind != Channel.Kind.AGENT:
        return "", {}
    lead = lead_for_agent.person(row.lead)
    if row.attempt_id:
        return message_outcomes.followup_due(row.attempt_id, lead)
    return "message.due", {"lead": lead, "message": {"id": str(row.pk), "text": row.message.text}}
