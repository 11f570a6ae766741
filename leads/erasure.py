"""Forgetting a person (LGPD): what could identify them goes, the counts and the proof of erasure stay."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from leads import announcements
from leads.models import Event, Lead

# Parts of an event's data that carry nothing personal: where the lead stood, and by which rule.
IMPERSONAL = frozenset(
    {"from", "to", "rule", "from_name", "to_name", "would_be", "operation", "outcome", "status_code", "since"}
)


@transaction.atomic
def erase(lead: Lead, *, by: Lead.Actor, now: datetime, elsewhere: bool = False) -> bool:
    """Erase the person from the lead and its timeline; False when that was done before.

    The lead stays as a nameless row in its stage, opted out, so that figures remain true. Rooms above hear of it and
    remove what they hold themselves; with `elsewhere` also what the systems they write to show of the person.
    """
    lead = Lead.objects.select_for_update().get(pk=lead.pk)
    if not lead.erased_at or elsewhere:
        announcements.personal_data_erased.send(Lead, lead=lead, elsewhere=elsewhere, now=now)
    if lead.erased_at:
        return False
    lead.phone = lead.phone_key = None
    lead.whatsapp_id = ""
    lead.name = lead.email = lead.chosen_flow = lead.conversation_stage = ""
    lead.bill_value = lead.qualification_score = None
    lead.is_decision_maker = lead.has_solar_system = lead.has_active_contract = None
    lead.custom, lead.provenance = {}, {}
    lead.concluded, lead.concluded_when_moved = [], []
    lead.meeting_id = lead.meeting_link = lead.handoff_reason = lead.decision_reason = ""
    lead.opted_out_at = lead.opted_out_at or now
    lead.erased_at = lead.updated_at = now
    lead.objections.all().delete()
    events = list(lead.events.all())
    for event in events:
        event.reason, event.data = "", _impersonal(event.data)
    Event.objects.bulk_update(events, ["reason", "data"], batch_size=500)
    lead.save()
    lead.events.create(at=now, kind=Event.Kind.ERASED, actor=by, reason="personal data erased")
    return True


def _impersonal(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key in IMPERSONAL}
