"""Moments that stand in an address of the admin: whoever writes one there may write anything."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware


def read(text: str) -> datetime | None:
    """Return a moment with its zone; None for what is none, or lies where the calendar ends and has no UTC."""
    try:
        found = parse_datetime(text)
        return found.astimezone(UTC) if found and is_aware(found) else None
    except (ValueError, OverflowError):
        return None
