"""Whose turn is it? Where a message stands among the others, by two clocks that differ. Pure.

WhatsApp's times have whole seconds, an agent's own have milliseconds and a clock that may be minutes off, and a message
without a time has that of its report. Compared to the millisecond they say that somebody who has answered has not. So
the order in which messages were *reported* counts where their times are too close to tell.
"""

from __future__ import annotations

from datetime import datetime, timedelta

# How far two honest clocks are apart.
CLOCK_TOLERANCE = timedelta(minutes=2)
JUST_AFTER = timedelta(microseconds=1)


def of_the_lead(sent_at: datetime, *, ours: datetime | None) -> datetime:
    """Return when a message of the lead counts, that is reported after our last one, sent at `ours`.

    A little earlier than ours it is an answer all the same: a nudge too few costs less than one to somebody who wrote.
    """
    if ours is not None and ours - CLOCK_TOLERANCE <= sent_at <= ours:
        return ours + JUST_AFTER
    return sent_at


def of_ours(sent_at: datetime, *, theirs: datetime | None) -> datetime:
    """Return when a message of ours counts, that is reported after the lead's last one, sent at `theirs`.

    Within one second it is the reply. Earlier than that it was sent before they wrote, and only reported late.
    """
    if theirs is not None and sent_at <= theirs and _second(sent_at) == _second(theirs):
        return theirs + JUST_AFTER
    return sent_at


def of_a_meeting(at: datetime, *, known: datetime | None, follows: bool, is_timed: bool) -> datetime:
    """Return when news of a meeting counts, that is reported after news of the same meeting, told at `known`.

    A little earlier than that it is the later news all the same where it can only follow, as a cancelling follows the
    booking, or where nobody said when it was; deliveries of one clock that overtake each other stand by their times.
    """
    if known is not None and at < known <= at + CLOCK_TOLERANCE and (follows or not is_timed):
        return known + JUST_AFTER
    return at


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
