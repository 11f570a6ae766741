"""Why is the lead not in another stage? The answer comes from the rules that decide, and never differs from them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from leads.alternatives import Standing, alternatives
from leads.decisions import Facts, Mover, decide
from leads.rules import MappingAction, MappingRule, OnlyIf, QualificationRule, Rules, StageKind, StageRule

RULES = Rules(
    pipeline="solar",
    stages=(
        StageRule("new", "NEW", 0),
        StageRule("qualifying", "QUALIFYING", 1),
        StageRule("qualified", "QUALIFIED", 2),
        StageRule("disqualified", "DISQUALIFIED", 3, reachable_from_anywhere=True),
        StageRule("meeting", "MEETING", 4),
        StageRule("human", "HUMAN", 5, protected=True, pauses_agent=True),
        StageRule("idle", "IDLE", 6, reachable_from_anywhere=True, on_reply="qualifying"),
        StageRule("won", "WON", 7, kind=StageKind.WON),
    ),
    mappings=(
        MappingRule(1, "presenting", MappingAction.MOVE, "qualifying"),
        MappingRule(2, "qualification", MappingAction.QUALIFY),
        MappingRule(3, "booking", MappingAction.MOVE, "meeting", OnlyIf.MEETING),
    ),
    qualification=QualificationRule(min_score=Decimal(70)),
    meeting_stage="meeting",
)


def by_stage(facts, reason=""):
    return {alternative.stage: alternative for alternative in alternatives(facts, RULES, reason=reason)}


def test_the_stage_it_stands_in_says_the_reason_that_was_stored():
    found = by_stage(Facts(stage="qualified"), "qualification_score 82 >= 70")
    assert (found["qualified"].standing, found["qualified"].reasons) == (
        Standing.HERE,
        ("qualification_score 82 >= 70",),
    )


def test_every_stage_is_answered_once_and_in_its_order():
    assert [alternative.stage for alternative in alternatives(Facts(stage="new"), RULES)] == [
        stage.key for stage in RULES.stages
    ]
    assert all(alternative.reasons for alternative in alternatives(Facts(stage="new"), RULES, reason="a new lead"))


def test_a_stage_without_a_rule_is_left_to_people():
    assert by_stage(Facts(stage="new"))["won"].reasons == (
        "no rule of the conversation leads here: staff or a follow-up do",
    )


def test_a_meeting_that_is_missing_or_over_is_said():
    assert "no meeting is booked" in by_stage(Facts(stage="new"))["meeting"].reasons
    over = by_stage(Facts(stage="new", meeting_status="cancelled"))["meeting"]
    assert "the meeting is cancelled" in over.reasons
    talk = by_stage(Facts(stage="new", conversation_stage="booking"))["meeting"]
    assert "talk of a meeting; none is booked" in talk.reasons


def test_qualification_says_how_it_came_out_and_when_it_is_asked():
    low = Facts(stage="qualifying", attributes={"qualification_score": Decimal(40)})
    assert (
        by_stage(low)["qualified"].reasons[0].startswith("qualification says disqualified: qualification_score 40 < 70")
    )
    assert "only in the conversation stage “qualification”" in by_stage(low)["disqualified"].reasons[0]


def test_what_would_come_with_the_next_message_and_what_is_kept_away_agree_with_the_decision():
    due = Facts(stage="new", conversation_stage="presenting")
    assert by_stage(due)[decide(due, RULES).stage].standing is Standing.NEXT
    known = decide(due, RULES).concluded
    kept = replace(due, moved_by=Mover.PERSON, concluded=known, concluded_when_moved=frozenset(known))
    assert by_stage(kept)["qualifying"].standing is Standing.SUPPRESSED
    assert by_stage(kept)["qualifying"].reasons == (decide(kept, RULES).suppressed.reason,)


def test_what_stands_in_the_way_of_every_move_is_said_with_each():
    assert "automatic moves do not leave HUMAN" in by_stage(Facts(stage="human"))["qualified"].reasons
    assert "a person has taken over" in by_stage(Facts(stage="new", handoff=True))["qualified"].reasons
    assert "a person put the card into a stage of their own" in by_stage(Facts(stage=None))["qualified"].reasons
    placed = by_stage(Facts(stage="qualified", moved_by=Mover.PERSON))
    assert "a person moved the card to QUALIFIED, and nothing moves it back over them" in placed["qualifying"].reasons
    onward = "a person moved the card to QUALIFIED: only something newly concluded moves it on"
    assert onward in placed["meeting"].reasons
    back = by_stage(Facts(stage="qualified"))
    assert "automatic moves do not go back from QUALIFIED to NEW" in back["new"].reasons
    assert not any("do not go back" in reason for reason in back["disqualified"].reasons)


def test_a_stage_one_comes_to_by_writing_again_says_from_where():
    assert "a lead who writes again from IDLE is taken up here" in by_stage(Facts(stage="new"))["qualifying"].reasons
