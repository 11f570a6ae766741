"""What came of a part, and what follows: the next one, another try, another way, or the end."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bridge import logs
from bridge.cards import backoff
from bridge.channels import cutting_texts, managing_channels, message_outcomes, queueing_messages
from bridge.channels.leaving_part import P, Task, in_full
from bridge.channels.part_values import Outcome, Sent
from bridge.channels.queueing_messages import Route
from bridge.models import Channel, Outgoing
from common.reasons import Reason, several
from common.statements import update
from leads.may_speak import ERASED
from leads.message_parts import ORDER, SUMMED, sum_up
from leads.models import Lead, MessagePart

# So often a part is tried by one way while there is another, and for so long where there is none.
TRIES_WITH_ANOTHER, TRIED_FOR = 3, timedelta(minutes=30)
SLOWEST_RETRY = timedelta(minutes=2)
PROOF = Reason("waits_for_proof")


def note(task: Task, sent: Sent, at: datetime) -> None:
    """Store what became of a part, and what follows: the next one, another try, another way, or the end."""
    with transaction.atomic():
        Lead.objects.select_for_update(no_key=True).filter(pk=task.outgoing.lead_id).first()
        # Then the parts, and what is on its way last: the order of whoever hears of them.
        parts = list(MessagePart.objects.select_for_update().filter(message=task.outgoing.pk).order_by("position"))
        row = in_full(Outgoing.objects.select_for_update(of=("self",)).filter(pk=task.outgoing.pk)).first()
        if row is None or row.state != Outgoing.State.DUE:
            return
        part = next((candidate for candidate in parts if candidate.pk == task.part.pk), None)
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
        part.state, part.reason = P.UNCONFIRMED, Reason("unconfirmed", why=sent.reason)[:500]
        part.save()
        message_outcomes.end(row, parts, at)
    elif sent.outcome in (Outcome.NOTHING, Outcome.DECLINED):
        part.state, part.reason = P.NOT_DELIVERED, sent.reason[:500]
        part.save()
        message_outcomes.end(row, parts, at, outcome=sent.outcome)
    else:
        after_failure(row, parts, part, sent.reason, at, gone=sent.gone)


def _note_look(
    task: Task, row: Outgoing, parts: list[MessagePart], part: MessagePart, sent: Sent, at: datetime
) -> None:
    if part.state == P.DELIVERED or sent.outcome is Outcome.DELIVERED:
        part.state, part.delivered_at, part.reason = P.DELIVERED, part.delivered_at or at, ""
        part.save(update_fields=["state", "delivered_at", "reason"])
        _handed_over(task, row, parts, part, at)
    elif sent.outcome is Outcome.UNCONFIRMED:
        part.state, part.reason = P.UNCONFIRMED, Reason("unconfirmed", why=sent.reason)[:500]
        part.save(update_fields=["state", "reason"])
        message_outcomes.end(row, parts, at)
    else:
        _note_channel(task.route.channel, sent, at)
        after_failure(row, parts, part, sent.reason, at)


def _note_channel(channel: Channel, sent: Sent, at: datetime) -> None:
    rows = Channel.objects.filter(pk=channel.pk)
    if sent.outcome in (Outcome.SENT, Outcome.DELIVERED):
        rows.update(sent_at=at, rests_until=None)
    elif sent.outcome in (Outcome.RETRY, Outcome.FAILED, Outcome.UNCONFIRMED) and sent.gone is None:
        rests = {"rests_until": at + sent.rests} if sent.rests else {}
        # It is told of the way as such, also to whom it does not concern: whose message it was says the message.
        tidied = logs.tidy(sent.reason)
        failure = sent.reason if tidied == sent.reason else tidied
        rows.update(failed_at=at, failure=failure[:500], **rests)


def _handed_over(task: Task, row: Outgoing, parts: list[MessagePart], part: MessagePart, at: datetime) -> None:
    """Go on after a part that has left: wait for its proof, type the next one, or end."""
    way = task.route.way
    left = [other for other in parts if other.state == P.QUEUED]
    if way.proves and part.state == P.SENT:
        row.proof_until = at + way.proves
        row.save(update_fields=["tries", "proof_until"])
        release(row, row.proof_until, PROOF)
    elif left:
        types = row.lead.pipeline.typing_pauses
        pause = timedelta(seconds=cutting_texts.pause(left[0].text)) if types else timedelta(0)
        row.proof_until = None
        row.save(update_fields=["tries", "proof_until"])
        release(row, at + pause, "")
    else:
        row.proof_until = None
        row.save(update_fields=["tries", "proof_until"])
        message_outcomes.end(row, parts, at)
        return
    sum_parts(row, parts)


def _again(row: Outgoing, parts: list[MessagePart], part: MessagePart, sent: Sent, at: datetime) -> None:
    part.state = P.QUEUED
    part.save(update_fields=["state"])
    others = _others(row, at)
    if row.tries >= TRIES_WITH_ANOTHER and others:
        after_failure(row, parts, part, sent.reason, at)
        return
    asked = timedelta(seconds=min(sent.retry_after_seconds or 0, 3600))
    pause = backoff.delay(max(row.tries, 1), jitter=random.random(), retry_after=asked, cap=SLOWEST_RETRY)
    if at + pause - row.created_at > TRIED_FOR:
        after_failure(row, parts, part, sent.reason, at)
        return
    row.save(update_fields=["tries"])
    release(row, at + pause, sent.reason)


def _others(row: Outgoing, now: datetime) -> list[Route]:
    """Return the ways that have not been tried and lead to the person, in their order."""
    if row.is_fixed:
        return []
    card = getattr(row.lead, "card", None)
    tried = {attempt["channel"] for attempt in row.tried} | {row.channel.slug if row.channel else ""}
    chain = [
        channel
        for channel in managing_channels.chain(row.lead.pipeline)
        if channel.slug not in tried and channel.kind != Channel.Kind.LOG
    ]
    return queueing_messages.routes(row.lead, card, chain, template_id=row.template_id, now=now)[0]


def after_failure(
    row: Outgoing, parts: list[MessagePart], part: MessagePart, reason: str, now: datetime, *, gone: Any = None
) -> Task | None:
    """Let the next way try what this one could not, or end."""
    left = "\n".join(other.text for other in parts if other is part or other.state == P.QUEUED)
    others = [channel for channel in _others(row, now) if queueing_messages.says_something(channel, left)]
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
    sum_parts(row, parts)
    message_outcomes.tell_staff(
        row,
        several([Reason("could_not", a=slug or "?", why=reason), Reason("tried_by", a=chosen.channel.slug)]),
        now,
    )
    release(row, now, "")
    return None


def _recut(row: Outgoing, parts: list[MessagePart], route: Route) -> None:
    """Cut what has not left as the new way takes it; where nothing has, all of it as it was written."""
    left = [part for part in parts if part.state == P.QUEUED]
    kept = [part for part in parts if part.state != P.QUEUED]
    if kept:
        cut = [queueing_messages.parts_of(part.text, route) for part in left]
        texts = [text for some, _ in cut for text in some if text.strip()]
        notes = list(dict.fromkeys([*row.changes, *(note for _, some in cut for note in some)]))
    else:
        texts, notes = queueing_messages.parts_of(row.message.text, route)
    if notes != row.changes:
        row.changes = notes
        row.save(update_fields=["changes"])
    if texts != [part.text for part in left]:
        MessagePart.objects.filter(pk__in=[part.pk for part in left]).delete()
        fresh = queueing_messages.store_parts(
            row.message, texts, first=max((part.position for part in kept), default=0) + 1
        )
        parts[:] = [*kept, *fresh]


def sum_parts(row: Outgoing, parts: list[MessagePart]) -> None:
    """Let the message say what its parts come to by now."""
    if sum_up(row.message, parts):
        update([row.message], SUMMED)


def release(row: Outgoing, due_at: datetime, reason: str) -> None:
    Outgoing.objects.filter(pk=row.pk, state=Outgoing.State.DUE).update(
        due_at=due_at, reason=reason[:500], held_until=None, holder=""
    )
