"""Reading what the ways in have stored: each call is parsed by its source, and what it tells is acted on once.

Calls come twice, late and in any order. What is told of a message counts by the message's id, so repeating it changes
nothing; within a round a person's messages are taken in the order in which they were written. One call that cannot be
read costs no other.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog
from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from bridge import heartbeat, metrics
from bridge.accounts.work_leases import alone
from bridge.intakes import bookings, erased_from_calls, inbox, person_of_call, source_kinds
from bridge.intakes.source_news import Booking, Ignored, Message, Status, Told, UnreadableError
from bridge.models import Intake, IntakeCall, IntakeItem
from leads import address_owners, erasure, message_parts, same_message
from leads.addresses import Address
from leads.erasure import ForgottenError
from leads.interaction_values import Direction, Interaction
from leads.interaction_values import Message as Said
from leads.interactions import record_all
from leads.messages_without_words import shown
from leads.models import Lead, Pipeline

log = structlog.get_logger(__name__)

LONGEST_RUN = timedelta(seconds=20)
# A status may come before the message it is about: it is looked at again so often, for so long.
STATUS_WAITS, STATUS_LOOKED_AT_EVERY = timedelta(minutes=1), timedelta(seconds=5)
FAILED_WAITS = timedelta(seconds=30)
# Messages of one transaction: a call may tell of thousands of people, and whoever dies goes on behind what is kept.
MOST_AT_ONCE = 200
NO_PIPELINE = "there is no pipeline: choose one for this way in"
NO_ADDRESS = "it names nobody who could be found or written to"

Result = IntakeItem.Result


@dataclass
class Heard:
    """One thing a call told, and what became of it."""

    call: IntakeCall
    news: Told
    place: int
    lead: Lead | None = None
    result: str = ""
    reason: str = ""
    pipeline: Pipeline | None = None
    addresses: tuple[Address, ...] = ()

    def becomes(self, result: Result, reason: str = "", lead: Lead | None = None) -> None:
        self.result, self.reason, self.lead = result, reason, lead or self.lead


@dataclass
class Round:
    """Calls that are read together. `waiting`: those that are to be looked at again, and why."""

    calls: Sequence[IntakeCall]
    now: datetime
    heard: list[Heard] = field(default_factory=list)
    waiting: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


def read_all() -> bool:
    """Read what has been received; True when more is waiting."""
    started = timezone.now()
    with alone("intakes", now=started, longest=LONGEST_RUN + timedelta(seconds=30)) as mine:
        while mine and timezone.now() - started < LONGEST_RUN:
            heartbeat.progress()
            calls = inbox.take(timezone.now())
            if not calls:
                return False
            _process_safely(calls)
    return mine


def _process_safely(calls: Sequence[IntakeCall]) -> None:
    """Process calls together; where that fails, each by itself, so that the one that is to blame is alone with it."""
    try:
        process(calls)
    except InterfaceError:
        raise
    except Exception as error:
        if len(calls) > 1:
            for call in calls:
                _process_safely([call])
            return
        failure = f"{type(error).__name__}: {error}"
        log.warning("intake_call_failed", call=calls[0].pk, error=type(error).__name__)
        with suppress(DatabaseError):
            # It stays, with the attempt that was counted, and is tried again.
            due_at = timezone.now() + FAILED_WAITS
            IntakeCall.objects.filter(pk=calls[0].pk).update(error=failure.replace("\0", "")[:1000], due_at=due_at)


def process(calls: Sequence[IntakeCall]) -> None:
    """Act on calls. The number of statements grows with how often one person speaks, and not with the messages."""
    current = Round(calls, timezone.now())
    for call in calls:
        _read(current, call)
    _take_messages(current)
    _take_statuses(current)
    _take_bookings(current)
    for heard in current.heard:
        if isinstance(heard.news, Ignored):
            heard.becomes(Result.IGNORED, heard.news.reason)
    _settle(current)


def _read(current: Round, call: IntakeCall) -> None:
    try:
        news = source_kinds.read(call.intake.kind, orjson.loads(bytes(call.body)))
    except orjson.JSONDecodeError:
        current.failed[call.pk] = "the body is no JSON"
    except UnreadableError as error:
        current.failed[call.pk] = str(error)
    else:
        current.heard += (Heard(call, piece, place) for place, piece in enumerate(news))


# --- Messages


def _take_messages(current: Round) -> None:
    spoken = [heard for heard in current.heard if isinstance(heard.news, Message)]
    intakes = {heard.call.intake_id: heard.call.intake for heard in spoken}
    by_intake = {pk: person_of_call.pipeline_of(intake) for pk, intake in intakes.items()}
    for heard in spoken:
        heard.pipeline = by_intake[heard.call.intake_id]
        assert isinstance(heard.news, Message)
        if heard.pipeline is None:
            heard.becomes(Result.NOT_FOUND, NO_PIPELINE)
        else:
            heard.addresses = person_of_call.addresses_of(heard.news.addresses, heard.pipeline)
            if not heard.addresses:
                heard.becomes(Result.NOT_FOUND, NO_ADDRESS)
    _believe(spoken)
    ready = sorted((heard for heard in spoken if heard.addresses), key=lambda heard: _written_at(heard, current.now))
    # Each round by itself: a call that tells a thousand things of one person would hold the database all the while, and
    # whoever dies in the middle of it finds the first ones known.
    for some in _rounds(ready):
        heartbeat.progress()
        for pipeline in {heard.pipeline.pk: heard.pipeline for heard in some if heard.pipeline}.values():
            _record([heard for heard in some if heard.pipeline == pipeline], pipeline, current.now)


def _believe(spoken: Sequence[Heard]) -> None:
    """Add what people say of themselves where it is nobody else's.

    Whoever types somebody's number into a website's form would otherwise speak as that person, and be written to in
    their place. Two queries, none where nobody claims anything.
    """
    claiming = [
        (heard, person_of_call.addresses_of(heard.news.claimed, heard.pipeline))
        for heard in spoken
        if isinstance(heard.news, Message) and heard.news.claimed and heard.addresses and heard.pipeline
    ]
    if not claiming:
        return
    leads = address_owners.leads_with(
        {address.key for heard, claimed in claiming for address in (*heard.addresses, *claimed)}
    )
    whose: dict[str, set[Any]] = {key: set(found) for key, found in leads.items()}
    for heard, claimed in claiming:
        # Who is nobody's lead yet is known by what is proven of them, and so to the next message of this round.
        own = {address.key for address in heard.addresses}
        own_leads = {pk for key in own for pk in leads.get(key, ())}
        free = [address for address in claimed if whose.get(address.key, set()) <= own | own_leads]
        for address in free:
            whose.setdefault(address.key, set()).update(own)
        heard.addresses = (*heard.addresses, *free)


def _rounds(heard_in_order: Iterable[Heard]) -> Iterator[list[Heard]]:
    """Split what was heard so that in each part every person comes once, and few; the order of each person's stays."""
    rounds: list[list[Heard]] = []
    # The round in which somebody came last: what comes after it goes into a later one.
    last: dict[tuple[int | None, str], int] = {}
    for heard in heard_in_order:
        who = [(heard.pipeline.pk if heard.pipeline else None, address.key) for address in heard.addresses]
        number = max((last.get(each, -1) for each in who), default=-1) + 1
        last.update(dict.fromkeys(who, number))
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(heard)
    for some in rounds:
        for start in range(0, len(some), MOST_AT_ONCE):
            yield some[start : start + MOST_AT_ONCE]


