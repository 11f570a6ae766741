"""Sending what is due: claim a batch, hand each message to the channel, record what became of it.

What is claimed is stored (followups/claiming.py), so a process may die anywhere here: the attempt's id travels with
every try, and the next process sends the same message again under it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connections
from django.utils import timezone

from common.reasons import Reason
from followups import channel_outcomes, channels, claiming, lead_for_agent
from followups.attempt_outcomes import Done, followups_sent, record
from followups.channels import Channel, Outcome, Outgoing, Result
from followups.claiming import free, holders
from followups.models import Attempt, Enrollment
from leads import optout, silenced_pipelines
from leads.addresses import Kind
from leads.models import Lead

__all__ = ["fire", "followups_sent", "free", "has_work", "holders", "send"]

log = structlog.get_logger(__name__)

# How many are told at once: the receiver's pace, not ours, decides how long a message takes.
THREADS = 16
# A batch begins no message later than this after its claim: what it claimed must not grow old in its hands.
LONGEST_BATCH = timedelta(seconds=5)
# A task that has nothing to do stays when something falls due this soon: asking for another one takes longer.
STAY_FOR = timedelta(seconds=5)
LOOK_AGAIN_SECONDS = 0.2


def fire(
    *,
    holder: str,
    until: datetime,
    progress: Callable[[], object] = lambda: None,
    clock: Callable[[], datetime] = timezone.now,
) -> bool:
    """Send what is due, and what falls due within the next seconds, until the time is up; True when more may be due.

    `holder` names this process; `progress` is called at least every time a receiver may take to answer.
    """
    channel = channels.configured()
    acts_once = channels.acts_once(channel)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="followup") as pool:
        while clock() < until:
            progress()
            again = claiming.claim_retries(holder, clock(), acts_once=acts_once)
            attempts = again or claiming.claim(holder, clock())
            if attempts is not None:
                send(attempts, channel, pool, clock, progress)
            elif claiming.due(clock() + STAY_FOR).exists():
                time.sleep(LOOK_AGAIN_SECONDS)
            else:
                return False
    return True


def has_work(now: datetime) -> bool:
    """Say whether a step, a retry or the end of somebody's patience is due. Two indexed looks."""
    return claiming.due(now).exists() or claiming.retries(now).exists()


def send(
    attempts: Sequence[Attempt],
    channel: Channel,
    pool: ThreadPoolExecutor,
    clock: Callable[[], datetime],
    progress: Callable[[], object] = lambda: None,
) -> None:
    """Hand the attempts to the channel, a few at a time, and record what became of each.

    Before each few it is asked once more who may still be written to: while a slow receiver took its time, a lead may
    have answered or the night begun. What could not be begun in time is given back to be claimed again. What a process
    that slept has held for too long may be in other hands by now, so it is not touched.
    """
    done: list[Done] = []
    now = clock()
    attempts = [attempt for attempt in attempts if attempt.retry_at and attempt.retry_at > now]
    stop_at = now + LONGEST_BATCH
    for start in range(0, len(attempts), THREADS):
        few = attempts[start : start + THREADS]
        progress()
        if clock() > stop_at:
            done += _given_back(attempts[start:], Reason("receiver_takes_its_time"), clock())
            break
        stopped, at = _stopped(few), clock()
        done += [
            Done(attempt, Result(Outcome.DROPPED, stopped[attempt.enrollment_id]), at, begun=False)
            for attempt in few
            if attempt.enrollment_id in stopped
        ]
        waiting = [attempt for attempt in few if attempt.enrollment_id not in stopped]
        hushed = _hushed(waiting, at)
        done += hushed
        waiting = [attempt for attempt in waiting if attempt not in [each.attempt for each in hushed]]
        going = [attempt for attempt in waiting if claiming.is_their_moment(attempt, at)]
        done += _given_back([attempt for attempt in waiting if attempt not in going], "its moment has passed", at)
        roads = channels.road_of({attempt.enrollment.lead.pipeline_id for attempt in going})
        carried = [
            followup for followup in going if not followup.instruction and followup.enrollment.lead.pipeline_id in roads
        ]
        done += _handed_over(carried, roads, at)
        going = [attempt for attempt in going if attempt not in carried]
        results = pool.map(lambda message: _dare(_who_says(channel, message), message, clock), _outgoing(going))
        for attempt, (result, sent_at) in zip(going, results, strict=True):
            road = roads.get(attempt.enrollment.lead.pipeline_id)
            if road and attempt.instruction and result.outcome is Outcome.SENT and result.text:
                # The agent has found the words; they are said where the pipeline's are.
                attempt.text = result.text
                attempt.save(update_fields=["text"])
                done += _handed_over([attempt], roads, sent_at)
            else:
                done.append(Done(attempt, result, sent_at))
    if done:
        record(done, now=clock())


