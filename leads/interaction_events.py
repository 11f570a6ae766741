"""What the timeline tells of an interaction: what was said and learnt, what was decided, and what was not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from leads import (
    meetings,
)
from leads.interaction_values import Direction, Recorded
from leads.models import (
    Event,
    Lead,
)
from leads.staff_wanted import wants_staff

AUTHORS = {
    Direction.INBOUND: Lead.Actor.LEAD,
    Direction.STAFF: Lead.Actor.STAFF,
    Direction.BOT: Lead.Actor.KOMMO,
}


def events(record: Recorded, now: datetime) -> list[Event]:
    interaction, lead, previous, decision, changes = (
        record.interaction,
        record.lead,
        record.previous,
        record.decision,
        record.changes,
    )
    message = interaction.message
    actor = AUTHORS.get(message.direction, Lead.Actor.AGENT) if message else interaction.actor or Lead.Actor.AGENT
    data: dict[str, Any] = {"changed": changes.timeline}
    if record.ignored:
        data["ignored"] = record.ignored
    if changes.unmapped_flow:
        data["unmapped_flow"] = changes.unmapped_flow
    if message:
        data["message"] = {"id": message.id, "direction": message.direction, "text": message.text}
    if message and message.kind != "text":
        data["message"]["kind"] = message.kind
    if interaction.via:
        data["channel"] = interaction.via
    # A message stands where it was written; what was concluded with it, when that was.
    at = message.sent_at if message and message.sent_at else interaction.occurred_at
    events = []
    if not (interaction.is_told_before or interaction.via) or message or changes.timeline or record.ignored:
        events.append(Event(lead_id=lead.pk, at=at, kind=Event.Kind.INTERACTION, actor=actor, data=data))
    if decision.changed:
        data = {
            "rule": decision.rule,
            "from": previous.key if previous else "other",
            "to": decision.stage,
            "from_name": previous.name if previous else "",
            "to_name": lead.stage.name if lead.stage else "",
        }
        events.append(bridge_event(lead, now, Event.Kind.DECISION, decision.reason, data))
    if decision.suppressed and changes.columns:
        data = {"would_be": decision.suppressed.stage, "rule": decision.suppressed.rule}
        events.append(bridge_event(lead, now, Event.Kind.MOVE_SUPPRESSED, decision.suppressed.reason, data))
    if changes.gone_by:
        events.append(meetings.gone_by(lead, changes, now))
    if reason := wants_staff(record):
        events.append(bridge_event(lead, now, Event.Kind.STAFF_TOLD, reason, {}))
    return events


def bridge_event(lead: Lead, now: datetime, kind: Event.Kind, reason: str, data: dict[str, Any]) -> Event:
    return Event(lead_id=lead.pk, at=now, kind=kind, actor=Lead.Actor.BRIDGE, reason=reason[:500], data=data)
