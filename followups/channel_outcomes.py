"""What became of a follow-up that the pipeline's channel carries: told when it is known, and again if it changes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from followups import attempt_outcomes, not_delivered_after_all
from followups.channels import Gone, Outcome, Result
from followups.models import Attempt

Came = Outcome


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
        not_delivered_after_all.take_back(attempt, reason, now)


def marked(attempt_ids: list[UUID]) -> int:
    """Let attempts that a channel has taken wait for it."""
    rows = Attempt.objects.filter(pk__in=attempt_ids, state=Attempt.State.SENDING)
    return rows.update(state=Attempt.State.HANDED_OVER, retry_at=None, holder="", reason="")
