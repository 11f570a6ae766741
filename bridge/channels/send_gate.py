"""May this message leave now? Asked when it is taken and again right before each of its parts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from bridge.api import representation
from bridge.models import Outgoing
from followups import may_still_be_said
from leads import optout, silenced_pipelines
from leads.may_speak import ERASED
from leads.models import Lead, Pipeline


def refusal(lead: Lead, pipeline: Pipeline | None, now: datetime) -> tuple[str, datetime | None] | None:
    """Return why the agent may say nothing to this lead, and since when, as `may-reply` says it; None when it may.

    pipeline: the only one whose rules are asked, if any (a key's own); people decide for all of them.
    """
    answer = representation.may_reply_to(lead, pipeline, now)
    if not answer["may_reply"]:
        since_text = answer["since"]
        return answer["reason"], datetime.fromisoformat(since_text) if since_text else None
    # By one of their other addresses, say.
    if since := optout.since([lead]).get(lead.pk):
        return optout.SAID, since
    return None


def refusals(rows: Iterable[Outgoing], now: datetime) -> dict[UUID, str]:
    """Return which of these messages may not go on, and why. Follow-ups have a gate of their own."""
    rows = list(rows)
    attempts = {row.attempt_id: row.pk for row in rows if row.attempt_id}
    stopped = may_still_be_said.why_not(attempts, now=now) if attempts else {}
    found = {attempts[attempt_id]: reason for attempt_id, reason in stopped.items()}
    for row in rows:
        if row.lead.erased_at:
            found[row.pk] = ERASED
        elif row.attempt_id is None and (no := _not_now(row.lead, now)):
            found[row.pk] = no
    return found


def _not_now(lead: Lead, now: datetime) -> str:
    no = refusal(lead, lead.pipeline, now)
    return no[0] if no else silenced_pipelines.reason(lead.pipeline)
