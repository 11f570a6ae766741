"""What changes of the rules, told: each thing beside itself, and the order as a list."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.configuration import exporting, sentences


@pytest.fixture
def rules(pipeline):
    return exporting.read_pipeline(pipeline)


def of_stages(old, new):
    return {key: lines for key, _title, lines in sentences.changes(old, new)}["stages"]


def test_a_stage_that_is_renamed_and_one_that_is_new_each_stand_beside_themselves(rules):
    first, second, *rest = rules.stages
    new = replace(second, key="proposal", name="PROPOSTA", kommo_status_id=None)
    changes = of_stages(rules, replace(rules, stages=(first, new, replace(second, name="EM ANÁLISE"), *rest)))
    before = {
        change.after.partition(" — ")[0]: change.before.partition(" — ")[0] for change in changes if not change.order
    }
    assert (before["PROPOSTA"], before["EM ANÁLISE"]) == ("", second.name)
    assert all(name == was for name, was in before.items() if name not in ("PROPOSTA", "EM ANÁLISE"))


def test_the_order_is_a_list_in_which_what_moved_is_marked(rules):
    first, second, third, *rest = rules.stages
    [change] = of_stages(rules, replace(rules, stages=(third, first, second, *rest)))
    assert [place.name for place in change.order] == [stage.name for stage in (third, first, second, *rest)]
    assert [(place.name, place.was) for place in change.order if place.is_moved] == [(third.name, 3)]


def test_a_name_is_no_other_place(rules):
    renamed = tuple(replace(stage, name=f"{stage.name}!") for stage in rules.stages)
    assert not any(change.order for change in of_stages(rules, replace(rules, stages=renamed)))


def test_a_stage_that_goes_moves_no_other(rules):
    changes = of_stages(rules, replace(rules, stages=rules.stages[1:]))
    assert (changes[0].before.startswith(rules.stages[0].name), changes[0].after) == (True, "")
    [order] = [change.order for change in changes if change.order]
    assert not any(place.is_moved or place.is_new for place in order)


@given(st.permutations(list("abcdefg")), st.sets(st.sampled_from("abcdefg")), st.sets(st.sampled_from("xyz")))
def test_those_that_are_not_marked_have_kept_their_order(after, gone, new):
    before = list("abcdefg")
    after = [*sorted(new), *(key for key in after if key not in gone)]
    order = sentences.placed(before, after, {})
    assert [place.name for place in order] == after
    assert {place.name for place in order if place.is_new} == new
    stayed = [place.was for place in order if not place.is_new and not place.is_moved]
    assert stayed == sorted(stayed)
    # As few as can be: no other choice of those that stay is larger.
    assert all(len(stayed) >= length for length in growing([place.was for place in order if place.was]))


def growing(numbers):
    """Yield the length of every growing selection, the naive way."""
    chosen = [[]]
    for number in numbers:
        chosen += [[*chain, number] for chain in chosen if not chain or chain[-1] < number]
    yield from map(len, chosen)
