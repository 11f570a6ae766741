"""What holds of every decision, whatever the facts and the rules."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from leads.conclusions import MOST, is_verdict
from leads.decisions import Facts, Mover, concluded_until_now, decide
from leads.rules import MappingAction, MappingRule, OnlyIf, QualificationRule, Rules, StageKind, StageRule
from tests.leads.shipped import RULES


def qualification_rules(keys):
    key = st.none() | st.sampled_from(keys)
    return st.builds(
        QualificationRule,
        min_score=st.sampled_from([None, Decimal(70)]),
        criteria=st.sampled_from([(), RULES.qualification.criteria]),
        qualified_stage=key,
        disqualified_stage=key,
        undecided_stage=key,
    )


@st.composite
def rulebooks(draw):
    """Draw rules staff could write: any number of stages with any properties, any mappings between them."""
    size = draw(st.integers(1, 6))
    keys = [f"stage_{number}" for number in range(size)]
    # A stage with on_reply leads to one without: a chain of them would be walked one message at a time.
    answering = {key for key in keys if draw(st.booleans())}
    quiet = [key for key in keys if key not in answering]
    stages = tuple(
        StageRule(
            key,
            key.upper(),
            rank,
            kind=draw(st.sampled_from([StageKind.OPEN, StageKind.OPEN, StageKind.WON, StageKind.LOST])),
            reachable_from_anywhere=draw(st.booleans()),
            protected=draw(st.integers(0, 4)) == 0,
            on_reply=draw(st.sampled_from(quiet)) if key in answering and quiet else None,
        )
        for rank, key in enumerate(keys)
    )
    mapping = st.builds(
        MappingRule,
        id=st.integers(1, 9),
        conversation_stage=st.sampled_from(TALK),
        action=st.sampled_from(MappingAction),
        move_to=st.sampled_from([*keys, "gone"]),
        only_if=st.sampled_from(OnlyIf),
    )
    return Rules(
        pipeline="any",
        stages=stages,
        mappings=draw(st.lists(mapping, max_size=4).map(tuple)),
        qualification=draw(qualification_rules(keys)),
        # Where a meeting leads, an answer cannot lead away from.
        meeting_stage=draw(st.none() | st.sampled_from(quiet)) if quiet else None,
    )


TALK = ["apresentar", "qualificação", "agendamento"]


@st.composite
def situations(draw):
    """Draw facts together with the rules they are judged by: the shipped ones or any others."""
    rules = draw(st.just(RULES) | rulebooks())
    keys = [None, "gone", *(stage.key for stage in rules.stages)]
    known = [mapping.conversation_stage for mapping in rules.mappings]
    facts = Facts(
        stage=draw(st.sampled_from(keys)),
        conversation_stage=draw(st.sampled_from([None, *TALK, *known]) | st.text(max_size=5)),
        attributes=draw(
            st.dictionaries(
                st.sampled_from(["qualification_score", "bill_value", "chosen_flow"]),
                st.none() | st.integers(0, 5000) | st.sampled_from([40, 82]) | st.text(max_size=3),
            )
        ),
        meeting_status=draw(st.sampled_from([None, "scheduled", "rescheduled", "cancelled", "completed", "no_show"])),
        meeting_id=draw(st.sampled_from([None, "evt_1"])),
        meeting_changed=draw(st.booleans()),
        stage_before_meeting=draw(st.sampled_from(keys)),
        handoff=draw(st.integers(0, 4)) == 0,
        inbound=draw(st.booleans()),
        moved_by=draw(st.sampled_from([None, None, *Mover])),
        is_past=draw(st.integers(0, 4)) == 0,
        was_with_people=draw(st.integers(0, 4)) == 0,
        new_lead=draw(st.booleans()),
    )
    known = draw(st.just(()) | st.just(concluded_until_now(facts, rules)))
    at_move = draw(st.just(frozenset()) | st.just(frozenset(known)))
    return replace(facts, concluded=known, concluded_when_moved=at_move), rules


def from_there(facts, decision):
    """Return the facts as they are once a decision was stored."""
    if decision.changed:
        known_at_move: frozenset[str] = frozenset()
        return replace(
            facts,
            stage=decision.stage,
            moved_by=None,
            is_past=False,
            concluded=decision.concluded,
            concluded_when_moved=known_at_move,
        )
    return replace(facts, concluded=decision.concluded, concluded_when_moved=decision.concluded_when_moved)


def is_taken_up(facts, rules):
    stage = rules.stage(facts.stage)
    return bool(stage and stage.on_reply and (facts.inbound or facts.meeting_changed))


@given(situations())
def test_every_decision_has_a_reason_and_is_the_same_each_time(situation):
    facts, rules = situation
    decision = decide(facts, rules)
    assert decision.reason
    assert decision.rule
    assert decide(facts, rules) == decision


@given(situations())
def test_a_decision_names_a_known_stage_or_leaves_the_lead_where_it_is(situation):
    facts, rules = situation
    decision = decide(facts, rules)
    assert decision.stage == facts.stage or rules.stage(decision.stage)
    assert decision.changed == (decision.stage != facts.stage)
    assert decision.suppressed is None or rules.stage(decision.suppressed.stage)


@given(situations())
def test_nobody_is_taken_out_of_a_protected_stage_won_or_lost_or_during_a_handoff(situation):
    facts, rules = situation
    stage = rules.stage(facts.stage)
    if facts.handoff or stage is None or stage.keeps_its_leads:
        assert decide(facts, rules).stage == facts.stage


@given(situations())
def test_nothing_moves_a_card_back_over_a_person_but_a_lead_who_is_taken_up(situation):
    facts, rules = situation
    before, after = rules.stage(facts.stage), rules.stage(decide(facts, rules).stage)
    if facts.moved_by is Mover.PERSON and before and after and after != before and not is_taken_up(facts, rules):
        assert after.rank > before.rank


@given(situations(), st.sampled_from(Mover))
def test_what_had_been_concluded_when_somebody_moved_the_card_moves_it_no_more(situation, mover):
    facts, rules = situation
    known = concluded_until_now(facts, rules)
    # A meeting that is cancelled tells nothing `concluded_until_now` would have.
    facts = replace(facts, moved_by=mover, concluded=known, concluded_when_moved=frozenset(known))
    if facts.meeting_status != "cancelled" and not is_taken_up(facts, rules):
        assert decide(facts, rules).stage == facts.stage


@given(situations())
def test_of_the_time_before_somebody_moved_the_card_nothing_moves_it(situation):
    facts, rules = situation
    facts = replace(facts, moved_by=facts.moved_by or Mover.PERSON, is_past=True)
    assert decide(facts, rules).stage == facts.stage


@given(situations())
def test_the_same_conclusion_moves_nothing_twice_whatever_a_person_does_in_between(situation):
    facts, rules = situation
    facts = replace(facts, moved_by=None, inbound=False, meeting_changed=False, handoff=False)
    decision = decide(facts, rules)
    if decision.changed and facts.meeting_status != "cancelled":
        taken_back = replace(
            facts,
            moved_by=Mover.PERSON,
            concluded=decision.concluded,
            concluded_when_moved=frozenset(decision.concluded),
        )
        assert decide(taken_back, rules).stage == facts.stage


@given(situations())
def test_what_is_remembered_is_bounded_and_has_at_most_one_verdict(situation):
    facts, rules = situation
    concluded = decide(facts, rules).concluded
    verdicts = {conclusion.partition(":")[0].partition(">")[0] for conclusion in concluded if is_verdict(conclusion)}
    assert len(verdicts) <= 1
    assert len(concluded) <= MOST


@given(situations())
def test_moves_go_forward_except_by_the_named_ways_back(situation):
    facts, rules = situation
    decision = decide(facts, rules)
    before, after = rules.stage(facts.stage), rules.stage(decision.stage)
    if decision.changed and before and after and after.rank < before.rank:
        cancelled = facts.stage == rules.meeting_stage and facts.meeting_status == "cancelled"
        verdicts = {rules.qualification.qualified_stage, rules.qualification.disqualified_stage}
        turned = {before.key, after.key} <= verdicts
        assert after.reachable_from_anywhere or is_taken_up(facts, rules) or cancelled or turned


@given(situations())
def test_a_move_that_does_not_happen_says_what_forbade_it(situation):
    facts, rules = situation
    decision = decide(facts, rules)
    if decision.suppressed:
        assert ", but " in decision.suppressed.reason


@settings(max_examples=500)
@given(situations())
def test_deciding_again_from_where_it_led_changes_nothing(situation):
    facts, rules = situation
    first = decide(facts, rules)
    again = decide(from_there(facts, first), rules)
    assert (again.stage, again.changed) == (first.stage, False)
    assert again.concluded == decide(from_there(facts, again), rules).concluded
