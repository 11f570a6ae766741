"""Carrying messages out: what is due is claimed, asked for at the gate, handed over part by part, and noted.

Every part is stored as `sending` before it leaves, so a process may die anywhere: what it left so may have been said,
and on a way that would say it twice it is not said again. A lead's messages leave one after the other, in their order.
Between the parts of a message a person may have taken over: the gate is asked before each.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connections, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from bridge import logs
from bridge.cards import backoff
from bridge.channels import (
    cutting_texts,
    managing_channels,
    message_outcomes,
    proof_of_arrival,
    queueing_messages,
    send_gate,
    unread_answers,
)
from bridge.channels.channel_kinds import WAYS
from bridge.channels.part_values import Outcome, Part, Person, Sent
from bridge.channels.queueing_messages import Route
from bridge.models import Channel, Outgoing
from common.statements import update
from followups import lead_for_agent
from leads.may_speak import ERASED
from leads.message_parts import ORDER, SUMMED, sum_up
from leads.models import Lead, MessagePart

log = structlog.get_logger(__name__)

AT_ONCE = 8
# Nobody else is at a message for so long; longer than the slowest of calls to Kommo.
HELD_FOR = timedelta(seconds=120)
# A task that has nothing to do stays so long: asking for another one takes longer than looking again.
STAY_FOR = timedelta(seconds=1)
LOOK_AGAIN_SECONDS = 0.1
# So often a part is tried by one way while there is another, and for so long where there is none.
TRIES_WITH_ANOTHER, TRIED_FOR = 3, timedelta(minutes=30)
SLOWEST_RETRY = timedelta(minutes=2)
DIED = "unconfirmed: its sender died at it, so that it may have gone out, and is not said twice"
PROOF = "waits for the proof that it arrived"
P = MessagePart.State
# What the agent was told is not taken back.
TOLD_OF = ("not_delivered", "refused")


@dataclass(frozen=True)
class Task:
    """A part that is leaving, with all its sending takes."""

    outgoing: Outgoing
    part: MessagePart
    route: Route
    person: Person
    said: Part
    # Nothing leaves: it is looked for the proof that what left before has arrived.
    is_look: bool = False


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
    held = Outgoing.objects.filter(state=Outgoing.State.DUE).exclude(holder="")
    return list(held.values_list("holder", flat=True).distinct())


def free(dead: Sequence[str]) -> int:
    """Let others look at once at what processes that died were at."""
    return Outgoing.objects.filter(state=Outgoing.State.DUE, holder__in=dead).update(holder="", held_until=None)


class Inline(Executor):
    """Does what it is given at once, in this thread and on its connection: for tests and for commands."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def carry(
    *,
    holder: str,
    until: datetime,
    pool: Executor,
    progress: Callable[[], object] = lambda: None,
    clock: Callable[[], datetime] = timezone.now,
    stay: timedelta = STAY_FOR,
) -> bool:
    """Send what is due, and what falls due within the next moments, until the time is up; True when more may be due."""
    how = say if isinstance(pool, Inline) else in_a_thread
    under_way: dict[Future[tuple[Sent, datetime]], Task] = {}
    idle_since = clock()
    while True:
        progress()
        now, tasks = clock(), None
        if now < until and len(under_way) < AT_ONCE:
            tasks = claim(holder, now, limit=AT_ONCE - len(under_way))
            if tasks is not None:
                idle_since = now
            for task in tasks or ():
                under_way[pool.submit(how, task, clock)] = task
        done = [future for future in under_way if future.done()]
        for future in done:
            _note_safely(under_way.pop(future), future)
            idle_since = clock()
        if done or (tasks is not None and not under_way):
            # What came next of a lead may be due at once.
            continue
        if under_way:
            wait(under_way, timeout=LOOK_AGAIN_SECONDS, return_when=FIRST_COMPLETED)
        elif now >= until:
            return has_work(now)
        elif now - idle_since >= stay:
            return False
        else:
            time.sleep(LOOK_AGAIN_SECONDS)


def _note_safely(task: Task, future: Future[tuple[Sent, datetime]]) -> None:
    """Note what came of a part; what cannot be noted stays held, and is looked at again as if its sender had died."""
    try:
        note(task, *future.result())
    except (InterfaceError, OperationalError):
        raise
    except Exception:
        log.exception("message_not_noted", message=str(task.outgoing.pk))


# --- Claiming


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


def _in_full(rows: QuerySet[Outgoing]) -> QuerySet[Outgoing]:
    return rows.select_related("message", "channel", "lead__pipeline", "lead__stage", "lead__card__account")


