"""Who is on the way through a sequence: taking leads in, moving them on to the next step, letting them go on later.

A lead's live enrollments change only under the lock of the lead's row, so an answer, a handoff and a step that is just
due cannot pass each other unseen.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, Max, OuterRef, Q, Subquery

from common.reasons import Reason, about
from common.reasons.columns import either
from common.statements import JsonArray, Select
from followups import schedule, sequence_versions
from followups.models import Attempt, Enrollment, Sequence, Unreachable
from followups.next_step import aim, due_of, max_lateness, skip_left_out
from followups.sequence_versions import SequencePlan
from followups.stopping import end, note
from followups.who_may_be_written_to import MEETING, UNANSWERED, vetoes, why_not
from leads import address_owners
from leads.models import Event, FurtherAddress, Lead

# Why an enrollment is held that no person held; those with this reason go on with their sequence.
SWITCHED_OFF = Reason("sequence_switched_off")
# A reminder of which one of these became is not given again.
REMINDED = (
    Attempt.State.SENDING,
    Attempt.State.HANDED_OVER,
    Attempt.State.SENT,
    Attempt.State.UNCONFIRMED,
    Attempt.State.DROPPED,
    Attempt.State.DECLINED,
    Attempt.State.SKIPPED,
    *Attempt.UNSAID,
)


FURTHER_KEYS = FurtherAddress.objects.filter(lead_id=OuterRef("lead_id")).order_by().values("lead_id")
FURTHER_OF_IT = FurtherAddress.objects.filter(lead_id=OuterRef(OuterRef("lead_id"))).values("key")
OF_PEOPLE = Select(
    lambda keys: (
        Enrollment.objects.filter(lead__in=address_owners.ids_with_any(keys))
        .select_related("sequence", "version")
        .annotate(
            phone_key=F("lead__phone_key"),
            is_unreachable=Exists(Unreachable.objects.filter(phone_key=OuterRef("lead__phone_key")))
            | Exists(Unreachable.objects.filter(phone_key__in=FURTHER_OF_IT)),
            further_keys=Subquery(FURTHER_KEYS.annotate(keys=JsonArray("key")).values("keys")),
        )
        .order_by("-pk")
    )
)


def of_people(leads: list[Lead]) -> dict[UUID, list[Any]]:
    """Return every enrollment of some people in any pipeline, newest first, by the lead of theirs that was given.

    One query, where the leads' addresses are at hand. Those of the given leads have them attached; each says whether an
    address of its lead `is_unreachable`.
    """
    found: dict[UUID, list[Any]] = {}
    by_id = {lead.pk: lead for lead in leads}
    by_key: dict[str, list[UUID]] = {}
    for lead in leads:
        for key in lead.address_keys:
            by_key.setdefault(key, []).append(lead.pk)
    for enrollment in OF_PEOPLE.all(keys=list(by_key)) if by_key else ():
        if enrollment.lead_id in by_id:
            enrollment.lead = by_id[enrollment.lead_id]
        theirs = [enrollment.phone_key, *(enrollment.further_keys or ())]
        for pk in {pk for key in theirs for pk in by_key.get(key, ())}:
            found.setdefault(pk, []).append(enrollment)
    return found


def enroll(lead: Lead, purpose: Sequence.StartsOn, *, now: datetime) -> Enrollment | None:
    """Take the lead into the pipeline's sequence for this purpose, if there is one and nothing speaks against it.

    The caller holds the lock of the lead's row, and the lead has no live enrollment for the purpose.
    """
    sequence = sequence_for(lead.pipeline_id, purpose)
    if sequence is None:
        return None
    version = sequence_versions.pin(sequence)
    plan = sequence_versions.read(version)
    if not plan.steps or why_not(lead, sequence, plan) or vetoes([lead]).get(lead.pk):
        return None
    if purpose == UNANSWERED and _had_its_sequence(lead):
        return None
    enrollment = Enrollment(
        lead=lead,
        sequence=sequence,
        version=version,
        purpose=purpose,
        anchor_at=lead.last_outbound_at or now,
        meeting_starts_at=lead.meeting_starts_at if purpose == MEETING else None,
        started_at=now,
    )
    if purpose == MEETING:
        reminded_up_to, enrollment.last_sent_at = _reminded(lead)
        enrollment.step = 1 + reminded_up_to
    skip_left_out(enrollment, plan, now)
    due = due_of(enrollment, plan)
    # A message of long ago, reported now: whoever is taken over from elsewhere is not written to out of the blue.
    if due is None or schedule.is_too_late(due.at, now, max_lateness(enrollment, plan)):
        return None
    aim(enrollment, due)
    enrollment.save()
    return enrollment


def _had_its_sequence(lead: Lead) -> bool:
    """Say whether this silence had its sequence, to the end or to where staff ended it: one silence, one sequence.

    The agent reports what it was asked to say, and that report must not begin everything anew.
    """
    before = lead.enrollments.filter(purpose=UNANSWERED).exclude(state=Enrollment.State.WAITING)
    newest = before.order_by("-pk").first()
    if newest is None or (lead.last_inbound_at and lead.last_inbound_at > newest.started_at):
        return False
    if newest.ended_by == Lead.Actor.STAFF:
        return True
    # One in which nothing was said was none.
    is_over = newest.state == Enrollment.State.FINISHED
    return is_over and newest.attempts.filter(state__in=Attempt.MAY_HAVE_ARRIVED).exists()


def _reminded(lead: Lead) -> tuple[int, datetime | None]:
    """Return the last reminder this very meeting has had, so that a handoff in between repeats none, 0 for none; and
    when the lead was last reminded."""
    given = Attempt.objects.filter(
        enrollment__lead=lead,
        enrollment__purpose=MEETING,
        enrollment__meeting_starts_at=lead.meeting_starts_at,
        state__in=REMINDED,
    )
    sent = Q(state=Attempt.State.SENT)
    last = given.aggregate(step=Max("step"), sent_at=Max("ended_at", filter=sent))
    return last["step"] or 0, last["sent_at"]


def sequence_for(pipeline_id: int, purpose: Sequence.StartsOn) -> Sequence | None:
    active = Sequence.objects.filter(pipeline=pipeline_id, starts_on=purpose, is_active=True)
    return active.select_related("give_up_stage").first()


# --- Moving on


def advance(enrollment: Enrollment, plan: SequencePlan, now: datetime) -> None:
    """Aim at the step after the one that was settled at `now`, which keeps its distance; the caller saves.

    After the last one the enrollment waits for the end of its patience, or is finished.
    """
    enrollment.step += 1
    enrollment.anchor_at = now
    skip_left_out(enrollment, plan, now)
    due = due_of(enrollment, plan)
    aim(enrollment, due)
    if due is None:
        end(enrollment, Enrollment.State.FINISHED, _why_finished(enrollment, plan), now=now)


def _why_finished(enrollment: Enrollment, plan: SequencePlan) -> str:
    if enrollment.step <= len(plan.steps):
        return Reason("hours_allow_nothing")
    if enrollment.complete and enrollment.last_sent_at:
        return Reason("every_message_given")
    if plan.give_up_after:
        return Reason(
            "not_every_message_sent_nobody_gives_up" if enrollment.last_sent_at else "no_message_sent_nobody_gives_up"
        )
    return Reason("not_every_message_sent" if enrollment.last_sent_at else "no_message_sent")


def go_on(lead: Lead, *, stopped_for: str, reason: str, now: datetime) -> int:
    """Let what was cancelled for one reason go on where it was, now that this reason is over; return how many.

    Only the newest for each purpose, and only where nothing else speaks against it. What went stale meanwhile is missed
    as it is after an outage.
    """
    # As it is by now: whoever brought the card back may have moved it, too.
    lead = Lead.objects.select_related("pipeline", "stage").get(pk=lead.pk)
    cancelled = lead.enrollments.filter(
        state=Enrollment.State.CANCELLED, ended_by=Lead.Actor.BRIDGE, reason__in=either(stopped_for)
    )
    count = 0
    for enrollment in cancelled.select_related("sequence", "version").order_by("-pk"):
        newer = lead.enrollments.filter(purpose=enrollment.purpose, pk__gt=enrollment.pk)
        enrollment.lead, plan = lead, sequence_versions.read(enrollment.version)
        if newer.exists() or why_not(lead, enrollment.sequence, plan) or vetoes([lead]).get(lead.pk):
            continue
        skip_left_out(enrollment, plan, now)
        due = due_of(enrollment, plan)
        if due is None:
            continue
        aim(enrollment, due)
        enrollment.state, enrollment.reason = Enrollment.State.WAITING, ""
        enrollment.ended_at, enrollment.ended_by = None, ""
        enrollment.save()
        Event.objects.bulk_create(
            [note(enrollment, about(f"{enrollment.sequence} goes on", reason), now, outcome="waiting")]
        )
        count += 1
    return count
