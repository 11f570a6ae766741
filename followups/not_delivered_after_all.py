"""What of a message that counted as sent, and of which a messenger says only later that it did not arrive?"""

from __future__ import annotations

from datetime import datetime

from common.reasons import Reason, about
from followups import stopping
from followups.channels import Outcome
from followups.models import Attempt
from leads.models import Event


def take_back(attempt: Attempt, reason: str, now: datetime) -> None:
    """Count what was taken for sent as what nobody heard: the lead is not given up on by it."""
    attempt.state, attempt.reason = Attempt.State.NOT_DELIVERED, reason[:500]
    attempt.save(update_fields=["state", "reason"])
    enrollment = attempt.enrollment
    enrollment.complete = False
    enrollment.save(update_fields=["complete"])
    step = f"step {attempt.step} of {enrollment.sequence}"
    words = about(step, Reason("handed_over_did_not_arrive", why=reason))
    note = stopping.note(enrollment, words, now, attempt_id=str(attempt.pk), outcome=str(Outcome.NOT_DELIVERED))
    note.data["step"] = attempt.step
    Event.objects.bulk_create([note])
