"""May this message leave now? Asked when it is taken and again right before each of its parts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from bridge.api import representation
from bridge.models import Outgoing
from followups import sayable
from leads import optout, silence
from leads.models import Lead

ERASED = "personal data erased"


def refusal(lead: Lead, now: datetime) -> tuple[str, datetime | None] | None:
    """Return why the agent may say nothing to this lead, and since when; None when it may.

    A person who has any lead of theirs has the person. Whoever opted out is not spoken to by anything of ours.
    """
    if lead.erased_at:
        return ERASED, lead.erased_at
    if since := optout.since([lead]).get(lead.pk):
        return optout.SAID, since
    said = representation.agent(lead, representation.card_of(lead), now)
    if said["may_reply"] and lead.phone_key:
        said = representation.may_reply(lead.phone_key, None, now)
    if not said["may_reply"]:
        since_text = said["since"]
        return said["reason"], datetime.fromisoformat(since_text) if since_text else None
    if reason := silence.reason(lead.pipeline):
        return reason, None
    return None


def refusals(rows: Iterable[Outgoing], now: datetime) -> dict[UUID, str]:
    """Return which of these messages may not go on, and why. Follow-ups have a gate of their own."""
    rows = list(rows)
    attempts = {row.attempt_id: row.pk for row in rows if row.attempt_id}
    stopped = sayable.why_not(attempts, now=now) if attempts else {}
    found = {attempts[attempt_id]: reason for attempt_id, reason in stopped.items()}
    for row in rows:
        if row.lead.erased_at:
            found[row.pk] = ERASED
        elif row.attempt_id is None and (no := refusal(row.lead, now)):
            found[row.pk] = no[0]
    return found
