"""What became of a follow-up that the pipeline's channel carries: told when it is known, and again if it changes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from followups import attempt_outcomes, stopping
from followups.channels import Gone, Outcome, Result
from followups.models import Attempt
from leads.models import Event

Came = Outcome
# Told of what counted as sent already: a messenger says only later that it did not arrive.
LATE = "it was handed over, and did not arrive"


def settle(
    attempt_id: UUID, came: Outcome, reason: str, *, text: str = "", gone: Gone | None = None, now: datetime
) -> None:
    """Store what became of a follow-up; what its lead waits for next follows from it."""
    rows = Attempt.objects.select_related("enrollment__lead__pipeline", "enrollment__sequence", "enrollment__version")
    attempt = rows.filter(pk=attempt_id).first()
    if attempt is None:
        return
    if attempt.state in (Attempt.State.SENDING, Attempt.State.HANDED_OVER):
        result = Result(came, reason, text=text, gone=gone or Gone.UNCLEAR)
        attempt_outcomes.record([attempt_outcomes.Done(attempt, result, now)], now=now)
    elif attempt.state == Attempt.State.SENT and came is Outcome.NOT_DELIVERED:
        _take_back(attempt, reason, now)


def _take_back(attempt: Attempt, reason: str, now: datetime) -> None:
    """Count what was taken for sent as what nobody heard: the lead is not given up on by it."""
    attempt.state, attempt.reason = Attempt.State.NOT_DELIVERED, reason[:500]
    attempt.save(update_fields=["state", "reason"])
    enrollment = attempt.enrollment
    enrollment.complete = False
    enrollment.save(update_fields=["complete"])
    words = f"step {attempt.step} of {enrollment.sequence}: {LATE}: {reason}"
    note = stopping.note(enrollment, words, now, attempt_id=str(attempt.pk), outcome=str(Outcome.NOT_DELIVERED))
    note.data["step"] = attempt.step
    Event.objects.bulk_create([note])


def marked(attempt_ids: list[UUID]) -> int:
    """Let attempts that a channel has taken wait for it."""
    rows = Attempt.objects.filter(pk__in=attempt_ids, state=Attempt.State.SENDING)
    return rows.update(state=Attempt.State.HANDED_OVER, retry_at=None, holder="", reason="")
