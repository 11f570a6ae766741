"""Until when does what a lead does count as the answer to a message of ours? Noted on the newest one given."""

from __future__ import annotations

from datetime import datetime, timedelta

from followups.models import Attempt
from leads.models import Lead

# An answer later than this has other reasons than the message.
COUNTS_AS_ANSWER = timedelta(days=7)


def credit(lead: Lead, outcome: str, at: datetime, now: datetime) -> None:
    """Note on the newest message we gave what came of it."""
    given = Attempt.objects.filter(
        enrollment__lead=lead,
        state=Attempt.State.SENT,
        ended_at__lte=at,
        ended_at__gt=now - COUNTS_AS_ANSWER,
        **{outcome: None},
    )
    newest = given.order_by("-ended_at").values("pk")[:1]
    Attempt.objects.filter(pk__in=[row["pk"] for row in newest]).update(**{outcome: at})