def _take(row: Outgoing, now: datetime) -> Task | None:
    """Take one message a step further; return the part that leaves now, if one does."""
    try:
        with transaction.atomic():
            # The lead first, as interactions lock it.
            Lead.objects.select_for_update(no_key=True).filter(pk=row.lead_id).first()
            parts = list(MessagePart.objects.select_for_update().filter(message=row.pk).order_by("position"))
            fresh = _in_full(Outgoing.objects.select_for_update(of=("self",)).filter(pk=row.pk)).first()
            return _step(fresh, parts, now) if fresh and fresh.state == Outgoing.State.DUE else None
    except Exception as error:
        log.exception("message_not_prepared", message=str(row.pk))
        _release(row, now + timedelta(minutes=1), f"it could not be prepared: {type(error).__name__}")
        return None


def _step(row: Outgoing, parts: list[MessagePart], now: datetime) -> Task | None:
    if lost := [one for one in parts if one.state == P.SENDING]:
        _settle_lost(row, lost[0], now)
        _sum(row, parts)
    awaited = next((one for one in parts if one.state == P.SENT), None) if row.proof_until else None
    if awaited and row.proof_until:
        if not awaited.their_id and now < row.proof_until:
            _release(row, row.proof_until, PROOF)
            return None
        # Kommo may have told of it, and its webhook is late or lost: looked for before it is said once more.
        return _looking(row, awaited, now)
    bad = next((one for one in parts if one.state in (P.NOT_DELIVERED, P.REFUSED, P.UNCONFIRMED)), None)
    if bad is not None and bad.state == P.NOT_DELIVERED and row.told not in TOLD_OF and _may_go_on(row, now):
        return _after_failure(row, parts, bad, bad.reason, now)
    if bad is not None:
        message_outcomes.end(row, parts, now)
        return None
    part = next((one for one in parts if one.state == P.QUEUED), None)
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
        return _after_failure(row, parts, part, chosen, now)
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
        return "its channel is no more"
    card = getattr(row.lead, "card", None)
    found, against = queueing_messages.routes(row.lead, card, [row.channel], template_id=row.template_id, now=now)
    return found[0] if found else against[0].partition(": ")[2]


def _leaving(row: Outgoing, parts: list[MessagePart], part: MessagePart, route: Route, now: datetime) -> Task:
    part.state, part.sent_at, part.reason = P.SENDING, None, ""
    part.save(update_fields=["state", "sent_at", "reason"])
    row.tries += 1
    row.save(update_fields=["tries"])
    card = getattr(row.lead, "card", None)
    person = queueing_messages.person_of(row.lead, card)
    # Words while they may leave; a template where nothing else does.
    template_id = row.template_id if route.way.why_not_now(person, "", now) else ""
    said = Part(
        event_id=f"{row.pk}.{part.position}" if row.attempt_id is None else str(row.attempt_id),
        text=part.text,
        is_first=part.position == parts[0].position,
        is_last=part.position == parts[-1].position,
        template_id=template_id,
        event=_event(row, part),
    )
    return Task(row, part, route, person, said)


def _event(row: Outgoing, part: MessagePart) -> tuple[str, dict[str, Any]]:
    """Return what the agent is told where it is the one to say a message."""
    if row.channel is None or row.channel.kind != Channel.Kind.AGENT:
        return "", {}
    lead = lead_for_agent.person(row.lead)
    if row.attempt_id:
        return message_outcomes.followup_due(row.attempt_id, lead)
    return "message.due", {"lead": lead, "message": {"id": str(row.pk), "text": row.message.text}}


# --- Sending


def say(task: Task, clock: Callable[[], datetime]) -> tuple[Sent, datetime]:
    """Hand a part over. Never raises."""
    try:
        way, route = task.route.way, task.route
        if task.is_look:
            return proof_of_arrival.look(route.account, task.person, task.part, clock()), clock()
        sent = way.say(route.account, route.settings, task.person, task.said, clock())
    except Exception as error:
        log.exception("channel_failed", channel=task.route.channel.slug)
        is_safe = task.route.channel.kind == Channel.Kind.AGENT and not task.is_look
        outcome = Outcome.RETRY if is_safe else Outcome.UNCONFIRMED
        sent = Sent(outcome, f"the channel failed: {type(error).__name__}")
    return sent, clock()


def in_a_thread(task: Task, clock: Callable[[], datetime]) -> tuple[Sent, datetime]:
    try:
        return say(task, clock)
    finally:
        # What reads the database here does so on this thread's connection, which nobody else would close.
        connections.close_all()


# --- Noting