def _record(some: Sequence[Heard], pipeline: Pipeline, now: datetime) -> None:
    interactions = [_interaction(heard, now) for heard in some]
    try:
        with transaction.atomic():
            recorded = record_all(interactions, pipeline=pipeline, now=now)
    except ForgottenError:
        if len(some) == 1:
            some[0].becomes(Result.FORGOTTEN)
            return
        for heard in some:
            _record([heard], pipeline, now)
        return
    for heard, result in zip(some, recorded, strict=True):
        known = result.interaction.is_told_before
        heard.becomes(Result.KNOWN if known else Result.TAKEN, lead=result.lead)


def _interaction(heard: Heard, now: datetime) -> Interaction:
    news, pipeline = heard.news, heard.pipeline
    assert isinstance(news, Message) and pipeline is not None
    at = _written_at(heard, now)
    hints = {"name": news.name, "email": news.email} if news.direction == "inbound" else {}
    return Interaction(
        phone=None,
        addresses=heard.addresses,
        occurred_at=at,
        hints={key: value for key, value in hints.items() if value},
        message=Said(
            direction=Direction(news.direction),
            id=news.id or _own_name(heard, at),
            sent_at=at,
            text=news.text if news.text.strip() else shown(news.kind, pipeline.locale),
            other_id=news.other_id,
            author=news.author,
            kind=news.kind,
            attachments=tuple(file.as_json() for file in news.attachments),
        ),
        via=heard.call.intake.slug,
        # Several of one call keep their order.
        heard_at=heard.call.received_at + timedelta(microseconds=heard.place),
    )


def _written_at(heard: Heard, now: datetime) -> datetime:
    """Return when a message was written; where nobody says it, when it came. Nobody has written in the future."""
    assert isinstance(heard.news, Message)
    return min(heard.news.at or heard.call.received_at, now)


def _own_name(heard: Heard, at: datetime) -> str:
    """Return by what a message that has no id is known when its call is read again."""
    news = heard.news
    assert isinstance(news, Message)
    parts = (heard.call.intake_id, at.isoformat(), news.direction, news.addresses, news.text, heard.place)
    return f"~{hashlib.sha256(repr(parts).encode()).hexdigest()[:40]}"


# --- Everything else


