"""What became of a message, stored with what follows from it: the next step, another try, or the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.dispatch import Signal

from common.reasons import Reason, about
from common.statements import insert, update
from followups import sequence_versions, stopping, unreachable_numbers
from followups.channels import Gone, Outcome, Result
from followups.enrollment import advance
from followups.models import Attempt, Enrollment
from leads import optout
from leads.models import Event, Lead

# outcomes: list of Outcome, lateness: list of timedelta. Sent after the commit, for whoever counts.
followups_sent = Signal()

RETRY_FIRST, RETRY_CAP = timedelta(seconds=10), timedelta(minutes=10)
LONGEST_ASKED_SECONDS = 3600

TOLD = {
    Outcome.SENT: "step_sent",
    Outcome.DECLINED: "step_declined",
    Outcome.UNREACHABLE: "step_not_delivered",
    Outcome.UNCONFIRMED: "step_may_have_been_sent",
    Outcome.NOT_SENT: "step_not_sent",
    Outcome.WOULD_SEND: "step_would_have_been_sent",
    Outcome.DROPPED: "step_not_sent",
    Outcome.NOT_DELIVERED: "step_did_not_arrive",
}


@dataclass(frozen=True)
class Done:
    """An attempt with what became of it, and when. Not `begun`: the channel has not seen it this time."""

    attempt: Attempt
    result: Result
    at: datetime
    begun: bool = True


@transaction.atomic
def record(done: Sequence[Done], *, now: datetime) -> None:
    """Store what became of some attempts and aim their leads at what comes next."""
    # The leads first: interactions lock in this order too, so neither waits for the other in a circle.
    leads = Lead.objects.filter(pk__in=[each.attempt.enrollment.lead_id for each in done])
    # Without the key, as they do: a line for the timeline of another lead must not wait for this.
    list(leads.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    ids = [each.attempt.enrollment_id for each in done]
    fresh = {
        enrollment.pk: enrollment
        for enrollment in Enrollment.objects.filter(pk__in=ids)
        .select_related("lead__pipeline", "lead__stage", "sequence", "version")
        .select_for_update(of=("self",))
    }
    moved: list[Enrollment] = []
    events: list[Event] = []
    for each in done:
        _settle(each, fresh[each.attempt.enrollment_id], moved, events)
    update([each.attempt for each in done], [*Attempt.ENDING, "tries", "text"])
    update(moved, ["step", "anchor_at", "next_at", "next_reason", "late_so_far", "last_sent_at", "complete"])
    insert(events)
    outcomes = [each.result.outcome for each in done if each.begun]
    latenesses = [each.at - each.attempt.due_at for each in done if each.result.outcome is Outcome.SENT]
    transaction.on_commit(lambda: followups_sent.send(Attempt, outcomes=outcomes, lateness=latenesses))


def _settle(each: Done, enrollment: Enrollment, moved: list[Enrollment], events: list[Event]) -> None:
    attempt, result, at = each.attempt, each.result, each.at
    if enrollment.lead.erased_at:
        # While it was under way: nothing is kept of what was said.
        result, attempt.text = replace(result, reason="", text=""), ""
    if result.outcome is Outcome.RETRY:
        attempt.reason, attempt.holder = result.reason[:500], ""
        if each.begun:
            attempt.retry_at = at + wait(attempt.tries, result.retry_after_seconds)
        else:
            attempt.tries, attempt.retry_at = attempt.tries - 1, at
        return
    attempt.end(Attempt.State(result.outcome), result.reason, now=at)
    asked, attempt.text = attempt.text, result.text or attempt.text
    reason = Reason(TOLD[result.outcome], number=attempt.step, what=enrollment.sequence)
    data: dict[str, Any] = {"attempt_id": str(attempt.pk), "outcome": str(result.outcome)}
    if each.begun and attempt.text:
        data["text"] = attempt.text
    if attempt.text != asked:
        data["asked_to_say"] = asked
    note = stopping.note(enrollment, about(reason, result.reason) if result.reason else reason, at, **data)
    note.data["step"] = attempt.step
    events.append(note)
    if result.outcome is Outcome.UNREACHABLE:
        _never_again(enrollment.lead, result, at)
    elif enrollment.state == Enrollment.State.WAITING and enrollment.step == attempt.step:
        _move_on(enrollment, result.outcome, at)
        moved.append(enrollment)


def _never_again(lead: Lead, result: Result, at: datetime) -> None:
    """Write to this number no more, in any pipeline; only who is said to have opted out has opted out."""
    if result.gone is Gone.OPTED_OUT:
        optout.opt_out(lead, by=Lead.Actor.AGENT, reason=result.reason, now=at)
        return
    if lead.erased_at:
        if result.gone is Gone.UNCLEAR:
            # It may have been a wish, and nobody can be asked any more.
            optout.keep(lead, by=Lead.Actor.AGENT, reason="", at=at)
        return
    unreachable_numbers.note(lead, result.reason, is_certain=result.gone is Gone.INVALID, now=at)
    stopping.stop(lead, result.reason, now=at)
    stopping.stop_elsewhere(lead, result.reason, now=at)


def _move_on(enrollment: Enrollment, outcome: Outcome, at: datetime) -> None:
    if outcome is Outcome.SENT:
        enrollment.last_sent_at = at
    else:
        # What nobody heard is no contact: whoever stays silent after it has not refused to answer.
        enrollment.complete = False
    advance(enrollment, sequence_versions.read(enrollment.version), at)


def wait(tries: int, asked_seconds: float | None) -> timedelta:
    """Return the wait after try number `tries`: 10 s doubled each time, at most 10 minutes, at least what was asked."""
    growing: timedelta = min(RETRY_CAP, RETRY_FIRST * 2 ** min(tries - 1, 10))
    return max(growing, timedelta(seconds=min(asked_seconds or 0, LONGEST_ASKED_SECONDS)))
