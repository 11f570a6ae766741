"""Kommo's own clock never counts more than the ceiling, whatever share of a call's time lies before it counts."""

from __future__ import annotations

import heapq
import random

import pytest

from bridge.kommo import arrival_times as module
from bridge.kommo.arrival_times import WIDENED_SECONDS, Distance, Trip

CEILING = 7


class Clock:
    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


def arrivals(distance, clock, takes, *, before, calls, at_once=CEILING):
    """Make so many calls as fast as the slots allow; return when each arrived, and how long all of it took."""
    free_at = [clock.time] * CEILING
    under_way: list[tuple[float, int, Trip]] = []
    arrived, started = [], clock.time

    def hear():
        answered_at, slot, trip = heapq.heappop(under_way)
        clock.time = max(clock.time, answered_at)
        distance.note(trip)
        free_at[slot] = clock.time + distance.frees_in(trip)

    for _ in range(calls):
        while len(under_way) >= at_once or (under_way and min(free_at) > under_way[0][0]):
            hear()
        slot = min(range(CEILING), key=free_at.__getitem__)
        clock.time = max(clock.time, free_at[slot])
        free_at[slot] = float("inf")
        seconds = takes()
        arrived.append(clock.time + before * seconds)
        heapq.heappush(under_way, (clock.time + seconds, slot, Trip("update leads", seconds, clock.time + seconds)))
    while under_way:
        hear()
    return sorted(arrived), clock.time - started


def most_in_a_second(moments):
    return max(
        sum(moment <= other < moment + 1 for other in moments[index : index + 20])
        for index, moment in enumerate(moments)
    )


