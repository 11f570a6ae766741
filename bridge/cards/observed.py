"""A lead as Kommo returned it, in the shape a card keeps it."""

from __future__ import annotations

import re
from typing import Any

from bridge.kommo import custom_field_values
from bridge.kommo.replies import LeadReply
from bridge.models import Card


def observed(reply: LeadReply) -> dict[str, Any]:
    """Return what `Card.observed` holds for this lead (its shape is on the model)."""
    return {
        "name": reply.name,
        "price": reply.price,
        "pipeline_id": reply.pipeline_id,
        "status_id": reply.status_id,
        "responsible_user_id": reply.responsible_user_id,
        "loss_reason_id": reply.loss_reason_id,
        "fields": {
            str(custom_field.field_id): custom_field_values.from_kommo(
                custom_field.field_type, custom_field.values, reply.zone
            )
            for custom_field in reply.custom_fields
        },
        "tags": sorted(reply.tags),
        "updated_at": reply.updated_at,
    }


def persons_name(name: str, kommo_id: int) -> str:
    """Return the name unless it is the one Kommo gives to leads that have none, in any language: “Lead #123”."""
    return "" if re.fullmatch(rf"\w+ #{kommo_id}", name.strip()) else name


def meet_contact(card: Card, reply: LeadReply) -> None:
    """Note the lead's main contact of today, in memory, and keep whom we knew first beside it: the person's own.

    Staff may make a relative or a colleague the main one; the person's chat and phone are still their own contact's.
    """
    if reply.main_contact_id is None or reply.main_contact_id == card.kommo_contact_id:
        return
    card.own_contact_id = card.own_contact_id or card.kommo_contact_id
    card.kommo_contact_id = reply.main_contact_id
