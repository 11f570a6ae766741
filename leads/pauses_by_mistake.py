"""Was the agent silenced for words that were its own? Then the lead is its own again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from leads import handoff
from leads.models import Lead
from leads.models import Message as Row

# What a lead was taken from the agent for, and by whose message.
TAKEN_FOR: dict[str, str] = {
    Lead.HandoffSource.CHAT: Row.Direction.STAFF,
    Lead.HandoffSource.GUARD: Row.Direction.BOT,
}


def take_back(mistaken: Iterable[Row], leads: Mapping[Any, Lead], *, now: datetime) -> None:
    """Give leads back to the agent that were taken from it for a message which is the agent's own."""
    for row in mistaken:
        lead = leads[row.lead_id]
        if lead.handoff_source not in TAKEN_FOR or lead.handoff_since != row.at:
            continue
        if not Row.objects.filter(lead=lead, direction=TAKEN_FOR[lead.handoff_source], at__gte=row.at).exists():
            reason = "what was taken for somebody else's message was the agent's own"
            handoff.resume(lead, by=Lead.Actor.BRIDGE, reason=reason, now=now)
