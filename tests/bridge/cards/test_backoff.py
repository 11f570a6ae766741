from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bridge.cards.backoff import BASE, CAP, batch_limit, batches, delay

JITTER = st.floats(0, 1)


def test_the_first_waits_are_as_documented():
    assert delay(1, jitter=0) == BASE
    assert delay(4, jitter=0) == timedelta(seconds=16)


@given(st.integers(-5, 10_000), JITTER)
def test_waits_grow_are_capped_and_survive_attempt_ten_thousand(attempt, jitter):
    wait = delay(attempt, jitter=jitter)
    assert BASE <= wait <= CAP * 1.2
    assert delay(attempt + 1, jitter=jitter) >= wait


@given(st.integers(1, 50), JITTER, st.timedeltas(timedelta(0), timedelta(hours=1)))
def test_a_wait_kommo_asks_for_is_kept(attempt, jitter, asked):
    assert delay(attempt, jitter=jitter, retry_after=asked) >= asked


@given(st.integers(1, 250), st.integers(0, 10_000))
def test_batches_shrink_to_one_with_failures_and_never_to_none(size, attempts):
    assert 1 <= batch_limit(size, attempts + 1) <= batch_limit(size, attempts) <= size
    assert batch_limit(size, 8) == 1


def test_cards_in_trouble_travel_apart_and_in_ever_smaller_batches():
    assert batches([0, 0, 0], 2) == [[0, 1], [2]]
    assert batches([3, 0, 1, 0, 1, 3], 8) == [[1, 3], [2, 4], [0], [5]]
    assert batches([], 8) == []


@given(st.lists(st.integers(0, 12), max_size=40), st.integers(1, 50))
def test_every_card_travels_once_and_no_batch_is_larger_than_its_most_troubled_card_allows(troubles, size):
    found = batches(troubles, size)
    assert sorted(place for batch in found for place in batch) == list(range(len(troubles)))
    for batch in found:
        assert len(batch) <= max(1, batch_limit(size, max(troubles[place] for place in batch)))
        assert len({troubles[place] == 0 for place in batch}) == 1
