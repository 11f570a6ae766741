"""What goes out next to a lead, why and when: the story of one enrollment, told for staff.

Times are moments; whoever shows them does so on the lead's clock (`zone`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from common.reasons import Reason
from followups import next_step, sequence_preview, sequence_versions
from followups.models import Attempt, Enrollment
from followups.sequence_versions import SequencePlan, StepPlan


@dataclass(frozen=True)
class Coming:
    """What happens next. `step` is None when only the end of patience remains; `at` is None when nothing is due."""

    step: int | None
    steps: int
    at: datetime | None
    why: str
    text: str
    zone: str
    # Now is a time at which no message would go out by itself.
    is_out_of_hours: bool
    needs_template: bool
    on_its_way: Attempt | None


def coming(enrollment: Enrollment, *, now: datetime, on_its_way: Attempt | None = None) -> Coming:
    """Return what comes next for an enrollment; `on_its_way` is its attempt that is sending, if any."""
    plan, zone = sequence_versions.read(enrollment.version), next_step.zone_of(enrollment.lead)
    step = plan.steps[enrollment.step - 1] if enrollment.step <= len(plan.steps) else None
    at = on_its_way.retry_at if on_its_way else enrollment.next_at
    why = (on_its_way.reason or Reason("sending")) if on_its_way else enrollment.next_reason
    return Coming(
        step=enrollment.step if step else None,
        steps=len(plan.steps),
        at=at,
        why=why,
        text=(on_its_way.text or on_its_way.instruction)
        if on_its_way
        else _said(step, enrollment, max(at or now, now)),
        zone=zone,
        is_out_of_hours=step is not None and not next_step.hours_allow(enrollment, plan, now),
        needs_template=step is not None and sequence_preview.needs_template(enrollment.lead, at, step.template_id),
        on_its_way=on_its_way,
    )


def _said(step: StepPlan | None, enrollment: Enrollment, at: datetime) -> str:
    if step is None:
        return ""
    shown = sequence_preview.rendered(step.instruction or step.text, enrollment.lead, at=at)
    return shown.text or shown.error


@dataclass(frozen=True)
class Line:
    """One step of the sequence for this lead: what became of it, or when it is to come. `state` is None until then."""

    step: int | None
    at: datetime | None
    why: str
    text: str
    state: Attempt.State | None = None
    attempt: Attempt | None = None


def story(enrollment: Enrollment) -> list[Line]:
    """Return every step of the version this lead goes through, those past with their outcome, then the end."""
    plan = sequence_versions.read(enrollment.version)
    attempts = {attempt.step: attempt for attempt in enrollment.attempts.all()}
    lines = [_past(number, attempts.get(number)) for number in range(1, min(enrollment.step, len(plan.steps) + 1))]
    if enrollment.state == Enrollment.State.WAITING:
        return lines + _ahead(enrollment, plan, attempts.get(enrollment.step))
    # Where it ended while a message was on its way, that message belongs to it too.
    return lines + [_past(number, attempt) for number, attempt in sorted(attempts.items()) if number >= enrollment.step]


def _past(number: int, attempt: Attempt | None) -> Line:
    if attempt is None:
        return Line(number, None, Reason("time_had_passed"), "")
    state = Attempt.State(attempt.state)
    return Line(number, attempt.ended_at or attempt.created_at, attempt.reason, attempt.text, state, attempt)


def _ahead(enrollment: Enrollment, plan: SequencePlan, sending: Attempt | None) -> list[Line]:
    now_due = coming(enrollment, now=enrollment.next_at or enrollment.anchor_at, on_its_way=sending)
    state = Attempt.State.SENDING if sending else None
    lines = [Line(now_due.step, now_due.at, now_due.why, now_due.text, state, sending)]
    if now_due.step is None or now_due.at is None:
        return lines
    hours, zone, anchor = next_step.hours_of(enrollment.lead.pipeline), now_due.zone, now_due.at
    # Nobody is given up on whom a message has not reached.
    rest = SequencePlan(
        plan.steps[enrollment.step :], plan.give_up_after if enrollment.complete else None, plan.give_up_stage
    )
    clock, start = next_step.clock_of(enrollment.lead).key, enrollment.meeting_starts_at or anchor
    for planned in sequence_preview.timetable(
        rest, hours, zone, start, clock=clock, covered_at=_reminded_at(enrollment, anchor)
    ):
        number, due = enrollment.step + planned.step if planned.step else None, planned.due
        if due is None or planned.left_out:
            lines.append(Line(number, None, planned.left_out or "the hours allow none", ""))
            continue
        text = _said(plan.steps[number - 1], enrollment, due.at) if number else ""
        lines.append(Line(number, due.at, due.reason, text))
    return lines


def _reminded_at(enrollment: Enrollment, next_at: datetime) -> datetime | None:
    return next_at if enrollment.meeting_starts_at else None
