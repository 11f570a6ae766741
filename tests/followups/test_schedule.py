"""Nothing at night, on a Sunday or three hours off, in whatever zone the lead lives."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from followups import schedule
from followups.schedule import WEEKDAYS, Hours
from tests.followups.wall_clock import on_the_wall

SAO_PAULO = "America/Sao_Paulo"
SALES = Hours(time(20), time(8), frozenset(WEEKDAYS) - {"sun"}, "BR", "PE")


def local(text: str, zone: str = SAO_PAULO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("ours", "delay", "due", "why"),
    [
        ("2026-11-24 10:00", "30 min", "2026-11-24 10:30", ""),
        ("2026-11-24 19:50", "30 min", "2026-11-25 08:00", "quiet hours until 08:00"),
        ("2026-11-24 20:00", "24 h", "2026-11-26 08:00", "quiet hours"),
        # A Saturday evening: Sunday is not a day for messages.
        ("2026-11-28 19:45", "30 min", "2026-11-30 08:00", "quiet hours"),
        ("2026-11-27 10:00", "48 h", "2026-11-30 08:00", "no messages on Sundays"),
        ("2026-12-24 10:00", "24 h", "2026-12-26 08:00", "holiday: "),
    ],
)
def test_a_message_waits_for_the_hours_it_may_go_out(ours, delay, due, why):
    number, unit = delay.split()
    found = schedule.after(
        local(ours), timedelta(**{"minutes" if unit == "min" else "hours": int(number)}), SALES, SAO_PAULO
    )
    assert found is not None
    assert found.at == local(due)
    assert why in found.reason


def test_the_hours_are_those_of_the_leads_wall_and_not_of_the_server():
    at_nine_in_sao_paulo = local("2026-11-24 21:00")
    assert not schedule.is_allowed(at_nine_in_sao_paulo, SALES, SAO_PAULO)
    assert schedule.is_allowed(at_nine_in_sao_paulo, SALES, "America/Los_Angeles")


@pytest.mark.parametrize(
    ("meeting", "ahead", "due"),
    [
        ("2026-11-26 14:00", 24, "2026-11-25 14:00"),
        # 21:00 the evening before is too late; the morning is still ahead of the meeting.
        ("2026-11-26 21:00", 24, "2026-11-26 08:00"),
        # Two hours before is before dawn, and eight is after the meeting has begun: the evening before it is.
        ("2026-11-26 08:00", 2, "2026-11-25 19:59"),
        # On Monday at eight, Sunday is of no use.
        ("2026-11-30 08:00", 2, "2026-11-28 19:59"),
    ],
)
def test_a_reminder_comes_before_the_meeting_and_within_the_hours(meeting, ahead, due):
    found = schedule.before(local(meeting), timedelta(hours=ahead), SALES, SAO_PAULO)
    assert found is not None
    assert found.at == local(due)


@pytest.mark.parametrize(
    ("meeting", "reason"),
    [
        ("2026-11-26 14:00", "1 day before the meeting"),
        ("2026-11-26 21:00", "1 day before the meeting; quiet hours until 08:00"),
        ("2026-11-30 08:00", "1 day before the meeting; earlier, because no messages on Sundays"),
    ],
)
def test_a_reminder_says_why_it_comes_when_it_does(meeting, reason):
    found = schedule.before(local(meeting), timedelta(hours=24), SALES, SAO_PAULO)
    assert found is not None
    assert found.reason == reason


def test_a_message_within_its_hours_gives_the_delay_as_its_reason_alone():
    found = schedule.after(local("2026-11-24 10:00"), timedelta(minutes=30), SALES, SAO_PAULO)
    assert found is not None
    assert found.reason == "30 min after our last message"


@pytest.mark.parametrize("quiet", [(None, time(8)), (time(20), None), (time(8), time(8))])
def test_quiet_hours_need_a_beginning_and_another_end(quiet):
    always = Hours(*quiet, frozenset(WEEKDAYS), "", "")
    assert all(schedule.is_allowed(local(f"2026-11-24 {hour:02}:00"), always, SAO_PAULO) for hour in range(24))


def test_a_step_keeps_to_its_own_days_within_the_sequences():
    assert SALES.for_step((), is_reminder=False) == SALES
    narrowed = SALES.for_step(("mon", "sun"), is_reminder=False)
    assert narrowed == Hours(SALES.quiet_from, SALES.quiet_to, frozenset({"mon"}), "BR", "PE")


def test_too_late_is_later_than_what_is_allowed_and_never_where_nothing_is_said():
    due = local("2026-11-24 10:00")
    hour = timedelta(hours=1)
    assert not schedule.is_too_late(due, due + hour, hour)
    assert schedule.is_too_late(due, due + hour + timedelta(seconds=1), hour)
    assert not schedule.is_too_late(due, due + timedelta(days=99), None)


@pytest.mark.parametrize(("country", "state"), [("BR", "PE"), ("br", "pe"), ("BR", "??")])
def test_holidays_are_kept_however_their_codes_are_typed(country, state):
    hours = Hours(country=country, subdivision=state)
    assert not schedule.is_allowed(local("2026-12-25 10:00"), hours, SAO_PAULO)
    # The day of Pernambuco's revolution is a holiday in that state alone.
    assert schedule.is_allowed(local("2026-03-06 10:00"), hours, SAO_PAULO) is (state == "??")


@pytest.mark.parametrize("day", ["2026-02-16", "2026-02-17", "2026-02-18", "2026-06-04", "2027-02-09", "2026-12-31"])
def test_a_nudge_waits_for_the_end_of_days_that_are_holidays_by_custom(day):
    assert schedule.is_allowed(local(f"{day} 10:00"), Hours(), SAO_PAULO)
    for state in ("", "PE", "SP"):
        nudge = Hours(country="BR", subdivision=state).for_step((), is_reminder=False)
        assert not schedule.is_allowed(local(f"{day} 10:00"), nudge, SAO_PAULO)


def test_whoever_meets_on_ash_wednesday_is_reminded_at_carnival_and_nobody_on_christmas():
    hours = Hours(country="br").for_step((), is_reminder=True)
    due = schedule.before(local("2026-02-18 15:00"), timedelta(hours=24), hours, SAO_PAULO)
    assert due is not None and due.at == local("2026-02-17 15:00")
    assert not schedule.is_allowed(local("2026-12-25 10:00"), hours, SAO_PAULO)


@pytest.mark.parametrize("country", ["PT", "IN", "US", "AR"])
def test_elsewhere_holidays_are_those_of_the_law(country):
    kept, of_law = Hours(country=country), Hours(country=country, optional_days=False)
    days = [local("2026-01-01 12:00") + timedelta(days=number) for number in range(365)]
    assert [schedule.is_allowed(day, kept, SAO_PAULO) for day in days] == [
        schedule.is_allowed(day, of_law, SAO_PAULO) for day in days
    ]


def test_hours_that_allow_nothing_say_so():
    assert schedule.after(local("2026-11-24 10:00"), timedelta(hours=1), Hours(weekdays=frozenset()), SAO_PAULO) is None


ZONES = st.sampled_from(
    # With DST at night and at midnight, half hours, a day that never was, both hemispheres, and none of it.
    [SAO_PAULO, "America/Recife", "Europe/Lisbon", "America/Havana", "Australia/Lord_Howe", "Pacific/Apia",
     "Asia/Kathmandu", "America/St_Johns", "Africa/Cairo", "UTC"]
)  # fmt: skip
TIMES = st.times().map(lambda wall: wall.replace(second=0, microsecond=0, tzinfo=None))
HOURS = st.builds(
    Hours,
    TIMES,
    TIMES,
    st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(frozenset),
    st.sampled_from(["", "BR", "PT", "US", "XX"]),
    st.sampled_from(["", "PE", "NY", "??"]),
)
MOMENTS = st.datetimes(datetime(2011, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
DELAYS = st.timedeltas(timedelta(0), timedelta(days=10))


@given(MOMENTS, DELAYS, HOURS, ZONES)
@example(datetime(2018, 11, 3, 22, tzinfo=UTC), timedelta(hours=5), Hours(time(23), time(0, 30)), SAO_PAULO)
def test_a_message_goes_out_at_or_after_its_due_time_and_inside_the_hours(ours, delay, hours, zone):
    found = schedule.after(ours, delay, hours, zone)
    assume(found is not None)
    assert found.at >= ours + delay
    assert on_the_wall(found.at, hours, zone)
    assert schedule.is_allowed(found.at, hours, zone)


@given(MOMENTS, DELAYS, HOURS, ZONES)
def test_a_message_waits_no_longer_than_it_must(ours, delay, hours, zone):
    found = schedule.after(ours, delay, hours, zone)
    assume(found is not None and found.at > ours + delay)
    just_before = found.at - timedelta(seconds=1)
    assert just_before < ours + delay or not schedule.is_allowed(just_before, hours, zone)


@given(MOMENTS, st.timedeltas(timedelta(minutes=1), timedelta(days=5)), HOURS, ZONES)
def test_a_reminder_is_never_after_the_meeting_nor_outside_the_hours(meeting, ahead, hours, zone):
    found = schedule.before(meeting, ahead, hours, zone)
    assume(found is not None)
    assert found.at < meeting
    assert on_the_wall(found.at, hours, zone)


@given(MOMENTS, st.lists(DELAYS, min_size=2, max_size=5), st.lists(DELAYS, min_size=5, max_size=5), HOURS, ZONES)
def test_steps_sent_late_keep_their_order_and_their_distance(ours, delays, late, hours, zone):
    sent = ours
    for delay, lateness in zip(delays, late, strict=False):
        found = schedule.after(sent, delay, hours, zone)
        assume(found is not None)
        assert found.at - sent >= delay
        sent = found.at + lateness


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "at once"),
        (2, "2 s"),
        (59, "59 s"),
        (60, "1 min"),
        (1800, "30 min"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (7200, "2 h"),
        (7260, "2 h 1 min"),
        (86_400, "1 day"),
        (180_000, "2 days 2 h"),
        (180_061, "2 days 2 h"),
    ],
)
def test_durations_are_told_in_words(seconds, words):
    assert schedule.in_words(timedelta(seconds=seconds)) == words
