"""A lead as the agent is told of it, with every event."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db.models import prefetch_related_objects
from django.dispatch import Signal

from leads import booking_links
from leads.models import Lead

# lead_ids. Receivers return {lead id: {name: value}} of what only they know: the id of the card, for one.
particulars_wanted = Signal()


def people(leads: Sequence[Lead]) -> dict[UUID, dict[str, Any]]:
    """Return leads as the agent is told of them, by their ids. As many queries as there are rooms that add to it."""
    known = _particulars([lead.pk for lead in leads])
    prefetch_related_objects(leads, "further_addresses")
    return {lead.pk: _person(lead) | known.get(lead.pk, {}) for lead in leads}


def person(lead: Lead) -> dict[str, Any]:
    return people([lead])[lead.pk]


def _person(lead: Lead) -> dict[str, Any]:
    return {
        "id": str(lead.pk),
        "phone": lead.phone,
        "addresses": lead.addresses,
        "name": lead.name or None,
        "email": lead.email or None,
        "pipeline": lead.pipeline.slug,
        "stage": lead.stage.key if lead.stage else "other",
        "kommo_lead_id": None,
        "bill_value": None if lead.bill_value is None else float(lead.bill_value),
        "chosen_flow": lead.chosen_flow or None,
        "qualification_score": None if lead.qualification_score is None else float(lead.qualification_score),
        "conversation_stage": lead.conversation_stage or None,
        "meeting": _meeting(lead),
        "booking_url": booking_links.link(lead.pipeline.booking_url, lead.pk),
        "custom": lead.custom,
    }


def _meeting(lead: Lead) -> dict[str, Any] | None:
    if not lead.meeting_status:
        return None
    return {
        "id": lead.meeting_id or None,
        "status": lead.meeting_status,
        "starts_at": lead.meeting_starts_at.isoformat() if lead.meeting_starts_at else None,
        "link": lead.meeting_link or None,
    }


def _particulars(lead_ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    found: dict[UUID, dict[str, Any]] = {}
    answers: list[tuple[Any, Any]] = particulars_wanted.send(Lead, lead_ids=lead_ids)
    for _, values_by_lead in answers:
        for lead_id, values in values_by_lead.items():
            found.setdefault(lead_id, {}).update(values)
    return found