def note(task: Task, sent: Sent, at: datetime) -> None:
    """Store what became of a part, and what follows: the next one, another try, another way, or the end."""
    with transaction.atomic():
        Lead.objects.select_for_update(no_key=True).filter(pk=task.outgoing.lead_id).first()
        # Then the parts, and what is on its way last: the order of whoever hears of them.
        parts = list(MessagePart.objects.select_for_update().filter(message=task.outgoing.pk).order_by("position"))
        row = _in_full(Outgoing.objects.select_for_update(of=("self",)).filter(pk=task.outgoing.pk)).first()
        if row is None or row.state != Outgoing.State.DUE:
            return
        part = next((one for one in parts if one.pk == task.part.pk), None)
        if part is not None:
            if row.lead.erased_at:
                # While it was under way: what the other side says of it may name them.
                sent = replace(sent, reason=ERASED if sent.reason else "", their_id="", text="")
            _note(task, row, parts, part, sent, at)


def _note(task: Task, row: Outgoing, parts: list[MessagePart], part: MessagePart, sent: Sent, at: datetime) -> None:
    if task.is_look:
        _note_look(task, row, parts, part, sent, at)
        return
    _note_channel(task.route.channel, sent, at)
    is_told = ORDER[P(part.state)] >= ORDER[P.SENT] if part.state in ORDER else True
    if sent.their_id and not part.their_id:
        part.their_id = sent.their_id
    if sent.outcome in (Outcome.SENT, Outcome.DELIVERED) or is_told:
        if not is_told:
            part.state, part.sent_at, part.reason = P.SENT, at, ""
        if sent.outcome is Outcome.DELIVERED:
            part.state, part.delivered_at, part.sent_at = P.DELIVERED, at, part.sent_at or at
        if sent.text and sent.text != part.text:
            part.text = sent.text
            if len(parts) == 1:
                row.message.text = sent.text
                row.message.save(update_fields=["text"])
        part.save()
        row.tries = 0
        _handed_over(task, row, parts, part, at)
    elif sent.outcome is Outcome.RETRY:
        _again(row, parts, part, sent, at)
    elif sent.outcome is Outcome.UNCONFIRMED and task.route.way.proves:
        # Kommo will tell whether it was said: until then nobody says it once more.
        part.state, part.sent_at, part.reason = P.SENT, at, sent.reason
        part.save()
        _handed_over(task, row, parts, part, at)
    elif sent.outcome is Outcome.UNCONFIRMED:
        part.state, part.reason = P.UNCONFIRMED, f"unconfirmed: {sent.reason}"[:500]
        part.save()
        message_outcomes.end(row, parts, at)
    elif sent.outcome in (Outcome.NOTHING, Outcome.DECLINED):
        part.state, part.reason = P.NOT_DELIVERED, sent.reason[:500]
        part.save()
        message_outcomes.end(row, parts, at, outcome=sent.outcome)
    else:
        _after_failure(row, parts, part, sent.reason, at, gone=sent.gone)


def _note_look(
    task: Task, row: Outgoing, parts: list[MessagePart], part: MessagePart, sent: Sent, at: datetime
) -> None:
    if part.state == P.DELIVERED or sent.outcome is Outcome.DELIVERED:
        part.state, part.delivered_at, part.reason = P.DELIVERED, part.delivered_at or at, ""
        part.save(update_fields=["state", "delivered_at", "reason"])
        _handed_over(task, row, parts, part, at)
    elif sent.outcome is Outcome.UNCONFIRMED:
        part.state, part.reason = P.UNCONFIRMED, f"unconfirmed: {sent.reason}"[:500]
        part.save(update_fields=["state", "reason"])
        message_outcomes.end(row, parts, at)
    else:
        _note_channel(task.route.channel, sent, at)
        _after_failure(row, parts, part, sent.reason, at)


def _note_channel(channel: Channel, sent: Sent, at: datetime) -> None:
    rows = Channel.objects.filter(pk=channel.pk)
    if sent.outcome in (Outcome.SENT, Outcome.DELIVERED):
        rows.update(sent_at=at, rests_until=None)
    elif sent.outcome in (Outcome.RETRY, Outcome.FAILED, Outcome.UNCONFIRMED) and sent.gone is None:
        rests = {"rests_until": at + sent.rests} if sent.rests else {}
        # It is told of the way as such, also to whom it does not concern: whose message it was says the message.
        rows.update(failed_at=at, failure=logs.tidy(sent.reason)[:500], **rests)


def _handed_over(task: Task, row: Outgoing, parts: list[MessagePart], part: MessagePart, at: datetime) -> None:
    """Go on after a part that has left: wait for its proof, type the next one, or end."""
    way = task.route.way
    left = [one for one in parts if one.state == P.QUEUED]
    if way.proves and part.state == P.SENT:
        row.proof_until = at + way.proves
        row.save(update_fields=["tries", "proof_until"])
        _release(row, row.proof_until, PROOF)
    elif left:
        types = row.lead.pipeline.typing_pauses
        pause = timedelta(seconds=cutting_texts.pause(left[0].text)) if types else timedelta(0)
        row.proof_until = None
        row.save(update_fields=["tries", "proof_until"])
        _release(row, at + pause, "")
    else:
        row.proof_until = None
        row.save(update_fields=["tries", "proof_until"])
        message_outcomes.end(row, parts, at)
        return
    _sum(row, parts)


