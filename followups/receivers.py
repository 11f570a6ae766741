"""What a conversation, a handoff, a move or an opt-out means for the follow-ups of its lead.

All of it runs in the transaction in which it happened, under the lock of the lead's row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone

from common.reasons import Reason
from common.reasons.columns import either
from followups import enrollment as enrollments
from followups import next_step, sequence_versions, stopping, unreachable_numbers, who_may_be_written_to
from followups.crediting_answers import credit
from followups.models import Attempt, Enrollment, Sequence
from followups.who_may_be_written_to import MEETING, UNANSWERED
from leads import announcements, optout
from leads.decisions import meeting_is
from leads.falling_silent import is_farewell
from leads.interaction_values import Direction, Recorded
from leads.models import Lead


@receiver(announcements.interactions_recorded)
def interactions_recorded(recorded: list[Recorded], now: datetime, **_: object) -> None:
    spoken = [record for record in recorded if record.interaction.message is not None or _is_of_meetings(record)]
    # Whoever is new to this pipeline may be known in another, and answer what was said there.
    known = enrollments.of_people([record.lead for record in spoken if not record.created or _is_inbound(record)])
    for record in spoken:
        _interaction_recorded(record, known.get(record.lead.pk, []), now)


def _is_of_meetings(record: Recorded) -> bool:
    speaks_of_meeting = record.interaction.context.get("meeting") is not None and record.lead.has_standing_meeting
    return speaks_of_meeting or record.changes.meeting_changed or record.changes.meeting_booked is not None


def _is_followed(lead: Lead, known: list[Any]) -> bool:
    """Say whether the meeting that stands has, or had, reminders; one that was told as a part of the past has none."""
    return any(row.purpose == MEETING and row.meeting_starts_at == lead.meeting_starts_at for row in known)


def _is_inbound(record: Recorded) -> bool:
    message = record.interaction.message
    return message is not None and message.direction is Direction.INBOUND


def _interaction_recorded(record: Recorded, of_person: list[Any], now: datetime) -> None:
    lead, message = record.lead, record.interaction.message
    known = [row for row in of_person if row.lead_id == lead.pk]
    live = {row.purpose: row for row in known if row.state == Enrollment.State.WAITING}
    if message is not None and message.direction is Direction.INBOUND:
        # Where it counts among the others, not where a clock puts it.
        written_at = lead.last_inbound_at or record.interaction.occurred_at
        if known:
            credit(lead, "answered_at", written_at, now)
        if any(row.is_unreachable for row in of_person):
            unreachable_numbers.heard_from(lead)
        stopping.answered_elsewhere([row for row in of_person if row.lead_id != lead.pk], written_at, now)
        if is_farewell(message, lead):
            optout.opt_out(
                lead, by=Lead.Actor.LEAD, reason=Reason("lead_wrote", a=f"“{message.text.strip()[:40]}”"), now=now
            )
            return
    if record.changes.meeting_booked and record.changes.meeting_reported == Lead.MeetingStatus.SCHEDULED:
        credit(lead, "booked_at", now, now)
    if record.changes.meeting_changed or (_is_of_meetings(record) and not _is_followed(lead, known)):
        _follow_meeting(lead, live.pop(MEETING, None), now)
    waiting = live.get(UNANSWERED)
    if waiting is not None and (reason := _stop_reason(lead, waiting)):
        stopping.cancel([waiting], reason, now=now)
    elif waiting is not None:
        _count_from(waiting, lead)
    elif message is not None and message.direction is Direction.OUTBOUND:
        enrollments.enroll(lead, UNANSWERED, now=now)


def _stop_reason(lead: Lead, enrollment: Enrollment) -> str | None:
    return who_may_be_written_to.why_not(lead, enrollment.sequence, sequence_versions.read(enrollment.version))


def _count_from(enrollment: Enrollment, lead: Lead) -> None:
    """Count the next delay from our newest message: two in a row are one silence."""
    ours = lead.last_outbound_at
    if ours is None or ours <= enrollment.anchor_at or enrollment.next_at is None or enrollment.sent_by_hand:
        return
    enrollment.anchor_at = ours
    enrollment.lead = lead
    next_step.aim(enrollment, next_step.due_of(enrollment, sequence_versions.read(enrollment.version)))
    enrollment.save(update_fields=["anchor_at", "next_at", "next_reason", "late_so_far"])


def _follow_meeting(lead: Lead, current: Enrollment | None, now: datetime) -> None:
    """Tie the reminders to the meeting: moved, they move; gone, they go."""
    stands = lead.has_standing_meeting and lead.meeting_starts_at is not None
    if current is not None:
        if stands and current.meeting_starts_at == lead.meeting_starts_at:
            return
        status = "gone_by" if lead.meeting_gone_by else lead.meeting_status
        reason = meeting_is(status) if status else Reason("no_meeting_any_more")
        stopping.cancel([current], reason, now=now)
    if stands:
        enrollments.enroll(lead, MEETING, now=now)


@receiver(announcements.meeting_passed)
def meeting_passed(lead: Lead, now: datetime, **_: object) -> None:
    current = lead.enrollments.filter(state=Enrollment.State.WAITING, purpose=MEETING)
    _follow_meeting(lead, current.select_related("sequence", "version").first(), now)


@receiver(announcements.leads_joining)
def leads_joining(lead: Lead, other: Lead, now: datetime, **_: object) -> None:
    """One person is on one way for each purpose: the lead that stays keeps its own."""
    own = {enrollment.purpose for enrollment in stopping.live(lead)}
    twice = [enrollment for enrollment in stopping.live(other) if enrollment.purpose in own]
    stopping.cancel(twice, Reason("known_as_one_lead_now"), now=now)


@receiver(announcements.handoff_changed)
def handoff_changed(lead: Lead, paused: bool, now: datetime, **_: object) -> None:
    if paused:
        stopping.cancel(stopping.live(lead), Reason("person_has_taken_over"), now=now)
    elif lead.has_standing_meeting and not lead.enrollments.filter(purpose=MEETING, state="waiting").exists():
        enrollments.enroll(lead, MEETING, now=now)


@receiver(announcements.stage_changed)
def stage_changed(lead: Lead, now: datetime, **_: object) -> None:
    for enrollment in stopping.live(lead):
        if reason := _stop_reason(lead, enrollment):
            stopping.cancel([enrollment], reason, now=now)


@receiver(post_save, sender=Sequence)
def sequence_saved(instance: Sequence, **_: object) -> None:
    """Let go on what waited only because its sequence was switched off."""
    if not instance.is_active:
        return
    waiting = instance.enrollments.filter(state=Enrollment.State.WAITING, held=True)
    waiting = waiting.filter(next_reason__in=either(enrollments.SWITCHED_OFF))
    parked = Attempt.objects.filter(state=Attempt.State.SENDING, retry_at=None, enrollment__in=waiting)
    Attempt.objects.filter(pk__in=parked.values("pk")).update(retry_at=timezone.now())
    waiting.update(held=False, next_reason=Reason("sequence_switched_on"))


@receiver(announcements.opted_out)
def opted_out(lead: Lead, now: datetime, **_: object) -> None:
    credit(lead, "opted_out_at", now, now)
    stopping.cancel(stopping.live(lead), optout.SAID, now=now)


@receiver(announcements.personal_data_erased)
def personal_data_erased(lead: Lead, now: datetime, **_: object) -> None:
    stopping.cancel(stopping.live(lead), Reason("personal_data_erased"), now=now)
    unreachable_numbers.forget(lead, now=now)
    lead.enrollments.update(reason="", next_reason="")
    Attempt.objects.filter(enrollment__lead=lead).update(text="", reason="", instruction="")
