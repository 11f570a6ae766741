"""What a key that may act can do to one lead, by the services that the API and the admin use."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from bridge.api import representation
from bridge.mcp.tool_arguments import Asked
from bridge.mcp.which_lead import lead_of
from followups import staff_actions
from followups.models import Enrollment
from leads import agent_or_person
from leads.models import Lead


def hand_over(asked: Asked) -> dict[str, Any]:
    lead, now = lead_of(asked), timezone.now()
    changed = agent_or_person.hand_over(lead, by=Lead.Actor.AGENT, reason=asked.get("reason"), now=now)
    return _now(lead, changed)


def give_back(asked: Asked) -> dict[str, Any]:
    lead, now = lead_of(asked), timezone.now()
    reason = asked.get("reason") or f"given back by {asked.key.name}"
    return _now(lead, agent_or_person.give_back(lead, by=Lead.Actor.STAFF, reason=reason[:500], now=now))


def hold_followup(asked: Asked) -> dict[str, Any]:
    lead, now = lead_of(asked), timezone.now()
    waiting = Enrollment.objects.filter(lead=lead, state=Enrollment.State.WAITING, held=False)
    held_back = [
        str(enrollment.sequence)
        for enrollment in waiting.select_related("sequence")
        if staff_actions.hold(enrollment, who=asked.key.name, now=now)
    ]
    return {"lead": str(lead.pk), "changed": bool(held_back), "held": held_back}


def _now(lead: Lead, changed: bool) -> dict[str, Any]:
    lead = Lead.objects.select_related("pipeline", "stage", "card__account").get(pk=lead.pk)
    card = representation.card_of(lead)
    answer = representation.agent(lead, card, timezone.now())
    return {"lead": representation.lead_summary(lead, card), "changed": changed, "agent": answer}
