"""When the next message may go out: pure, decided on the clock of the wall the lead looks at.

A step is due so long after our last message, or so long before the meeting. Where that falls into quiet hours, on a day
without sending or on a holiday, a message after silence waits for the next allowed moment; a reminder waits too while
the meeting is still ahead, and otherwise comes in the last allowed moment before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays as holiday_calendars
from holidays.constants import OPTIONAL, PUBLIC

from common.reasons import Reason, several

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# The strictest weekdays and every holiday together stay far below; past it the hours allow nothing at all.
LONGEST_SEARCH_DAYS = 400
# Carnival is no holiday by law (“ponto facultativo”), and nobody sells on it.
RESTS_ON_OPTIONAL_DAYS = frozenset({"BR"})
# A reminder this close behind one that was meant to come long before it says nothing new.
JUST_REMINDED = timedelta(hours=1)


@dataclass(frozen=True)
class Hours:
    """When messages may go out. Without `quiet_from` and `quiet_to` at any hour; equal ones mean no quiet hours.

    weekdays: of WEEKDAYS; messages go out on these only. country and subdivision: whose holidays are kept, by ISO codes
    ("BR", "PE"); none without a country.
    """

    quiet_from: time | None = None
    quiet_to: time | None = None
    weekdays: frozenset[str] = frozenset(WEEKDAYS)
    country: str = ""
    subdivision: str = ""
    # Whether days that are none by law are kept too, on which a country rests all the same.
    optional_days: bool = True

    def for_step(self, weekdays: tuple[str, ...], *, is_reminder: bool) -> Hours:
        """Return these hours on the step's own weekdays alone; an empty choice leaves them as they are.

        Whoever has agreed to meet around such a day is reminded on it.
        """
        kept = self.weekdays & set(weekdays) if weekdays else self.weekdays
        return replace(self, weekdays=kept, optional_days=self.optional_days and not is_reminder)


@dataclass(frozen=True)
class Due:
    """A moment with the reason why then, in words for staff."""

    at: datetime
    reason: str


def after(anchor: datetime, delay: timedelta, hours: Hours, zone: str) -> Due | None:
    """Return the first allowed moment at least `delay` after `anchor`; None when the hours allow none at all."""
    due = anchor + delay
    found = _next_allowed(due, hours, ZoneInfo(zone))
    if found is None:
        return None
    reason = Reason("after_our_last_message", span=in_words(delay))
    return Due(found.at, several(filter(None, (reason, found.reason))))


def before(meeting: datetime, ahead: timedelta, hours: Hours, zone: str) -> Due | None:
    """Return when to remind of a meeting: `ahead` of it, or as near to that as the hours allow, and never after it."""
    due = meeting - ahead
    reason = Reason("before_the_meeting", span=in_words(ahead))
    found = _next_allowed(due, hours, ZoneInfo(zone))
    if found is None:
        return None
    if found.at < meeting:
        return Due(found.at, several(filter(None, (reason, found.reason))))
    earlier = _last_allowed(due, hours, ZoneInfo(zone))
    return Due(earlier, several([reason, Reason("earlier_because", rest=found.reason)])) if earlier else None


def left_out(
    meant: datetime,
    at: datetime,
    *,
    is_moved: bool,
    only_on_time: bool,
    zone: str,
    covered_at: datetime | None = None,
    apart: timedelta = timedelta(0),
) -> str | None:
    """Return why a step that was meant for one moment does not go out at another; None when it does.

    is_moved: the hours have moved it. covered_at: when an earlier reminder of the same meeting was given, if one was;
    apart: how far before this one it was meant. A reminder that would come on another day than meant, or right upon the
    one before, then has nothing to add.
    """
    if is_moved and only_on_time:
        return Reason("hours_do_not_allow_it")
    if covered_at is None:
        return None
    if at.astimezone(ZoneInfo(zone)).date() != meant.astimezone(ZoneInfo(zone)).date():
        return Reason("reminded_and_another_day")
    return Reason("just_reminded") if at - covered_at < JUST_REMINDED <= apart else None


def is_allowed(moment: datetime, hours: Hours, zone: str) -> bool:
    """Say whether a message may go out at this moment."""
    return _why_not(moment, hours, ZoneInfo(zone)) is None


def is_too_late(due: datetime, now: datetime, max_lateness: timedelta | None) -> bool:
    return max_lateness is not None and now - due > max_lateness


def in_words(duration: timedelta) -> str:
    """Return “2 h”, “30 min”, “1 day 2 h”: at most two parts, for people."""
    seconds = int(duration.total_seconds())
    days, rest = divmod(seconds, 86_400)
    parts = [f"{days} {'day' if days == 1 else 'days'}"] if days else []
    parts += [f"{rest // 3600} h"] if rest >= 3600 else []
    parts += [f"{rest % 3600 // 60} min"] if rest % 3600 >= 60 else []
    parts += [f"{rest % 60} s"] if rest % 60 else []
    return " ".join(parts[:2]) or "at once"


@dataclass(frozen=True)
class _Found:
    at: datetime
    reason: str


def _next_allowed(moment: datetime, hours: Hours, zone: ZoneInfo) -> _Found | None:
    reason = ""
    for _ in range(LONGEST_SEARCH_DAYS):
        obstacle = _why_not(moment, hours, zone)
        if obstacle is None:
            return _Found(moment, reason)
        reason = reason or obstacle.reason
        moment = obstacle.ends_at
    return None


def _last_allowed(moment: datetime, hours: Hours, zone: ZoneInfo) -> datetime | None:
    """Return the last minute before `moment` in which a message may go out."""
    for _ in range(LONGEST_SEARCH_DAYS):
        obstacle = _why_not(moment, hours, zone)
        if obstacle is None:
            return moment
        moment = obstacle.began_at - timedelta(minutes=1)
    return None


@dataclass(frozen=True)
class _Obstacle:
    began_at: datetime
    ends_at: datetime
    reason: str


def _why_not(moment: datetime, hours: Hours, zone: ZoneInfo) -> _Obstacle | None:
    local = moment.astimezone(zone)
    day = local.date()
    if reason := _no_sending_on(day, hours):
        return _Obstacle(_first(day, time(), zone), _last(day + timedelta(days=1), time(), zone), reason)
    quiet_from, quiet_to = hours.quiet_from, hours.quiet_to
    if quiet_from is None or quiet_to is None or quiet_from == quiet_to:
        return None
    for began_on in (day - timedelta(days=1), day):
        ends_on = began_on if quiet_from < quiet_to else began_on + timedelta(days=1)
        # Compared as moments, not as wall clocks: in the hour that comes twice, 01:30 is before and after 01:45.
        began_at, ends_at = _first(began_on, quiet_from, zone), _last(ends_on, quiet_to, zone)
        if began_at <= moment < ends_at:
            return _Obstacle(began_at, ends_at, Reason("quiet_hours_until", what=f"{quiet_to:%H:%M}"))
    return None


def _first(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Return the first moment the wall clock shows this; where the clock skips it, a moment before the skip."""
    return min(_both(day, wall, zone))


