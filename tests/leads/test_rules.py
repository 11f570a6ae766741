"""A pipeline's rules as plain values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from leads.rules import Rules, StageKind, StageRule

NEW = StageRule("new", "NOVO LEAD", rank=0)
HUMAN = StageRule("human_handoff", "ATENDIMENTO HUMANO", rank=1, protected=True)
WON = StageRule("won", "GANHO", rank=2, kind=StageKind.WON)
LOST = StageRule("lost", "PERDIDO", rank=3, kind=StageKind.LOST)
RULES = Rules("solar", (NEW, HUMAN, WON, LOST))


def test_a_stage_is_found_by_its_key():
    assert RULES.stage("new") is NEW


@pytest.mark.parametrize("key", [None, "", "NEW", "ne", "news", "NOVO LEAD"])
def test_an_unknown_stage_is_no_stage_never_a_default(key):
    assert RULES.stage(key) is None


def test_protected_won_and_lost_stages_keep_their_leads():
    assert [stage.keeps_its_leads for stage in RULES.stages] == [False, True, True, True]


def test_rules_do_not_change_under_a_decision():
    with pytest.raises(FrozenInstanceError):
        NEW.name = "OUTRO"  # type: ignore[misc]
