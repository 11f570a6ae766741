"""Allowed moments as a person would judge them, for comparison with what the schedule says."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from followups.schedule import WEEKDAYS, Hours


def on_the_wall(moment: datetime, hours: Hours, zone: str) -> bool:
    """Say whether a person looking at the clock and the calendar would call this an allowed moment."""
    there = moment.astimezone(ZoneInfo(zone))
    if WEEKDAYS[there.weekday()] not in hours.weekdays:
        return False
    if hours.quiet_from is None or hours.quiet_to is None or hours.quiet_from == hours.quiet_to:
        return True
    wall = there.time()
    if hours.quiet_from < hours.quiet_to:
        return not hours.quiet_from <= wall < hours.quiet_to
    return hours.quiet_to <= wall < hours.quiet_from
