"""What staff do by hand with follow-ups that wait: send now, hold, let go on, skip, cancel. Each is on the timeline.

A message that is on its way (claimed, or put off because the receiver did not take it) is the step's attempt; it may be
hurried, held back or left out too, unless a process is at it this very moment.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from common.reasons import Reason, about
from followups import sequence_versions, stopping
from followups.enrollment import advance
from followups.models import Attempt, Enrollment
from leads.models import Event, Lead


def _waiting(enrollment: Enrollment) -> Enrollment | None:
    """Return the row under the locks of its lead and its own; None when nothing waits in it any more."""
    Lead.objects.select_for_update().filter(pk=enrollment.lead_id).first()
    rows = Enrollment.objects.select_related("lead__pipeline", "lead__stage", "sequence", "version")
    return rows.select_for_update(of=("self",)).filter(pk=enrollment.pk, state=Enrollment.State.WAITING).first()


def _put_off(row: Enrollment) -> Attempt | None:
    """Return the step's attempt that waits for another try, locked; None when there is none or a process is at it."""
    rows = row.attempts.select_for_update().filter(step=row.step, state=Attempt.State.SENDING, holder="")
    return rows.first()


DONE_BY = {"sent now": "sent_now_by", "held": "held_by", "let go on": "let_go_on_by", "skipped": "skipped_by"}


def _tell(enrollment: Enrollment, what: str, who: str, now: datetime) -> None:
    line = about(str(enrollment.sequence), Reason(DONE_BY[what], what=who))
    Event.objects.bulk_create([stopping.note(enrollment, line, now, actor=Lead.Actor.STAFF, outcome=what)])


@transaction.atomic
def send_now(enrollment: Enrollment, *, who: str, now: datetime) -> bool:
    """Make the next step due at once, whatever the hours; False when no step waits."""
    row = _waiting(enrollment)
    if row is None or row.step > len(sequence_versions.read(row.version).steps):
        return False
    row.held = False
    if row.next_at is not None:
        row.next_at, row.next_reason, row.sent_by_hand = now, Reason("sent_now_by", what=who), True
        row.late_so_far = None
    elif attempt := _put_off(row):
        attempt.retry_at, attempt.due_at, attempt.by_hand = now, now, True
        attempt.save(update_fields=["retry_at", "due_at", "by_hand"])
    else:
        return False
    row.save(update_fields=["next_at", "next_reason", "late_so_far", "sent_by_hand", "held"])
    _tell(row, "sent now", who, now)
    return True


@transaction.atomic
def hold(enrollment: Enrollment, *, who: str, now: datetime) -> bool:
    """Keep everything of this enrollment back until it is let go on; False when nothing waits."""
    row = _waiting(enrollment)
    if row is None or row.held:
        return False
    row.held = True
    row.save(update_fields=["held"])
    _tell(row, "held", who, now)
    return True


def holding(enrollment: Enrollment) -> Event | None:
    """Return the line of the timeline that says who has held this enrollment, and when."""
    hold_events = Event.objects.filter(lead=enrollment.lead_id, kind=Event.Kind.FOLLOW_UP, data__outcome="held")
    return hold_events.filter(data__sequence=enrollment.sequence.slug).order_by("-at", "-pk").first()


@transaction.atomic
def let_go_on(enrollment: Enrollment, *, who: str, now: datetime) -> bool:
    """Take the enrollment up where it was held: a step whose moment passed meanwhile counts from now."""
    row = _waiting(enrollment)
    if row is None or not row.held:
        return False
    row.held = False
    if row.next_at is not None and row.next_at < now:
        row.next_at, row.next_reason = now, Reason("let_go_on_by", what=who)
        row.late_so_far = None
    row.save(update_fields=["held", "next_at", "next_reason", "late_so_far"])
    if attempt := _put_off(row):
        attempt.retry_at, attempt.due_at = now, now
        attempt.save(update_fields=["retry_at", "due_at"])
    _tell(row, "let go on", who, now)
    return True


@transaction.atomic
def skip(enrollment: Enrollment, *, who: str, now: datetime) -> bool:
    """Leave the next step out and aim at the one after it; False when no step waits."""
    row = _waiting(enrollment)
    plan = sequence_versions.read(row.version) if row else None
    if row is None or plan is None or row.step > len(plan.steps):
        return False
    if row.next_at is not None:
        attempt = Attempt(enrollment=row, step=row.step, due_at=row.next_at, created_at=now)
    elif found := _put_off(row):
        attempt = found
    else:
        return False
    attempt.end(Attempt.State.SKIPPED, Reason("skipped_by", what=who), now=now)
    attempt.save()
    _tell(row, "skipped", who, now)
    advance(row, plan, now)
    row.save()
    return True


@transaction.atomic
def cancel(enrollment: Enrollment, *, who: str, now: datetime) -> bool:
    """End the enrollment; False when it has ended. The lead is taken in again once they have written."""
    row = _waiting(enrollment)
    if row is None:
        return False
    stopping.cancel([row], Reason("cancelled_by", what=who), now=now, by=Lead.Actor.STAFF)
    return True
