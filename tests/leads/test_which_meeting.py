"""Whichever way the news of several meetings comes, whoever has a standing meeting stands where it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from followups.models import Enrollment
from leads import interaction_values, meetings
from leads.interaction_values import Interaction
from leads.interactions import record
from leads.models import Lead, Meeting, Pipeline
from leads.phone import parse

START = datetime(2026, 11, 24, 13, tzinfo=UTC)
IDS = ("a", "b", "c")
ENDS = ("cancelled", "completed", "no_show")

# What a calendar did: the minute, which meeting, what became of it, and the hour it is booked for.
happenings = st.lists(
    st.tuples(
        st.integers(0, 600), st.sampled_from(IDS), st.sampled_from(("scheduled", *ENDS)), st.integers(24, 240)
    ),
    min_size=1,
    max_size=7,
    unique_by=lambda entry: entry[0],
)  # fmt: skip


def calendar(done: list[tuple[int, str, str, int]]) -> list[tuple[int, str, str, datetime | None]]:
    """Return what the calendar says, in order: one that is booked again was moved, and only what is booked ends."""
    booked: set[str] = set()
    entries: list[tuple[int, str, str, datetime | None]] = []
    for minute, which, what, hour in sorted(done):
        if what == "scheduled":
            entries.append((minute, which, "rescheduled" if which in booked else what, START + timedelta(hours=hour)))
            booked.add(which)
        elif which in booked:
            entries.append((minute, which, what, None))
            booked.discard(which)
    return entries


def expected(entries: list[tuple[int, str, str, datetime | None]], now: datetime) -> dict[str, datetime]:
    """Return what is booked and ahead once everything was told, by id."""
    last: dict[str, datetime] = {}
    for _, which, _, starts_at in entries:
        if starts_at is None:
            last.pop(which, None)
        else:
            last[which] = starts_at
    return {which: at for which, at in last.items() if at > now}


def near(entries: list[tuple[int, str, str, datetime | None]]) -> bool:
    """Say whether news of one meeting comes too soon upon other news for their clocks to tell; not upon its booking."""
    last: dict[str, tuple[int, bool]] = {}
    for minute, which, _, _ in entries:
        before, is_booking = last.get(which, (-99, False))
        if minute - before < 5 and not is_booking:
            return True
        last[which] = minute, which not in last
    return False


class _Undo(Exception):
    """So that the next story begins with nobody."""


def tell(
    pipeline: Pipeline, entry: tuple[int, str, str, datetime | None], now: datetime, skew: timedelta = timedelta()
) -> None:
    minute, which, status, starts_at = entry
    meeting = interaction_values.Meeting(status=status, id=which, starts_at=starts_at)
    at = START + timedelta(minutes=minute) + skew
    record(
        Interaction(phone=parse("+5581999990000", region="BR"), occurred_at=at, context={"meeting": meeting}),
        pipeline=pipeline,
        now=now,
    )


def consistent(now: datetime) -> None:
    """What holds at any moment, whatever has been told by then: rows, lead and reminders agree."""
    lead = Lead.objects.select_related("stage").get()
    stands = meetings.next_one(Meeting.objects.filter(lead=lead), now)
    reminded = list(
        Enrollment.objects.filter(lead=lead, purpose="meeting_scheduled", state="waiting").values_list(
            "meeting_starts_at", flat=True
        )
    )
    assert lead.stage is not None
    if stands is None:
        assert not lead.has_standing_meeting
        assert reminded == []
        return
    assert lead.has_standing_meeting
    assert (lead.meeting_id, lead.meeting_starts_at) == (stands.meeting_id, stands.starts_at)
    assert lead.stage.key == "meeting_scheduled"
    assert set(reminded) <= {stands.starts_at}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(done=happenings, data=st.data())
def test_shuffled_doubled_and_late_news_ends_with_what_the_calendar_says(pipeline, done, data):
    entries = calendar(done)
    now = START + timedelta(minutes=700)
    if not entries:
        return
    order = data.draw(st.permutations(entries))
    doubled = data.draw(st.lists(st.sampled_from(entries), max_size=3))

    def story() -> None:
        for entry in [*order, *doubled]:
            tell(pipeline, entry, now)
            consistent(now)
        ahead = expected(entries, now)
        lead = Lead.objects.select_related("stage").get()
        assert lead.has_standing_meeting == bool(ahead)
        if ahead:
            first = min(ahead.values())
            assert lead.meeting_starts_at == first
        elif all(status != "completed" and status != "no_show" for _, _, status, _ in entries):
            assert lead.stage is not None and lead.stage.key != "meeting_scheduled"

    undone(story)


# Who tells it has a clock of their own: two of them are up to two minutes apart, and a booking is cancelled at once.
skews = st.integers(-60, 60).map(lambda seconds: timedelta(seconds=seconds))
close = st.lists(
    st.tuples(
        st.integers(0, 30), st.sampled_from("ab"), st.sampled_from(("scheduled", *ENDS)), st.integers(24, 240)
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda entry: entry[0],
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(done=close, skews=st.lists(skews, min_size=6, max_size=6), data=st.data())
def test_clocks_that_are_two_minutes_apart_end_with_what_the_calendar_says(pipeline, done, skews, data):
    entries = calendar(done)
    now = START + timedelta(minutes=40)
    assume(entries and not near(entries))
    stamped = list(zip(entries, skews, strict=False))
    order = data.draw(st.permutations(stamped))
    doubled = data.draw(st.lists(st.sampled_from(stamped), max_size=3))

    def story() -> None:
        for entry, skew in [*order, *doubled]:
            tell(pipeline, entry, now, skew)
            consistent(now)
        ahead = expected(entries, now)
        lead = Lead.objects.select_related("stage").get()
        assert lead.has_standing_meeting == bool(ahead)
        if ahead:
            assert lead.meeting_starts_at == min(ahead.values())

    undone(story)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(done=happenings, hours=st.lists(st.integers(1, 260), max_size=4))
def test_time_that_passes_leaves_only_what_lies_ahead(pipeline, done, hours):
    entries = calendar(done)
    if not entries:
        return
    moments = sorted(START + timedelta(hours=hour + 11) for hour in hours)

    def story() -> None:
        for entry in entries:
            tell(pipeline, entry, START + timedelta(minutes=entry[0]))
            consistent(START + timedelta(minutes=entry[0]))
        for moment in moments:
            meetings.pass_all(now=moment)
            lead = Lead.objects.get()
            ahead = expected(entries, moment)
            assert lead.has_standing_meeting == bool(ahead)
            if ahead:
                assert lead.meeting_starts_at == min(ahead.values())
            reminded = Enrollment.objects.filter(purpose="meeting_scheduled", state="waiting")
            assert set(reminded.values_list("meeting_starts_at", flat=True)) <= set(ahead.values())

    undone(story)


def undone(story: Any) -> None:
    try:
        with transaction.atomic():
            story()
            raise _Undo
    except _Undo:
        pass
