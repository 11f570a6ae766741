"""Whether a draft leads anybody elsewhere: whoever publishes one that does is asked about the leads there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.configuration import compiling, document, exporting


@pytest.fixture
def live(pipeline):
    return exporting.read_pipeline(pipeline)


def with_stage(live, place, **more):
    new = document.Stage(key="proposal", name="PROPOSTA", **more)
    return replace(live, stages=(*live.stages[:place], new, *live.stages[place:]))


def test_another_name_leads_nobody_elsewhere(live):
    first, *others = live.stages
    assert compiling.lead_alike(live, replace(live, stages=(replace(first, name="OUTRO"), *others)))


def test_neither_does_a_new_stage_that_no_rule_leads_to(live):
    for place in range(2, len(live.stages) + 1):
        assert compiling.lead_alike(live, with_stage(live, place)), place


def test_a_new_stage_where_leads_begin_does(live):
    """And one right behind it, where somebody is put whose meeting is off and of whom nothing else is known."""
    assert not compiling.lead_alike(live, with_stage(live, 0))
    assert not compiling.lead_alike(live, with_stage(live, 1))


def test_a_new_stage_that_a_rule_leads_to_does(live):
    wanted = with_stage(live, 3)
    assert not compiling.lead_alike(live, replace(wanted, meeting_stage="proposal"))
    mapping = replace(live.stage_mappings[0], move_to="proposal", decide=None)
    assert not compiling.lead_alike(live, replace(wanted, stage_mappings=(mapping, *live.stage_mappings[1:])))


def test_another_order_or_a_stage_that_goes_does(live):
    first, second, third, *others = live.stages
    assert not compiling.lead_alike(live, replace(live, stages=(first, third, second, *others)))
    assert not compiling.lead_alike(live, replace(live, stages=(first, second, *others)))
