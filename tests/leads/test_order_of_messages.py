"""Where a message stands among the others, by clocks that differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads import order_of_messages

OURS = datetime(2027, 3, 1, 12, 0, 30, 450_000, tzinfo=UTC)
SECONDS = st.integers(-(10**7), 10**7).map(lambda number: timedelta(microseconds=number * 50))


@pytest.mark.parametrize("earlier", [0, 0.001, 0.45, 1, 2, 30, 119.9, 120])
def test_a_message_reported_after_ours_answers_it_though_a_clock_puts_it_before(earlier):
    assert order_of_messages.of_the_lead(OURS - timedelta(seconds=earlier), ours=OURS) > OURS


@pytest.mark.parametrize("earlier", [120.001, 180, 86_400])
def test_one_that_is_older_than_clocks_differ_was_written_before_ours(earlier):
    sent_at = OURS - timedelta(seconds=earlier)

    assert order_of_messages.of_the_lead(sent_at, ours=OURS) == sent_at


@pytest.mark.parametrize("microsecond", [0, 1, 450_000, 999_999])
def test_our_reply_within_the_same_second_stands_behind_what_it_answers(microsecond):
    assert order_of_messages.of_ours(OURS.replace(microsecond=microsecond), theirs=OURS) > OURS


@pytest.mark.parametrize("earlier", [1, 2, 60])
def test_a_message_of_ours_that_is_only_reported_late_answers_nothing(earlier):
    sent_at = OURS - timedelta(seconds=earlier)

    assert order_of_messages.of_ours(sent_at, theirs=OURS) == sent_at


@given(SECONDS)
def test_a_message_never_counts_as_older_than_it_is(span):
    for placed in (
        order_of_messages.of_the_lead(OURS + span, ours=OURS),
        order_of_messages.of_ours(OURS + span, theirs=OURS),
    ):
        assert placed >= OURS + span


def test_without_another_message_each_stands_where_its_time_says():
    assert order_of_messages.of_the_lead(OURS, ours=None) == order_of_messages.of_ours(OURS, theirs=None) == OURS
