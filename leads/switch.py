"""The switch that silences the agent for every lead of a pipeline at once, whatever else holds, until it is let speak.

An emergency stop and no rule: it is kept on the pipeline's row and no configuration file has it. Nothing is concluded
from the silence; what leads write meanwhile is held back (leads/untold.py).
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from leads import announcements
from leads.models import Pipeline

LONGEST_REASON = 300


@transaction.atomic
def silence(pipeline: Pipeline, *, by: str, reason: str, now: datetime) -> bool:
    """Silence the agent in a pipeline; False when it is silent already, and then since, reason and by whom stay."""
    row = _locked(pipeline)
    changed = row.silenced_at is None
    if changed:
        row.silenced_at, row.silenced_by = now, by[:150]
        row.silenced_reason = " ".join(reason.split())[:LONGEST_REASON]
        row.save(update_fields=["silenced_at", "silenced_by", "silenced_reason"])
        announcements.agent_switched.send(Pipeline, pipeline=row, silenced=True, now=now)
    _tell(pipeline, row)
    return changed


@transaction.atomic
def let_speak(pipeline: Pipeline, *, now: datetime) -> bool:
    """Let the agent speak again; False when it may already."""
    row = _locked(pipeline)
    changed = row.silenced_at is not None
    if changed:
        row.silenced_at, row.silenced_by, row.silenced_reason = None, "", ""
        row.save(update_fields=["silenced_at", "silenced_by", "silenced_reason"])
        announcements.agent_switched.send(Pipeline, pipeline=row, silenced=False, now=now)
    _tell(pipeline, row)
    return changed


def _locked(pipeline: Pipeline) -> Pipeline:
    return Pipeline.objects.select_for_update(no_key=True).get(pk=pipeline.pk)


def _tell(pipeline: Pipeline, row: Pipeline) -> None:
    """Let the caller's instance know what the row says."""
    for name in ("silenced_at", "silenced_by", "silenced_reason"):
        setattr(pipeline, name, getattr(row, name))