def _again(row: Outgoing, parts: list[MessagePart], part: MessagePart, sent: Sent, at: datetime) -> None:
    part.state = P.QUEUED
    part.save(update_fields=["state"])
    others = _others(row, at)
    if row.tries >= TRIES_WITH_ANOTHER and others:
        _after_failure(row, parts, part, sent.reason, at)
        return
    asked = timedelta(seconds=min(sent.retry_after_seconds or 0, 3600))
    pause = backoff.delay(max(row.tries, 1), jitter=random.random(), retry_after=asked, cap=SLOWEST_RETRY)
    if at + pause - row.created_at > TRIED_FOR:
        _after_failure(row, parts, part, sent.reason, at)
        return
    row.save(update_fields=["tries"])
    _release(row, at + pause, sent.reason)


def _others(row: Outgoing, now: datetime) -> list[Route]:
    """Return the ways that have not been tried and lead to the person, in their order."""
    if row.is_fixed:
        return []
    card = getattr(row.lead, "card", None)
    tried = {one["channel"] for one in row.tried} | {row.channel.slug if row.channel else ""}
    chain = [
        one
        for one in managing_channels.chain(row.lead.pipeline)
        if one.slug not in tried and one.kind != Channel.Kind.LOG
    ]
    return queueing_messages.routes(row.lead, card, chain, template_id=row.template_id, now=now)[0]


def _after_failure(
    row: Outgoing, parts: list[MessagePart], part: MessagePart, reason: str, now: datetime, *, gone: Any = None
) -> Task | None:
    """Let the next way try what this one could not, or end."""
    left = "\n".join(one.text for one in parts if one is part or one.state == P.QUEUED)
    others = [one for one in _others(row, now) if queueing_messages.says_something(one, left)]
    if not others:
        part.state, part.reason = P.NOT_DELIVERED, reason[:500]
        part.save(update_fields=["state", "reason"])
        message_outcomes.end(row, parts, now, gone=gone)
        return None
    chosen = others[0]
    slug = row.channel.slug if row.channel else ""
    row.tried = [*row.tried, {"channel": slug, "reason": reason[:300], "at": now.isoformat()}]
    row.channel, row.tries, row.proof_until = chosen.channel, 0, None
    row.save(update_fields=["tried", "channel", "tries", "proof_until"])
    row.message.channel = chosen.channel.slug
    row.message.save(update_fields=["channel"])
    part.state, part.sent_at, part.their_id, part.reason = P.QUEUED, None, "", ""
    part.save(update_fields=["state", "sent_at", "their_id", "reason"])
    _recut(row, parts, chosen)
    # What the one before had handed over has not arrived: nothing is sent before the next one says so.
    _sum(row, parts)
    message_outcomes.tell_staff(row, f"{slug or '?'} could not: {reason}; tried by {chosen.channel.slug}", now)
    _release(row, now, "")
    return None


def _recut(row: Outgoing, parts: list[MessagePart], route: Route) -> None:
    """Cut what has not left as the new way takes it; where nothing has, all of it as it was written."""
    left = [one for one in parts if one.state == P.QUEUED]
    kept = [one for one in parts if one.state != P.QUEUED]
    if kept:
        cut = [queueing_messages.parts_of(one.text, route) for one in left]
        texts = [text for some, _ in cut for text in some if text.strip()]
        notes = list(dict.fromkeys([*row.changes, *(note for _, some in cut for note in some)]))
    else:
        texts, notes = queueing_messages.parts_of(row.message.text, route)
    if notes != row.changes:
        row.changes = notes
        row.save(update_fields=["changes"])
    if texts != [one.text for one in left]:
        MessagePart.objects.filter(pk__in=[one.pk for one in left]).delete()
        fresh = queueing_messages.store_parts(
            row.message, texts, first=max((one.position for one in kept), default=0) + 1
        )
        parts[:] = [*kept, *fresh]


def _sum(row: Outgoing, parts: list[MessagePart]) -> None:
    """Let the message say what its parts come to by now."""
    if sum_up(row.message, parts):
        update([row.message], SUMMED)


def _release(row: Outgoing, due_at: datetime, reason: str) -> None:
    Outgoing.objects.filter(pk=row.pk, state=Outgoing.State.DUE).update(
        due_at=due_at, reason=reason[:500], held_until=None, holder=""
    )
