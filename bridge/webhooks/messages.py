"""Who wrote what in a chat, out of a webhook's item. Pure, and total.

Source: https://developers.kommo.com/docs/webhooks-general (2026-07-02, outgoing messages).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.sync.takeovers import Said
from bridge.webhooks.parsing import number

# Kommo names the lead `entity`, amoCRM `element`, where 2 is a lead.
LEAD_TYPES = frozenset({"lead", "leads", "2"})


def written(data: Mapping[str, Any]) -> Said | None:
    """Return the message that somebody on our side wrote; None for one of the lead's own."""
    author = data.get("author")
    who = author if isinstance(author, Mapping) else {}
    if data.get("type") == "incoming" or who.get("type") == "external":
        return None
    is_lead = str(data.get("entity_type") or data.get("element_type") or "") in LEAD_TYPES
    lead_id = number(data.get("entity_id")) or number(data.get("element_id")) or 0
    return Said(
        author=str(who.get("type") or ""),
        user_id=number(who.get("user_id")) or 0,
        lead_id=lead_id if is_lead else 0,
        contact_id=number(data.get("contact_id")) or 0,
        at=number(data.get("created_at")) or 0,
        text=str(data.get("text") or ""),
    )
