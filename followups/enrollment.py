"""Who is on the way through a sequence: taking leads in, aiming at the next step, letting them go.

A lead's live enrollments change only under the lock of the lead's row, so an answer, a handoff and a step that is just
due cannot pass each other unseen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, Max, OuterRef, Q, Subquery
from django.dispatch import Signal

from common.statements import JsonArray, Select
from followups import schedule, sequence_versions, unreachable_numbers
from followups.models import Attempt, Enrollment, Sequence, Unreachable
from followups.next_step import aim, due_of, max_lateness, skip_left_out
from followups.sequence_versions import SequencePlan
from leads import address_owners, erasure, may_speak, optout, stage_moves
from leads.models import Event, FurtherAddress, Lead, Stage
from leads.rulebook import rulebook

# lead_ids. Receivers return {lead id: reason} for those of them who must not be written to for reasons only they know.
vetoes_wanted = Signal()

UNANSWERED, MEETING = Sequence.StartsOn.AGENT_UNANSWERED, Sequence.StartsOn.MEETING_SCHEDULED
# Why an enrollment is held that no person held; those with this reason go on with their sequence.
SWITCHED_OFF = "the sequence is switched off"
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


def live(lead: Lead) -> list[Enrollment]:
    """Return what the lead is on its way through: at most one enrollment per purpose."""
    return list(lead.enrollments.filter(state=Enrollment.State.WAITING).select_related("sequence", "version"))


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


def why_not(lead: Lead, sequence: Sequence, plan: SequencePlan) -> str | None:
    """Return why this person must not be written to, or None. Asked on enrolment and again before every step."""
    if lead.erased_at or not lead.phone_key:
        return "there is no number to write to"
    if lead.opted_out_at:
        return optout.SAID
    if erasure.is_silent_since(lead):
        return erasure.SILENT_SINCE
    if lead.in_handoff:
        return "a person has taken over"
    if reason := _stage_says_no(lead, sequence, plan):
        return reason
    if sequence.starts_on == MEETING:
        return None if lead.has_standing_meeting and lead.meeting_starts_at else "no meeting is booked"
    return _conversation_says_no(lead)


def vetoes(leads: Collection[Lead]) -> dict[UUID, str]:
    """Return what speaks against writing to some of these leads beyond themselves: their person's wish, a number that
    does not work, a lost card, an agent that does not serve them."""
    answers: list[tuple[Any, Any]] = vetoes_wanted.send(Enrollment, lead_ids=[lead.pk for lead in leads])
    found = {lead_id: reason for _, reasons in answers for lead_id, reason in reasons.items()}
    return (
        may_speak.unserved(leads)
        | found
        | unreachable_numbers.reasons(leads)
        | dict.fromkeys(optout.since(leads), optout.SAID)
    )


def _stage_says_no(lead: Lead, sequence: Sequence, plan: SequencePlan) -> str | None:
    stage = lead.stage
    if stage is None:
        return f"the card stands in “{lead.other_stage_name}”, where a person put it"
    rules = rulebook(lead.pipeline).rules
    stops = (
        stage.kind != Stage.Kind.OPEN
        or stage.pauses_agent
        or stage.protected
        or stage.key in (plan.give_up_stage, rules.qualification.disqualified_stage, *plan.stop_stages)
        # Booked by a person, who told the card alone.
        or (stage.key == rules.meeting_stage and not lead.meeting_status and sequence.starts_on == UNANSWERED)
    )
    return f"the lead stands in {stage.name}" if stops else None


def _conversation_says_no(lead: Lead) -> str | None:
    ours, theirs, staffs = lead.last_outbound_at, lead.last_inbound_at, lead.last_staff_at
    if ours is None:
        return "nobody on our side has written yet"
    if theirs is not None and theirs >= ours:
        return "the lead has answered"
    if staffs is not None and staffs >= ours:
        return "a person has written to the lead"
    return "a meeting is booked" if lead.has_standing_meeting else None


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
        return "the hours allow no messages at all"
    nothing, some = "no message was sent", "not every message was sent"
    if enrollment.complete and enrollment.last_sent_at:
        return "every message was given"
    said = some if enrollment.last_sent_at else nothing
    return f"{said}, so nobody gives the lead up" if plan.give_up_after else said


def give_up(enrollment: Enrollment, plan: SequencePlan, now: datetime) -> None:
    """Move the lead to the stage of those who did not answer, unless it stands where no automatic move may take it."""
    stage = Stage.objects.filter(pipeline=enrollment.lead.pipeline_id, key=plan.give_up_stage).first()
    count = enrollment.attempts.filter(state=Attempt.State.SENT).count()
    ago = schedule.in_words(now - (enrollment.last_sent_at or now))
    reason = f"no answer to {count} messages, the last {ago} ago"
    end(enrollment, Enrollment.State.FINISHED, reason, now=now)
    if stage is None:
        return
    try:
        # Nobody is to take over whom we gave up on.
        stage_moves.move(enrollment.lead, stage, by=Lead.Actor.BRIDGE, reason=reason, now=now, tells_staff=False)
    except stage_moves.ProtectedStageError as error:
        Event.objects.bulk_create([note(enrollment, f"not given up: {error}", now, outcome="kept")])


def stop(lead: Lead, reason: str, *, now: datetime) -> None:
    """Cancel whatever the lead is on its way through."""
    cancel(live(lead), reason, now=now)


def stop_elsewhere(lead: Lead, reason: str, *, now: datetime) -> None:
    """Cancel what this person is on the way through in other pipelines."""
    if keys := lead.address_keys:
        theirs = Lead.objects.filter(address_owners.of_any(keys)).values("pk")
        others = Enrollment.objects.filter(lead__in=theirs, state=Enrollment.State.WAITING)
        cancel_unlocked(others.exclude(lead=lead).select_related("sequence"), reason, now=now)


def cancel_unlocked(enrollments: Iterable[Enrollment], reason: str, *, now: datetime) -> None:
    """Let leads go whose rows are not locked, unless they have been let go meanwhile.

    Two leads of one person, each waiting for the other's lock, would wait for ever. What is claimed at this moment is
    seen to have ended before it leaves.
    """
    for one in enrollments:
        ended = Enrollment.objects.filter(pk=one.pk, state=Enrollment.State.WAITING).update(
            state=Enrollment.State.CANCELLED,
            reason=reason[:500],
            ended_at=now,
            ended_by=Lead.Actor.BRIDGE,
            next_at=None,
            next_reason="",
            held=False,
        )
        if ended:
            Event.objects.bulk_create([note(one, f"{one.sequence} stopped: {reason}", now, outcome="cancelled")])


def go_on(lead: Lead, *, stopped_for: str, reason: str, now: datetime) -> int:
    """Let what was cancelled for one reason go on where it was, now that this reason is over; return how many.

    Only the newest for each purpose, and only where nothing else speaks against it. What went stale meanwhile is missed
    as it is after an outage.
    """
    # As it is by now: whoever brought the card back may have moved it, too.
    lead = Lead.objects.select_related("pipeline", "stage").get(pk=lead.pk)
    cancelled = lead.enrollments.filter(
        state=Enrollment.State.CANCELLED, ended_by=Lead.Actor.BRIDGE, reason=stopped_for[:500]
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
            [note(enrollment, f"{enrollment.sequence} goes on: {reason}", now, outcome="waiting")]
        )
        count += 1
    return count


def cancel(enrollments: list[Enrollment], reason: str, *, now: datetime, by: Lead.Actor = Lead.Actor.BRIDGE) -> None:
    """Let leads go for a stated reason, with a line on each one's timeline."""
    for enrollment in enrollments:
        end(enrollment, Enrollment.State.CANCELLED, reason, now=now, by=by)
    Event.objects.bulk_create(
        note(enrollment, f"{enrollment.sequence} stopped: {reason}", now, actor=by, outcome="cancelled")
        for enrollment in enrollments
    )


def end(
    enrollment: Enrollment,
    state: Enrollment.State,
    reason: str,
    *,
    now: datetime,
    by: Lead.Actor = Lead.Actor.BRIDGE,
) -> None:
    enrollment.state, enrollment.reason, enrollment.ended_at, enrollment.ended_by = state, reason[:500], now, by
    enrollment.next_at, enrollment.next_reason, enrollment.held = None, "", False
    enrollment.save(update_fields=["state", "reason", "ended_at", "ended_by", "next_at", "next_reason", "held"])


def note(
    enrollment: Enrollment,
    reason: str,
    now: datetime,
    *,
    actor: Lead.Actor = Lead.Actor.BRIDGE,
    **data: object,
) -> Event:
    """Return a line for the lead's timeline; the caller stores it."""
    data = {"sequence": enrollment.sequence.slug, "step": enrollment.step, **data}
    return Event(
        lead_id=enrollment.lead_id, at=now, kind=Event.Kind.FOLLOW_UP, actor=actor, reason=reason[:500], data=data
    )
