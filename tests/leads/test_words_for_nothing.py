"""What models put where they know nothing is nothing, and what people are called stays."""

from __future__ import annotations

import time

import pytest

from leads.words_for_nothing import USUAL_WORDS, is_nothing, is_worse, name_of
from tests.leads.model_fills import NAMES, NO_NAMES, NOTHING, SOMETHING, WORSE_NAMES


@pytest.mark.parametrize("text", NOTHING)
def test_a_word_for_nothing_is_nothing_in_whatever_it_is_wrapped(text):
    assert is_nothing(text, USUAL_WORDS)


@pytest.mark.parametrize("text", SOMETHING)
def test_what_only_resembles_one_is_something(text):
    assert not is_nothing(text, USUAL_WORDS)


def test_staff_say_which_words_there_are():
    assert is_nothing("Ainda Não!", ["ainda não"])
    assert not is_nothing("null", ["ainda não"])
    assert is_nothing("-", [])


@pytest.mark.parametrize("text", NO_NAMES)
def test_what_is_no_name_of_a_person_is_none(text):
    assert name_of(text) == ""


@pytest.mark.parametrize(("text", "name"), NAMES)
def test_a_name_stands_on_one_line_without_markdown(text, name):
    assert name_of(text) == name


@pytest.mark.parametrize(("name", "known", "worse"), WORSE_NAMES)
def test_a_name_that_tells_less_than_the_known_one_is_worse(name, known, worse):
    assert is_worse(name, known) is worse


@pytest.mark.parametrize("run", ["! ", "null ! ", "- null", "a ", "{{", "a@", "1 "])
def test_a_name_of_any_length_is_read_in_a_time_by_its_length(run):
    def cost(length: int) -> float:
        started = time.thread_time()
        name_of((run * length)[:length] + "x")
        return max(time.thread_time() - started, 0.000_05)

    short = long = float("inf")
    # The least of several, by turns: what a busy machine adds once, it does not add each time.
    for _ in range(8):
        short, long = min(short, cost(2_000)), min(long, cost(20_000))
        if long < 40 * short:
            return
    raise AssertionError(f"{long / short:.0f} times")
