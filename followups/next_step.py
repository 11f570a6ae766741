"""When is an enrollment's next step due, may it go out now, and what is left out?"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from followups import schedule, time_zone_of_lead
from followups.giving_up import due_of_giving_up
from followups.models import Enrollment, Sequence
from followups.schedule import Due, Hours
from followups.sequence_versions import SequencePlan
from leads.models import Lead, Pipeline

MEETING = Sequence.StartsOn.MEETING_SCHEDULED
# A step that missed its moment by more is stale: a “shall we go on?” must not arrive out of the blue.
USUAL_MAX_LATENESS = timedelta(hours=12)


def aim(enrollment: Enrollment, due: Due | None) -> None:
    """Set when something is due next; the caller saves."""
    enrollment.next_at = due.at if due else None
    enrollment.next_reason = due.reason[:200] if due else ""
    enrollment.late_so_far = None


def due_of(enrollment: Enrollment, plan: SequencePlan) -> Due | None:
    """Return when the enrollment's next step is due, or when it is given up; None when nothing comes any more."""
    if enrollment.step > len(plan.steps):
        return due_of_giving_up(enrollment, plan)
    step = plan.steps[enrollment.step - 1]
    hours, zone = _hours_of_step(enrollment, plan), zone_of(enrollment.lead)
    if step.before is not None:
        assert enrollment.meeting_starts_at is not None
        return schedule.before(enrollment.meeting_starts_at, step.before, hours, zone)
    assert step.delay is not None
    return schedule.after(enrollment.anchor_at, step.delay, hours, zone)


def skip_left_out(enrollment: Enrollment, plan: SequencePlan, now: datetime) -> None:
    """Step over what is not to come: reminders whose time has gone by, and what the hours move too far."""
    while enrollment.step <= len(plan.steps):
        due = due_of(enrollment, plan)
        if due is None:
            is_left_out = enrollment.purpose == MEETING
        else:
            has_passed = enrollment.purpose == MEETING and due.at < now
            is_moved = due.at != _meant(enrollment, plan)
            is_left_out = has_passed or bool(left_out(enrollment, plan, due.at, is_moved=is_moved))
        if not is_left_out:
            return
        enrollment.step += 1


def left_out(enrollment: Enrollment, plan: SequencePlan, at: datetime, *, is_moved: bool = False) -> str | None:
    """Return why the next step is left out instead of going out at this moment; None when it may.

    is_moved: the hours have moved it there.
    """
    step = plan.steps[enrollment.step - 1]
    return schedule.left_out(
        _meant(enrollment, plan),
        at,
        is_moved=is_moved,
        only_on_time=step.only_on_time,
        zone=clock_of(enrollment.lead).key,
        covered_at=enrollment.last_sent_at if step.before is not None else None,
        apart=plan.apart(enrollment.step),
    )


def _meant(enrollment: Enrollment, plan: SequencePlan) -> datetime:
    """Return when the next step would be due at any hour."""
    step = plan.steps[enrollment.step - 1]
    if step.before is not None:
        assert enrollment.meeting_starts_at is not None
        return enrollment.meeting_starts_at - step.before
    return enrollment.anchor_at + (step.delay or timedelta(0))


def max_lateness(enrollment: Enrollment, plan: SequencePlan) -> timedelta | None:
    """Return how late the next step may still go out; a reminder until its meeting begins; giving up at any time."""
    if enrollment.step > len(plan.steps):
        return None
    step = plan.steps[enrollment.step - 1]
    if step.max_lateness is not None:
        return step.max_lateness
    return step.before if step.before is not None else USUAL_MAX_LATENESS


def hours_of(pipeline: Pipeline) -> Hours:
    return Hours(
        quiet_from=pipeline.quiet_from,
        quiet_to=pipeline.quiet_to,
        weekdays=frozenset(pipeline.sending_weekdays),
        country=pipeline.holidays_country,
        subdivision=pipeline.holidays_subdivision,
    )


def _hours_of_step(enrollment: Enrollment, plan: SequencePlan) -> Hours:
    step = plan.steps[enrollment.step - 1]
    return hours_of(enrollment.lead.pipeline).for_step(step.weekdays, is_reminder=step.before is not None)


def hours_allow(enrollment: Enrollment, plan: SequencePlan, now: datetime) -> bool:
    """Say whether the next step may go out now: hours may have changed, and a late worker may stand in the night."""
    return schedule.is_allowed(now, _hours_of_step(enrollment, plan), zone_of(enrollment.lead))


def next_allowed(enrollment: Enrollment, plan: SequencePlan, now: datetime) -> Due | None:
    """Return the first moment from now on in which the next step may go out."""
    return schedule.after(now, timedelta(0), _hours_of_step(enrollment, plan), zone_of(enrollment.lead))


def zone_of(lead: Lead) -> str:
    """Return where the lead lives, as far as can be guessed: whose night is kept."""
    return time_zone_of_lead.zone_of(lead.phone, lead.custom.get("time_zone"), lead.pipeline.time_zone)


def clock_of(lead: Lead) -> ZoneInfo:
    """Return the clock by which times are told to the lead: the one they stated, else the pipeline's, never a guess."""
    return ZoneInfo(time_zone_of_lead.zone_of(None, lead.custom.get("time_zone"), lead.pipeline.time_zone))
