"""How much has left by a way out? Kommo's add-on is metered, and says so only when nothing is left."""

from __future__ import annotations

from datetime import datetime

from bridge.models import Channel
from leads.models import MessagePart


def this_month(channel: Channel, now: datetime) -> int:
    """Return how many parts have left by it since the month began, as far as messages are kept."""
    begun = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    left = MessagePart.objects.filter(message__outgoing__channel=channel, message__outgoing__created_at__gte=begun)
    return left.filter(state__in=(MessagePart.State.SENT, MessagePart.State.DELIVERED)).count()
