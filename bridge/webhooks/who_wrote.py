"""Who wrote what in a chat, out of a webhook's item. Pure, and total.

Source: https://developers.kommo.com/docs/webhooks-general (2026-07-02, outgoing messages).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.inbound.chat_replies import Said
from bridge.kommo.reply_values import seconds
from bridge.webhooks.parsing import number

# Kommo names the lead `entity`, amoCRM `element`, where 2 is a lead.
LEAD_TYPES = frozenset({"lead", "leads", "2"})


def written(data: Mapping[str, Any]) -> Said | None:
    """Return the message that somebody on our side wrote; None for one of the lead's own."""
    given = data.get("author")
    who: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    author = word(who.get("type"))
    if word(data.get("type")) == "incoming" or author == "external":
        return None
    is_lead = word(data.get("entity_type") or data.get("element_type")) in LEAD_TYPES
    lead_id = number(data.get("entity_id")) or number(data.get("element_id")) or 0
    return Said(
        author=author,
        user_id=number(who.get("user_id")) or 0,
        lead_id=lead_id if is_lead else 0,
        contact_id=number(data.get("contact_id")) or 0,
        at=moment(data.get("created_at")),
        text=text if isinstance(text := data.get("text"), str) else "",
        id=str(data.get("id") or "")[:250],
    )


def word(value: Any) -> str:
    """Return a word of Kommo's, however it is written; "" for none."""
    return value.strip().lower() if isinstance(value, str) else ""


def moment(value: Any) -> int:
    """Return Unix seconds; of milliseconds too, and 0 for what is no time that a clock shows."""
    given = number(value) or 0
    return seconds(given) or seconds(given // 1000)
