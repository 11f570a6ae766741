"""Moments in the admin: as a list shows them, and as an address has them, where anybody may write anything."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import is_aware

from bridge.templatetags.overview import ago, moment


def read(text: str) -> datetime | None:
    """Return a moment with its zone; None for what is none, or lies where the calendar ends and has no UTC."""
    try:
        found = parse_datetime(text)
        return found.astimezone(UTC) if found and is_aware(found) else None
    except (ValueError, OverflowError):
        return None


def cell(at: datetime | None) -> SafeString:
    """Return when something was, as one says it; the whole date is there for whoever points at it."""
    if at is None:
        return SafeString("–")
    return format_html(
        '<time datetime="{}" title="{}" class="kb-cell-when">{}</time>', at.isoformat(), moment(at), ago(at)
    )
