"""Is what Kommo's chat shows a message of ours? Then it has arrived, and no other bot has spoken."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db.models import Q

from bridge.models import Account, Card
from leads import message_parts


def shown(
    account: Account, *, lead_id: int, contact_id: int, text: str, message_id: str, at: int, now: datetime
) -> bool:
    """Note that a text of ours stands in a lead's chat; False for one that is nobody's message under way."""
    if not text.strip():
        return False
    which = Q(kommo_lead_id=lead_id) if lead_id else Q(kommo_contact_id=contact_id) | Q(own_contact_id=contact_id)
    leads = list(Card.objects.filter(which, account=account).values_list("lead_id", flat=True))
    seen_at = min(now, datetime.fromtimestamp(at, UTC)) if at else now
    return bool(leads) and message_parts.arrived(leads, text, their_id=message_id, at=seen_at, now=now)