@pytest.mark.parametrize("before", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seconds", [0.03, 0.4, 1.0])
@pytest.mark.parametrize("seed", range(10))
def test_no_second_sees_more_arrivals_than_the_ceiling(seconds, before, seed):
    luck, clock = random.Random(seed), Clock()
    distance = Distance(clock)

    def takes():
        return seconds * luck.uniform(0.8, 1.2)

    moments, _ = arrivals(distance, clock, takes, before=before, calls=400)

    assert most_in_a_second(moments) <= CEILING


@pytest.mark.parametrize("before", [0.9, 1.0])
@pytest.mark.parametrize("seed", [82, 137])
def test_nor_while_few_calls_are_known(before, seed):
    """The slowest of the first passed for Kommo's work, and their slots came free a tenth of a second early."""
    luck, clock = random.Random(seed), Clock()
    moments, _ = arrivals(Distance(clock), clock, lambda: luck.uniform(0.8, 1.2), before=before, calls=60)

    assert most_in_a_second(moments) <= CEILING


def test_what_another_has_measured_is_gone_on_from_where_it_is_more():
    clock = Clock()
    other, distance = Distance(clock), Distance(clock)
    for number in range(50):
        other.note(Trip("update leads", 0.4 + number / 1000, 0.0))
    news = other.news()
    assert not other.news()
    distance.note(Trip("update leads", 0.6, 0.0))
    distance.learn(news)
    distance.learn({"update leads": [3, 0.1, 0.1]})

    slow = Trip("update leads", 0.6, clock.time)
    assert distance.frees_in(slow) == pytest.approx(other.frees_in(slow), abs=0.001)


def test_kommo_that_is_farther_than_it_was_is_not_taken_to_be_at_work():
    """All calls take longer now: what is beyond the old ones is no chance of one call."""
    luck, clock = random.Random(1), Clock()
    distance = Distance(clock)
    arrivals(distance, clock, lambda: 0.03, before=1.0, calls=100)
    moments, _ = arrivals(distance, clock, lambda: luck.uniform(0.8, 1.2), before=1.0, calls=200)

    assert most_in_a_second(moments) <= CEILING


@pytest.mark.parametrize("before", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("known", [10, 100, 1_000])
@pytest.mark.parametrize("seed", range(5))
def test_nor_where_a_process_begins_with_what_another_knows(before, known, seed):
    luck, clock = random.Random(seed), Clock()
    other, distance = Distance(clock), Distance(clock)
    arrivals(other, clock, lambda: luck.uniform(0.8, 1.2), before=before, calls=known)
    distance.learn(other.news())
    moments, _ = arrivals(distance, clock, lambda: luck.uniform(0.8, 1.2), before=before, calls=200)

    assert most_in_a_second(moments) <= CEILING


def test_the_quickest_that_another_has_told_of_is_not_forgotten_first():
    clock = Clock()
    other, distance = Distance(clock), Distance(clock)
    for seconds in (0.3, *[0.5] * (module.REMEMBERED - 1)):
        other.note(Trip("update leads", seconds, 0.0))
    distance.learn(other.news())
    for _ in range(20):
        distance.note(Trip("update leads", 0.5, 0.0))

    assert distance.frees_in(Trip("update leads", 0.5, clock.time)) >= 0.7


@pytest.mark.parametrize(("seconds", "share"), [(0.03, 0.98), (0.4, 0.9), (1.0, 0.8)])
def test_what_differs_costs_and_not_what_is_far(seconds, share):
    """Of what the ceiling allows; the last answers, which nothing can hasten, left out of the count."""
    luck, clock = random.Random(1), Clock()
    distance = Distance(clock)
    moments, took = arrivals(distance, clock, lambda: seconds * luck.uniform(0.8, 1.2), before=0.0, calls=400)

    assert 400 / CEILING / (moments[-1] - moments[0]) >= share
    assert took - moments[-1] <= 1.2 * seconds


def test_where_nothing_differs_distance_costs_nothing():
    clock = Clock()
    distance = Distance(clock)
    arrivals(distance, clock, lambda: 1.0, before=0.5, calls=20)
    trip = Trip("update leads", 1.0, clock.time)

    # A tenth for twenty that may be alike by chance.
    assert distance.frees_in(trip) == pytest.approx(0.1 + module.GRAIN_SECONDS)


def test_until_the_way_is_known_a_slot_is_free_a_second_after_the_answer():
    clock = Clock()
    distance = Distance(clock)
    for seconds in (0.4, 0.5, 0.4):
        trip = Trip("update leads", seconds, clock.time)
        distance.note(trip)
        assert distance.frees_in(trip) == pytest.approx(1.0, abs=0.01)


def test_a_kind_that_is_new_is_taken_to_be_as_quick_as_the_quickest():
    clock = Clock()
    distance = Distance(clock)
    for _ in range(50):
        distance.note(Trip("read leads", 0.2, 0.0))
        distance.note(Trip("update leads", 0.6, 0.0))

    assert distance.frees_in(Trip("create leads", 0.3, clock.time)) == pytest.approx(0.81, abs=0.01)


def test_a_call_that_kommo_works_on_for_long_costs_no_more_than_calls_differ():
    clock = Clock()
    distance = Distance(clock)
    for _ in range(50):
        distance.note(Trip("update leads", 0.3, 0.0))

    clock.time = 3.0
    assert distance.frees_in(Trip("update leads", 3.0, 3.0)) == 0.0
    assert distance.frees_in(Trip("update leads", 0.8, 3.0)) == pytest.approx(0.45, abs=0.01)


def test_an_answer_that_is_heard_late_has_waited_meanwhile():
    clock = Clock()
    clock.time = 10.0
    assert Distance(clock).frees_in(Trip("update leads", 0.4, 9.6)) == pytest.approx(0.6, abs=0.01)


def test_the_margin_widens_with_each_refusal_and_narrows_again():
    clock = Clock()
    distance = Distance(clock)
    for _ in range(50):
        distance.note(Trip("update leads", 0.4, 0.0))
    trip = Trip("update leads", 0.4, 0.0)
    narrow = distance.frees_in(trip)
    margins = []
    for _ in range(5):
        distance.refused()
        margins.append(distance.frees_in(trip))

    assert narrow < 0.63
    assert margins == [1.25, 1.5, 1.75, 1.75, 1.75]
    clock.time += WIDENED_SECONDS
    assert distance.frees_in(Trip("update leads", 0.4, clock.time)) == narrow
