"""What a conversation has concluded, and what of it is news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from leads.conclusions import MOST, conclusion, ground_of_meeting, is_verdict, remember

QUALIFIED = conclusion("qualified", "qualified")
TOO_LITTLE = conclusion("disqualified:bill_value", "disqualified")
LOW_SCORE = conclusion("disqualified:qualification_score", "disqualified")
UNDECIDED = conclusion("undecided", "qualifying")
SAID = conclusion("said:apresentar", "qualifying")

CONCLUSIONS = st.sampled_from([QUALIFIED, TOO_LITTLE, LOW_SCORE, UNDECIDED, SAID]) | st.text(max_size=12)


def test_a_verdict_that_turned_takes_the_place_of_the_one_before():
    assert remember([SAID, QUALIFIED], [TOO_LITTLE, LOW_SCORE]) == (SAID, TOO_LITTLE, LOW_SCORE)
    assert remember([TOO_LITTLE, LOW_SCORE], [LOW_SCORE]) == (LOW_SCORE,)


def test_not_knowing_takes_no_verdict_back():
    assert remember([TOO_LITTLE], [UNDECIDED]) == (TOO_LITTLE, UNDECIDED)


def test_what_was_talked_of_stays_known_when_the_talk_goes_on():
    assert remember([SAID], [conclusion("said:agendamento", "booked")])[0] == SAID


def test_a_conversation_stage_that_is_called_like_a_verdict_is_none():
    assert not is_verdict(conclusion("said:qualified", "qualified"))
    assert is_verdict(QUALIFIED)
    assert is_verdict(TOO_LITTLE)


def test_a_meeting_is_the_same_in_every_zone_and_another_at_another_time():
    at = datetime(2026, 11, 25, 17, tzinfo=UTC)
    here = at.astimezone(timezone(timedelta(hours=-3)))
    assert ground_of_meeting("evt_1", at) == ground_of_meeting("evt_1", here)
    assert ground_of_meeting("evt_1", at) != ground_of_meeting("evt_1", at + timedelta(hours=1))
    assert ground_of_meeting("evt_1", at) != ground_of_meeting("evt_2", at)


@given(st.lists(CONCLUSIONS, max_size=6), st.lists(CONCLUSIONS, max_size=6))
def test_what_is_remembered_holds_what_was_drawn_and_again_changes_nothing(known, drawn):
    first = remember(known, drawn)
    assert set(drawn) <= set(first)
    assert remember(first, drawn) == first


def test_a_conversation_that_says_ever_new_things_is_remembered_in_bounds():
    known: tuple[str, ...] = ()
    for number in range(3 * MOST):
        known = remember(known, [conclusion(f"said:{number}", "new")])
    assert len(known) == MOST
    assert known[-1] == conclusion(f"said:{3 * MOST - 1}", "new")
