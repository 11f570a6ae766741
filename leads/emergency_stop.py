"""The switch that silences the agent for every lead of a pipeline at once, whatever else holds, until it is let speak.

An emergency stop and no rule: it is kept on the pipeline's row and no configuration file has it. Nothing is concluded
from the silence; what leads write meanwhile is held back (leads/untold_messages.py). What a person has stopped no
program starts again: a key lifts the silence of a key alone.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from leads import announcements
from leads.models import Pipeline

LONGEST_REASON = 300
# Whoever silences is kept by name, and no name of a user has a blank in it.
A_KEY = "API key {}"


class StaffsStopError(Exception):
    """A person silenced the agent here, and a person lets it speak again."""


@transaction.atomic
def silence(pipeline: Pipeline, *, by: str, reason: str, now: datetime) -> bool:
    """Silence the agent in a pipeline; False when it is silent already, and then since, reason and by whom stay.

    Only a person who silences what a key has silenced stands in its place: then no key lifts it.
    """
    row = _locked(pipeline)
    changed = row.silenced_at is None
    if changed:
        row.silenced_at, row.silenced_by = now, by[:150]
        row.silenced_reason = " ".join(reason.split())[:LONGEST_REASON]
        row.save(update_fields=["silenced_at", "silenced_by", "silenced_reason"])
        announcements.agent_switched.send(Pipeline, pipeline=row, silenced=True, now=now)
    elif _is_key(row.silenced_by) and not _is_key(by):
        row.silenced_by = by[:150]
        row.save(update_fields=["silenced_by"])
    _tell(pipeline, row)
    return changed


@transaction.atomic
def let_speak(pipeline: Pipeline, *, by: str, now: datetime) -> bool:
    """Let the agent speak again; False when it may already.

    Raises StaffsStopError for a key where a person silenced it.
    """
    row = _locked(pipeline)
    if row.silenced_at and _is_key(by) and not _is_key(row.silenced_by):
        raise StaffsStopError
    changed = row.silenced_at is not None
    if changed:
        row.silenced_at, row.silenced_by, row.silenced_reason = None, "", ""
        row.save(update_fields=["silenced_at", "silenced_by", "silenced_reason"])
        announcements.agent_switched.send(Pipeline, pipeline=row, silenced=False, now=now)
    _tell(pipeline, row)
    return changed


def _is_key(name: str) -> bool:
    return name.startswith(A_KEY.format(""))


def _locked(pipeline: Pipeline) -> Pipeline:
    return Pipeline.objects.select_for_update(no_key=True).get(pk=pipeline.pk)


def _tell(pipeline: Pipeline, row: Pipeline) -> None:
    """Let the caller's instance know what the row says."""
    for name in ("silenced_at", "silenced_by", "silenced_reason"):
        setattr(pipeline, name, getattr(row, name))
