"""What changes of the rules, told: each thing beside itself, and the order as a list."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.configuration import exporting, sentences


@pytest.fixture
def said(pipeline):
    return exporting.read_pipeline(pipeline)


def of_stages(old, new):
    return {key: told for key, _title, told in sentences.changes(old, new)}["stages"]


def test_a_stage_that_is_renamed_and_one_that_is_new_each_stand_beside_themselves(said):
    first, second, *rest = said.stages
    new = replace(second, key="proposal", name="PROPOSTA", kommo_status_id=None)
    told = of_stages(said, replace(said, stages=(first, new, replace(second, name="EM ANÁLISE"), *rest)))
    before = {
        change.after.partition(" — ")[0]: change.before.partition(" — ")[0] for change in told if not change.order
    }
    assert (before["PROPOSTA"], before["EM ANÁLISE"]) == ("", second.name)
    assert all(name == was for name, was in before.items() if name not in ("PROPOSTA", "EM ANÁLISE"))


def test_the_order_is_a_list_in_which_what_moved_is_marked(said):
    first, second, third, *rest = said.stages
    [told] = of_stages(said, replace(said, stages=(third, first, second, *rest)))
    assert [one.name for one in told.order] == [stage.name for stage in (third, first, second, *rest)]
    assert [(one.name, one.was) for one in told.order if one.is_moved] == [(third.name, 3)]


def test_a_name_is_no_other_place(said):
    renamed = tuple(replace(stage, name=f"{stage.name}!") for stage in said.stages)
    assert not any(change.order for change in of_stages(said, replace(said, stages=renamed)))


def test_a_stage_that_goes_moves_no_other(said):
    told = of_stages(said, replace(said, stages=said.stages[1:]))
    assert (told[0].before.startswith(said.stages[0].name), told[0].after) == (True, "")
    [order] = [change.order for change in told if change.order]
    assert not any(one.is_moved or one.is_new for one in order)


@given(st.permutations(list("abcdefg")), st.sets(st.sampled_from("abcdefg")), st.sets(st.sampled_from("xyz")))
def test_those_that_are_not_marked_have_kept_their_order(after, gone, new):
    before = list("abcdefg")
    after = [*sorted(new), *(key for key in after if key not in gone)]
    order = sentences.placed(before, after, {})
    assert [one.name for one in order] == after
    assert {one.name for one in order if one.is_new} == new
    stayed = [one.was for one in order if not one.is_new and not one.is_moved]
    assert stayed == sorted(stayed)
    # As few as can be: no other choice of those that stay is larger.
    assert all(len(stayed) >= length for length in growing([one.was for one in order if one.was]))


def growing(numbers):
    """Yield the length of every growing selection, the naive way."""
    chosen = [[]]
    for number in numbers:
        chosen += [[*one, number] for one in chosen if not one or one[-1] < number]
    yield from map(len, chosen)
