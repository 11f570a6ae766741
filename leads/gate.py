"""May the agent speak with this lead? The one question of whatever speaks or is told to: the API, messages, follow-ups.

Answered from the lead's row and its pipeline's. What a room above knows besides (that Kommo could not be asked for too
long, say) it adds to the answer; nobody asks anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from leads.models import Lead, Pipeline


class Shut(StrEnum):
    """What keeps the agent silent."""

    SWITCHED_OFF = "switched_off"
    PERSON = "person"


@dataclass(frozen=True)
class Refusal:
    """Why the agent may not speak with a lead, in words, and since when that is so."""

    shut: Shut
    reason: str
    since: datetime | None = None


def refusal(lead: Lead) -> Refusal | None:
    """Return why the agent may not speak with this lead now; None when it may. No query with the pipeline at hand."""
    if lead.pipeline.silenced_at:
        return Refusal(Shut.SWITCHED_OFF, switched_off(lead.pipeline), lead.pipeline.silenced_at)
    if lead.in_handoff:
        return Refusal(Shut.PERSON, lead.handoff_reason or lead.handoff_source, lead.handoff_since)
    return None


def switched_off(pipeline: Pipeline) -> str:
    """Return in words why the agent is silent in a whole pipeline."""
    return f"the agent is silenced in this pipeline: {pipeline.silenced_reason or 'no reason was given'}"
