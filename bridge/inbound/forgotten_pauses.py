"""Who stands in human care, was never given back, and is not paused? Their stage paused nobody when they came, say."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F, Q, QuerySet

from leads import handoff
from leads.models import Lead

# In one go; whoever comes next goes on.
AT_ONCE = 500


def pause_forgotten(leads: QuerySet[Lead], now: datetime) -> int:
    """Pause the agent for leads that stand in human care and that nobody has given back since they came there."""
    never = Q(resumed_at=None) | Q(resumed_at__lt=F("stage_set_at"))
    forgotten = leads.filter(never, stage__pauses_agent=True, handoff_source="", erased_at=None)
    rows = list(forgotten.select_related("pipeline", "stage").order_by("pk")[:AT_ONCE])
    for lead in rows:
        handoff.follow_stage(lead, by=Lead.Actor.BRIDGE, now=now, found=True)
    return len(rows)