def _last(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Return the last moment the wall clock shows this; where the clock skips it, a moment after the skip."""
    return max(_both(day, wall, zone))


def _both(day: date, wall: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    there = datetime.combine(day, wall, zone)
    return there.replace(fold=0).astimezone(UTC), there.replace(fold=1).astimezone(UTC)


def _no_sending_on(day: date, hours: Hours) -> str | None:
    if WEEKDAYS[day.weekday()] not in hours.weekdays:
        return Reason("no_messages_on_weekday", weekday=f"{day:%A}s")
    holiday = _calendar(hours.country, hours.subdivision, hours.optional_days).get(day) if hours.country else None
    return Reason("holiday", what=holiday) if holiday else None


@lru_cache(maxsize=64)
def _calendar(country: str, subdivision: str, optional_days: bool) -> holiday_calendars.HolidayBase:
    """Return the calendar; one of a country alone when its state is unknown, an empty one for an unknown country.

    Codes are taken as people type them: “br” must not mean a year without holidays.
    """
    kept = (PUBLIC, OPTIONAL) if optional_days and country.upper() in RESTS_ON_OPTIONAL_DAYS else (PUBLIC,)
    try:
        return holiday_calendars.country_holidays(country.upper(), subdiv=subdivision.upper() or None, categories=kept)
    except NotImplementedError:
        if subdivision:
            return _calendar(country, "", optional_days)
        return holiday_calendars.HolidayBase()
