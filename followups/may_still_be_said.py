"""May a follow-up that was handed to a channel still be said? Its reason may have ended while it waited there."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from common.reasons import Reason
from followups import claiming, sequence_versions, who_may_be_written_to
from followups.models import Attempt, Enrollment
from leads import optout, silenced_pipelines


def why_not(attempt_ids: Collection[UUID], *, now: datetime) -> dict[UUID, str]:
    """Return which of these may not be said now, and why. A few queries, whatever their number."""
    rows = Attempt.objects.filter(pk__in=attempt_ids).select_related(
        "enrollment__lead__pipeline", "enrollment__lead__stage", "enrollment__sequence", "enrollment__version"
    )
    attempts = list(rows)
    leads = [candidate.enrollment.lead for candidate in attempts]
    vetoes = who_may_be_written_to.vetoes(leads) | dict.fromkeys(optout.since(leads), optout.SAID)
    quiet = silenced_pipelines.reasons(lead.pipeline_id for lead in leads)
    found: dict[UUID, str] = {}
    for attempt in attempts:
        enrollment = attempt.enrollment
        plan = sequence_versions.read(enrollment.version)
        if enrollment.state != Enrollment.State.WAITING:
            found[attempt.pk] = enrollment.reason or Reason("sequence_ended")
            continue
        reason = vetoes.get(enrollment.lead_id) or who_may_be_written_to.why_not(
            enrollment.lead, enrollment.sequence, plan
        )
        if reason := reason or quiet.get(enrollment.lead.pipeline_id):
            found[attempt.pk] = reason
        elif not claiming.is_their_moment(attempt, now):
            found[attempt.pk] = "its moment has passed"
    return found | dict.fromkeys(
        set(attempt_ids) - {candidate.pk for candidate in attempts}, "the follow-up is no more"
    )
