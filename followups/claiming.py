"""Taking what is due: lock, ask once more whether this person may be written to, and store the attempt.

A claim locks the enrollment and its lead, so an answer, a handoff or a move is either seen here or waits until the
attempt is stored; and the attempt is stored before anything leaves. Whatever dies after that, the same message goes
out again under the same id, never another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction
from django.db.models import QuerySet, prefetch_related_objects

from common.reasons import Reason, about, pieces, several
from common.statements import Select, insert, update
from followups import (
    channels,
    distance_between_pipelines,
    giving_up,
    next_step,
    schedule,
    sequence_versions,
    stopping,
    texts,
    who_may_be_written_to,
)
from followups.enrollment import SWITCHED_OFF, advance, enroll
from followups.models import Attempt, Enrollment
from followups.sequence_versions import SequencePlan
from followups.worded_anew import speaks_of_today, word_anew
from leads import silenced_pipelines
from leads.models import Event

log = structlog.get_logger(__name__)

BATCH = 100
# Nobody else sends an attempt before then; longer than a whole batch of the slowest answers.
HELD_FOR = timedelta(minutes=4)
# Without a lateness of its own a message is tried this long; then its moment has gone.
TRIED_FOR = timedelta(hours=12)
# A row that cannot even be looked at (a zone that does not exist, say) waits this long and holds nobody else up.
STUMBLED_FOR = timedelta(minutes=15)

TOO_LATE = Reason("too_late")
STEP = {
    Attempt.State.MISSED: "step_missed",
    Attempt.State.SKIPPED: "step_skipped",
    Attempt.State.DROPPED: "step_dropped",
    Attempt.State.UNCONFIRMED: "step_unconfirmed",
}
BEGUN_UNSAID = Reason("began_while_nothing_was_sent")
MAY_HAVE_GONE_OUT = Reason("sender_died")


def due(now: datetime) -> QuerySet[Enrollment]:
    return Enrollment.objects.filter(state=Enrollment.State.WAITING, held=False, next_at__lte=now)


def retries(now: datetime) -> QuerySet[Attempt]:
    return Attempt.objects.filter(state=Attempt.State.SENDING, retry_at__lte=now)


@transaction.atomic
def claim(holder: str, now: datetime, *, limit: int = BATCH) -> list[Attempt] | None:
    """Claim due enrollments; return the attempts to send, None when nothing is due.

    Enrollments that end here, wait for other hours or give up are settled without an attempt.
    """
    rows: list[Enrollment] = _due(limit).all(now=now)
    if not rows:
        return None
    prefetch_related_objects(rows, "lead__objections", "lead__further_addresses")
    batch = _Batch(holder, now, rows)
    for row in rows:
        batch.take(row)
    batch.store()
    return batch.attempts


@cache
def _due(limit: int) -> Select:
    """Asked every second, and nearly always in vain."""
    # Both rows, and neither waited for: a lead in the middle of an interaction is looked at again a second later.
    return Select(
        lambda now: (
            due(now)
            .select_related("lead__pipeline", "lead__stage", "sequence", "version")
            .select_for_update(skip_locked=True, of=("self", "lead"))
            .order_by("next_at")[:limit]
        )
    )


class _Batch:
    """What a claim decided, to be stored in a few statements."""

    def __init__(self, holder: str, now: datetime, rows: Sequence[Enrollment]) -> None:
        self._holder, self._now = holder, now
        self._vetoes = who_may_be_written_to.vetoes([row.lead for row in rows])
        self._begun_unsaid = _begun_unsaid(rows)
        self._near = distance_between_pipelines.of(
            [row.lead for row in rows if row.purpose == who_may_be_written_to.UNANSWERED], now
        )
        self.attempts: list[Attempt] = []
        self._settled: list[Attempt] = []
        self._moved: list[Enrollment] = []
        self._events: list[Event] = []

    def take(self, enrollment: Enrollment) -> None:
        """Decide one enrollment; whatever is wrong with it alone puts off nobody else."""
        before = (enrollment.step, enrollment.anchor_at, enrollment.complete)
        try:
            self._decide(enrollment, sequence_versions.read(enrollment.version))
        except DatabaseError:
            # The transaction is lost, and with it the whole claim.
            raise
        except Exception as error:
            log.exception("followup_not_prepared", enrollment=enrollment.pk)
            enrollment.step, enrollment.anchor_at, enrollment.complete = before
            self._put_off(enrollment, self._now + STUMBLED_FOR, f"it could not be prepared: {error}")

    def _decide(self, enrollment: Enrollment, plan: SequencePlan) -> None:
        now = self._now
        if not enrollment.sequence.is_active and not enrollment.sent_by_hand:
            # Whoever waits keeps their place, and a step that grows stale meanwhile is stale.
            enrollment.held, enrollment.next_reason = True, SWITCHED_OFF
            self._moved.append(enrollment)
        elif reason := self._vetoes.get(enrollment.lead_id) or who_may_be_written_to.why_not(
            enrollment.lead, enrollment.sequence, plan
        ):
            stopping.cancel([enrollment], reason, now=now)
        elif enrollment.meeting_starts_at != (
            enrollment.lead.meeting_starts_at if enrollment.purpose == who_may_be_written_to.MEETING else None
        ):
            stopping.cancel([enrollment], Reason("meeting_moved_meanwhile"), now=now)
            enroll(enrollment.lead, who_may_be_written_to.MEETING, now=now)
        elif enrollment.pk in self._begun_unsaid:
            stopping.cancel([enrollment], BEGUN_UNSAID, now=now)
        elif enrollment.step > len(plan.steps):
            giving_up.give_up(enrollment, plan, now)
        elif enrollment.meeting_starts_at and enrollment.meeting_starts_at <= now:
            self._miss(enrollment, plan, Reason("meeting_had_begun"))
        elif schedule.is_too_late(_due_at_first(enrollment, now), now, next_step.max_lateness(enrollment, plan)):
            self._miss(enrollment, plan, TOO_LATE)
        elif not enrollment.sent_by_hand and (until := self._near.until(enrollment)):
            # Its moment is another one from now on, so the wait is no lateness.
            enrollment.late_so_far = None
            self._put_off(enrollment, until, distance_between_pipelines.REASON)
        elif not enrollment.sent_by_hand and not next_step.hours_allow(enrollment, plan, now):
            self._put_off_to_hours(enrollment, plan)
        elif not enrollment.sent_by_hand and (why := next_step.left_out(enrollment, plan, now)):
            self._settle(enrollment, plan, Attempt.State.SKIPPED, why)
        else:
            self._attempt(enrollment, plan)

    def store(self) -> None:
        Attempt.objects.bulk_create([*self.attempts, *self._settled])
        update(
            self._moved,
            ["step", "anchor_at", "next_at", "next_reason", "late_so_far", "complete", "sent_by_hand", "held"],
        )
        insert(self._events)

    def _put_off_to_hours(self, enrollment: Enrollment, plan: SequencePlan) -> None:
        allowed = next_step.next_allowed(enrollment, plan, self._now)
        if allowed is None:
            stopping.cancel([enrollment], Reason("hours_allow_nothing"), now=self._now)
        elif enrollment.meeting_starts_at and allowed.at >= enrollment.meeting_starts_at:
            self._miss(enrollment, plan, TOO_LATE)
        elif why := next_step.left_out(enrollment, plan, allowed.at, is_moved=True):
            self._settle(enrollment, plan, Attempt.State.SKIPPED, why)
        else:
            # A worker that comes late every day must not put a step off for ever.
            enrollment.late_so_far = self._now - _due_at_first(enrollment, self._now)
            self._put_off(enrollment, allowed.at, several(pieces(allowed.reason)[1:]) or allowed.reason)

    def _put_off(self, enrollment: Enrollment, at: datetime, reason: str) -> None:
        enrollment.next_at, enrollment.next_reason = at, reason[:200]
        self._moved.append(enrollment)

    def _miss(self, enrollment: Enrollment, plan: SequencePlan, reason: str) -> None:
        enrollment.complete = False
        self._settle(enrollment, plan, Attempt.State.MISSED, reason)

    def _settle(self, enrollment: Enrollment, plan: SequencePlan, state: Attempt.State, reason: str) -> None:
        """Leave the step out with its reason on record, and aim at the next."""
        step, due_at = enrollment.step, enrollment.next_at or self._now
        advance(enrollment, plan, self._now)
        self._moved.append(enrollment)
        attempt = Attempt(enrollment=enrollment, step=step, state=state, reason=reason, due_at=due_at)
        attempt.created_at = attempt.ended_at = self._now
        self._settled.append(attempt)
        note = stopping.note(enrollment, about(Reason(STEP[state], number=step), reason), self._now, outcome=str(state))
        note.data["step"] = step
        self._events.append(note)

    def _attempt(self, enrollment: Enrollment, plan: SequencePlan) -> None:
        step = plan.steps[enrollment.step - 1]
        words = step.instruction or step.text
        try:
            text = texts.render(words, texts.facts_of(enrollment.lead, at=self._now))
        except texts.BrokenTextError as error:
            # Checked when it was saved; what breaks on this lead alone must not hold the others.
            stopping.cancel([enrollment], _broken(enrollment.step, error), now=self._now)
            return
        if not text:
            self._settle(enrollment, plan, Attempt.State.SKIPPED, Reason("text_says_nothing"))
            return
        attempt = Attempt(
            enrollment=enrollment,
            step=enrollment.step,
            text="" if step.instruction else text,
            instruction=text if step.instruction else "",
            rendered_at=self._now,
            template_id=step.template_id,
            due_at=enrollment.next_at or self._now,
            created_at=self._now,
            tries=1,
            holder=self._holder,
            retry_at=self._now + HELD_FOR,
            by_hand=enrollment.sent_by_hand,
        )
        # Nothing is due for the lead while its attempt is on its way.
        enrollment.next_at, enrollment.next_reason, enrollment.sent_by_hand = None, "", False
        self.attempts.append(attempt)
        self._moved.append(enrollment)
        self._near.took(enrollment.lead)


def _begun_unsaid(rows: Sequence[Enrollment]) -> set[int]:
    """Return the silences in which messages were only shown or logged, and in which they would leave from now on.

    Their story was told to nobody, and its end must not be the first that a person hears.
    """
    doubtful = [row for row in rows if row.purpose == who_may_be_written_to.UNANSWERED and not row.complete]
    mute = {pk for pk in {row.lead.pipeline_id for row in doubtful} if channels.why_mute(pk)}
    doubtful = [row for row in doubtful if row.lead.pipeline_id not in mute]
    if not doubtful:
        return set()
    quiet = silenced_pipelines.reasons(row.lead.pipeline_id for row in doubtful)
    speaking = [row.pk for row in doubtful if row.lead.pipeline_id not in quiet]
    unsaid = Attempt.objects.filter(enrollment__in=speaking, state__in=Attempt.UNSAID)
    return set(unsaid.values_list("enrollment_id", flat=True))


def _due_at_first(enrollment: Enrollment, now: datetime) -> datetime:
    """Return when the step would have been due, had it slept through none of its hours."""
    return (enrollment.next_at or now) - (enrollment.late_so_far or timedelta(0))


# --- Trying again


@transaction.atomic
def claim_retries(holder: str, now: datetime, *, acts_once: bool, limit: int = BATCH) -> list[Attempt]:
    """Claim attempts to try again: those put off, and those of processes that died. Stale ones are settled.

    `acts_once`: the way they leave by may be given the same message twice. Where it may not, an attempt whose sender
    died is left as it is: perhaps said, and not said again.
    """
    rows: list[Attempt] = _to_retry(limit).all(now=now)
    prefetch_related_objects(rows, "enrollment__lead__objections", "enrollment__lead__further_addresses")
    vetoes = who_may_be_written_to.vetoes([attempt.enrollment.lead for attempt in rows]) if rows else {}
    again = [attempt for attempt in rows if _is_tried_again(attempt, vetoes, now, acts_once=acts_once)]
    for attempt in again:
        attempt.tries += 1
        # Without a reason while it is sending, it may have left.
        attempt.holder, attempt.retry_at, attempt.reason = holder, now + HELD_FOR, ""
    update(again, ["tries", "holder", "retry_at", "reason", "text", "rendered_at"])
    return again


@cache
def _to_retry(limit: int) -> Select:
    return Select(
        lambda now: (
            retries(now)
            .select_related("enrollment__lead__pipeline", "enrollment__lead__stage", "enrollment__sequence")
            .select_related("enrollment__version")
            .select_for_update(skip_locked=True, of=("self", "enrollment", "enrollment__lead"))
            .order_by("retry_at")[:limit]
        )
    )


def _is_tried_again(attempt: Attempt, vetoes: dict[UUID, str], now: datetime, *, acts_once: bool) -> bool:
    """Say whether to send it now; what ends, waits for its hours or is held back is settled here."""
    enrollment, plan = attempt.enrollment, sequence_versions.read(attempt.enrollment.version)
    if enrollment.state != Enrollment.State.WAITING:
        _end(attempt, Attempt.State.DROPPED, enrollment.reason or Reason("sequence_ended"), now)
    elif reason := vetoes.get(enrollment.lead_id) or who_may_be_written_to.why_not(
        enrollment.lead, enrollment.sequence, plan
    ):
        _end(attempt, Attempt.State.DROPPED, reason, now)
        stopping.cancel([enrollment], reason, now=now)
    elif enrollment.held or not (enrollment.sequence.is_active or attempt.by_hand):
        _park(attempt)
    elif attempt.is_in_doubt and not acts_once:
        _leave_out(attempt, plan, Attempt.State.UNCONFIRMED, MAY_HAVE_GONE_OUT, now)
    elif _has_passed(attempt, plan, now):
        _leave_out(attempt, plan, Attempt.State.MISSED, TOO_LATE, now)
    elif not attempt.by_hand and not next_step.hours_allow(enrollment, plan, now):
        _put_off_to_hours(attempt, plan, now)
    elif not attempt.by_hand and (why := next_step.left_out(enrollment, plan, now)):
        _leave_out(attempt, plan, Attempt.State.SKIPPED, why, now)
    else:
        return speaks_of_today(attempt, now) or _is_said_anew(attempt, plan, now)
    return False


def _is_said_anew(attempt: Attempt, plan: SequencePlan, now: datetime) -> bool:
    try:
        word_anew(attempt, plan, now)
    except texts.BrokenTextError as error:
        _leave_out(attempt, plan, Attempt.State.MISSED, _broken(attempt.step, error), now)
        return False
    return True


def is_their_moment(attempt: Attempt, now: datetime) -> bool:
    """Say whether the day, the hours and the meeting it reminds of still allow what was claimed a moment ago."""
    enrollment, plan = attempt.enrollment, sequence_versions.read(attempt.enrollment.version)
    if enrollment.meeting_starts_at and enrollment.meeting_starts_at <= now:
        return False
    if not speaks_of_today(attempt, now):
        return False
    return attempt.by_hand or next_step.hours_allow(enrollment, plan, now)


def _has_passed(attempt: Attempt, plan: SequencePlan, now: datetime) -> bool:
    enrollment = attempt.enrollment
    if enrollment.meeting_starts_at and enrollment.meeting_starts_at <= now:
        return True
    return schedule.is_too_late(attempt.due_at, now, next_step.max_lateness(enrollment, plan) or TRIED_FOR)


def _park(attempt: Attempt) -> None:
    """Keep it back until staff let it go on (see staff.let_go_on), or switch its sequence on again."""
    enrollment = attempt.enrollment
    if not enrollment.held:
        enrollment.held, enrollment.next_reason = True, SWITCHED_OFF
        enrollment.save(update_fields=["held", "next_reason"])
    attempt.holder, attempt.retry_at = "", None
    attempt.save(update_fields=["holder", "retry_at"])


def _put_off_to_hours(attempt: Attempt, plan: SequencePlan, now: datetime) -> None:
    """Try again when messages may go out; the hours it sleeps are no lateness."""
    allowed = next_step.next_allowed(attempt.enrollment, plan, now)
    meeting = attempt.enrollment.meeting_starts_at
    if allowed is None or (meeting and allowed.at >= meeting):
        _leave_out(attempt, plan, Attempt.State.MISSED, TOO_LATE, now)
        return
    attempt.holder, attempt.retry_at, attempt.due_at = "", allowed.at, attempt.due_at + (allowed.at - now)
    attempt.save(update_fields=["holder", "retry_at", "due_at"])


def _leave_out(attempt: Attempt, plan: SequencePlan, state: Attempt.State, reason: str, now: datetime) -> None:
    """End an attempt that reached nobody for sure, and aim at the step after it."""
    _end(attempt, state, reason, now)
    enrollment = attempt.enrollment
    enrollment.complete = False
    advance(enrollment, plan, now)
    enrollment.save()


def _broken(step: int, error: texts.BrokenTextError) -> Reason:
    return about(Reason("text_broken", number=step), str(error))


def _end(attempt: Attempt, state: Attempt.State, reason: str, now: datetime) -> None:
    attempt.end(state, reason, now=now)
    attempt.save(update_fields=Attempt.ENDING)
    words = about(Reason(STEP[state], number=attempt.step), reason)
    Event.objects.bulk_create([stopping.note(attempt.enrollment, words, now, outcome=str(state))])


# --- Processes that died


def free(holders: Sequence[str], *, now: datetime) -> int:
    """Let others send at once what processes that died were sending."""
    return Attempt.objects.filter(state=Attempt.State.SENDING, holder__in=holders).update(holder="", retry_at=now)


def holders() -> list[str]:
    """Return the processes that are sending, or died while they were."""
    sending = Attempt.objects.filter(state=Attempt.State.SENDING).exclude(holder="")
    return list(sending.values_list("holder", flat=True).distinct())