def _who_says(channel: Channel, message: Outgoing) -> Channel:
    """Return who says a message: words are found by the agent alone."""
    if not message.instruction:
        return channel
    return channels.AgentWebhook() if settings.AGENT_WEBHOOK_URL else channels.LogOnly(channels.NO_AGENT)


def _handed_over(attempts: Sequence[Attempt], roads: Mapping[int, channels.Road], at: datetime) -> list[Done]:
    """Give attempts to the pipelines' own channels; return those to which none leads."""
    left: list[Done] = []
    taken: list[UUID] = []
    for attempt in attempts:
        lead = attempt.enrollment.lead
        road = roads[lead.pipeline_id]
        why = road.take(attempt.pk, lead, attempt.text, template_id=attempt.template_id, now=at)
        if why:
            left.append(Done(attempt, Result(Outcome.NOT_DELIVERED, why), at))
        else:
            taken.append(attempt.pk)
    if taken:
        # What has ended meanwhile has said so already.
        channel_outcomes.marked(taken)
    return left


def _hushed(attempts: Sequence[Attempt], at: datetime) -> list[Done]:
    """Return those that are not said because nothing is said to anybody in their pipeline. One query."""
    why = silenced_pipelines.reasons(attempt.enrollment.lead.pipeline_id for attempt in attempts)
    quiet = [attempt for attempt in attempts if attempt.enrollment.lead.pipeline_id in why]
    return [Done(attempt, _kept(attempt, why[attempt.enrollment.lead.pipeline_id]), at) for attempt in quiet]


def _kept(attempt: Attempt, reason: str) -> Result:
    # One that was tried before the silence began may have gone out.
    return Result(Outcome.WOULD_SEND if attempt.tries <= 1 else Outcome.DROPPED, reason)


def _given_back(attempts: Sequence[Attempt], reason: str, at: datetime) -> list[Done]:
    return [Done(attempt, Result(Outcome.RETRY, reason), at, begun=False) for attempt in attempts]


def _stopped(attempts: Sequence[Attempt]) -> dict[int, str]:
    """Return the enrollments of these that have ended since they were claimed, or whose person opted out; with why."""
    ended = Enrollment.objects.filter(pk__in=[attempt.enrollment_id for attempt in attempts])
    ended = ended.exclude(state=Enrollment.State.WAITING)
    opted_out = optout.since(attempt.enrollment.lead for attempt in attempts)
    unwanted = {attempt.enrollment_id: optout.SAID for attempt in attempts if attempt.enrollment.lead_id in opted_out}
    return unwanted | {pk: reason or Reason("sequence_ended") for pk, reason in ended.values_list("pk", "reason")}


def _dare(channel: Channel, message: Outgoing, clock: Callable[[], datetime]) -> tuple[Result, datetime]:
    try:
        result = channel.send(message, now=clock())
    except Exception as error:
        log.exception("channel_failed", attempt=message.attempt_id)
        outcome = Outcome.RETRY if channels.acts_once(channel) else Outcome.UNCONFIRMED
        result = Result(outcome, f"the channel failed: {type(error).__name__}")
    finally:
        # A channel that reads the database does so in this thread, whose connection nobody else would close.
        connections.close_all()
    return result, clock()


def _number_of(lead: Lead) -> str:
    """Return where WhatsApp is to bring it: to the address last written from, or to the phone; empty for neither."""
    last = next(iter(lead.addresses), None)
    return last["value"] if last and last["kind"] == Kind.LID else lead.phone or ""


def _outgoing(attempts: Sequence[Attempt]) -> list[Outgoing]:
    people = lead_for_agent.people([attempt.enrollment.lead for attempt in attempts])
    return [
        Outgoing(
            attempt_id=str(attempt.pk),
            phone=_number_of(attempt.enrollment.lead),
            text="" if attempt.instruction else attempt.text,
            instruction=attempt.instruction,
            template_id=attempt.template_id,
            sequence=attempt.enrollment.sequence.slug,
            step=attempt.step,
            lead=people[attempt.enrollment.lead_id],
        )
        for attempt in attempts
    ]