def _take_statuses(current: Round) -> None:
    statuses = [(piece, piece.news) for piece in current.heard if isinstance(piece.news, Status)]
    news = [
        message_parts.News(status.ids, status.state, status.at or heard.call.received_at, status.is_read, status.reason)
        for heard, status in statuses
    ]
    for (heard, _), known in zip(statuses, same_message.note_news(news), strict=True):
        if known:
            heard.becomes(Result.TAKEN)
        elif heard.call.received_at > current.now - STATUS_WAITS:
            current.waiting[heard.call.pk] = "the message it is about is not known yet"
        elif erasure.are_forgotten(heard.news.ids if isinstance(heard.news, Status) else ()):
            heard.becomes(Result.FORGOTTEN)
        else:
            heard.becomes(Result.NOT_FOUND, "no message of ours has this id")


def _take_bookings(current: Round) -> None:
    """Act on what became of meetings, in the order in which it came to be."""
    booked = [(piece, piece.news) for piece in current.heard if isinstance(piece.news, Booking)]
    for heard, booking in sorted(booked, key=lambda pair: pair[1].at or pair[0].call.received_at):
        try:
            result, reason, lead = bookings.take(
                booking, heard.call.intake, received_at=heard.call.received_at, now=current.now
            )
        except bookings.NotYetError as error:
            current.waiting[heard.call.pk] = str(error)
        else:
            heard.becomes(result, reason, lead)


def _settle(current: Round) -> None:
    """Write down what became of each call, and of each thing it told."""
    now = timezone.now()
    done: list[int] = []
    failed: list[int] = []
    inbox.wait(
        [candidate for candidate in current.calls if candidate.pk in current.waiting],
        next(iter(current.waiting.values()), ""),
        until=now + STATUS_LOOKED_AT_EVERY,
    )
    for call in current.calls:
        if call.pk in current.waiting:
            continue
        call.processed_at, call.error = now, current.failed.get(call.pk, "")
        call.state = IntakeCall.State.FAILED if call.pk in current.failed else IntakeCall.State.PROCESSED
        (failed if call.error else done).append(call.pk)
    settled = [heard for heard in current.heard if heard.call.pk not in current.waiting]
    forgotten = _let_go(current, settled)
    with transaction.atomic():
        IntakeItem.objects.filter(call__in=[*done, *failed]).delete()
        IntakeItem.objects.bulk_create(map(_item, settled), batch_size=500)
        IntakeCall.objects.filter(pk__in=done).update(
            state=IntakeCall.State.PROCESSED, error="", processed_at=now, attempts=0
        )
        for reason in set(current.failed.values()):
            of_it = [pk for pk in failed if current.failed[pk] == reason]
            IntakeCall.objects.filter(pk__in=of_it).update(
                state=IntakeCall.State.FAILED, error=reason[:1000], processed_at=now
            )
        if forgotten:
            IntakeCall.objects.filter(pk__in=forgotten).update(body=b"")
        _note_heard(current.calls)
    for result, number in Counter(heard.result for heard in settled).items():
        metrics.count("bridge_intakes", result, by=number)


def _let_go(current: Round, settled: Sequence[Heard]) -> set[int]:
    """Return the calls of which nothing is kept, because they are about a person who was erased.

    What is about no lead is looked through for their addresses: a receipt, or a booking undone, has the number in it.
    """
    unknown = [heard for heard in settled if not _is_known(heard)]
    # One call may tell of many: a receipt of somebody's stands beside a message of somebody else's.
    known = {heard.call.pk for heard in settled} - {heard.call.pk for heard in unknown}
    others = [call for call in current.calls if call.pk not in known and call.pk not in current.waiting]
    regions = {call.intake_id: call.intake for call in others}
    found = {pk: person_of_call.pipeline_of(intake) for pk, intake in regions.items()}
    bodies = {
        call.pk: (bytes(call.body), pipeline.phone_region if (pipeline := found[call.intake_id]) else "")
        for call in others
    }
    named = erased_from_calls.naming_erased(bodies)
    for heard in unknown:
        if heard.call.pk in named:
            heard.becomes(Result.FORGOTTEN)
    return named | {heard.call.pk for heard in settled if heard.result == Result.FORGOTTEN}


def _is_known(heard: Heard) -> bool:
    """Say whether it is about somebody of ours, of whom we keep what is told."""
    return bool(heard.lead) or (isinstance(heard.news, Status) and heard.result == Result.TAKEN)


def _item(heard: Heard) -> IntakeItem:
    news = heard.news
    what = news.what if isinstance(news, Ignored) else type(news).__name__.lower()
    lead_id = heard.lead.pk if heard.lead else None
    return IntakeItem(
        call_id=heard.call.pk, what=what[:60], lead_id=lead_id, result=heard.result, reason=heard.reason[:300]
    )


def _note_heard(calls: Iterable[IntakeCall]) -> None:
    newest: dict[int, datetime] = {}
    for call in calls:
        newest[call.intake_id] = max(call.received_at, newest.get(call.intake_id, call.received_at))
    for pk, at in newest.items():
        Intake.objects.filter(pk=pk).update(heard_at=at)
