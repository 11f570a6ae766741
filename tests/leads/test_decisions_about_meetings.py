"""What a booked, moved, cancelled or past meeting does to where a lead stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leads.decisions import Facts, Suppressed, decide
from leads.rules import MappingAction, MappingRule
from tests.leads.shipped import RULES, STAGES

GOOD, BAD = {"qualification_score": 82}, {"qualification_score": 40}


def test_a_booked_lead_stays_with_low_score_and_the_move_is_recorded_as_suppressed():
    decision = decide(Facts("meeting_scheduled", "qualificação", BAD, meeting_status="scheduled"), RULES)
    assert decision.stage == "meeting_scheduled"
    assert decision.suppressed == Suppressed(
        "disqualified",
        "qualification:qualification_score",
        "qualification_score 40 < 70, but its meeting is still booked",
    )


def test_a_booked_lead_who_talks_of_lesser_things_is_no_news_for_staff():
    decision = decide(Facts("meeting_scheduled", "qualificação", GOOD, meeting_status="scheduled"), RULES)
    assert (decision.changed, decision.suppressed) == (False, None)


def test_a_disqualified_lead_who_books_a_meeting_is_booked():
    facts = Facts("disqualified", "qualificação", BAD, meeting_status="scheduled", meeting_changed=True, inbound=True)
    decision = decide(facts, RULES)
    assert decision.stage == "meeting_scheduled"
    assert decision.notify_staff == "the lead booked a meeting from DESQUALIFICADO; the card moved to REUNIÃO AGENDADA"


def test_a_meeting_booked_from_not_interested_is_an_answer_even_without_a_message():
    decision = decide(Facts("not_interested", meeting_status="scheduled", meeting_changed=True), RULES)
    assert decision.stage == "meeting_scheduled"
    assert decision.notify_staff


@pytest.mark.parametrize("status", ["completed", "no_show"])
def test_a_meeting_that_is_over_moves_nothing_by_itself(status):
    decision = decide(Facts("meeting_scheduled", meeting_status=status, meeting_changed=True), RULES)
    assert (decision.stage, decision.suppressed) == ("meeting_scheduled", None)
    assert decision.notify_staff == ("the lead did not come to the meeting" if status == "no_show" else None)


def test_a_lead_disqualified_after_its_meeting_is_moved():
    assert (
        decide(Facts("meeting_scheduled", "qualificação", BAD, meeting_status="completed"), RULES).stage
        == "disqualified"
    )


@pytest.mark.parametrize(
    ("talk", "attributes", "before", "deserved"),
    [
        ("agendamento", {}, "qualified", "qualified"),
        ("agendamento", GOOD, "new", "qualified"),
        ("estágio_1_apresentar_soluções", GOOD, "new", "qualified"),
        ("agendamento", {}, None, "qualifying"),
        ("agendamento", BAD, "qualifying", "qualifying"),
        ("qualificação", BAD, "qualified", "disqualified"),
        ("estágio_1_apresentar_soluções", {}, "qualified", "qualified"),
        ("agendamento", {}, "disqualified", "disqualified"),
        ("agendamento", GOOD, "disqualified", "qualified"),
        ("agendamento", {}, "not_interested", "qualifying"),
        ("agendamento", {}, "human_handoff", "qualifying"),
        ("agendamento", {}, "won", "qualifying"),
        ("agendamento", {}, "meeting_scheduled", "qualifying"),
    ],
)
def test_a_cancelled_meeting_leaves_the_best_that_is_known(talk, attributes, before, deserved):
    facts = Facts("meeting_scheduled", talk, attributes, "cancelled", "evt_1", True, stage_before_meeting=before)
    decision = decide(facts, RULES)
    assert decision.stage == deserved
    assert decision.reason.startswith("meeting evt_1 cancelled; ")


@pytest.mark.parametrize(
    ("talk", "attributes", "before", "because"),
    [
        ("agendamento", GOOD, "new", "qualification_score 82 >= 70"),
        ("agendamento", {}, "qualified", "it stood in QUALIFICADO before"),
        ("agendamento", {}, None, "nothing else is known"),
        ("qualificação", BAD, "qualified", "qualification_score 40 < 70"),
    ],
)
def test_a_cancelled_meeting_says_why_the_lead_goes_where_it_goes(talk, attributes, before, because):
    facts = Facts("meeting_scheduled", talk, attributes, "cancelled", "evt_1", True, stage_before_meeting=before)

    decision = decide(facts, RULES)

    assert (decision.reason, decision.rule) == (f"meeting evt_1 cancelled; {because}", "meeting")


@pytest.mark.parametrize(("undecided", "stage"), [("qualified", "qualified"), (None, "qualifying")])
def test_a_cancelled_meeting_of_whom_nothing_is_known_leaves_the_lead_in_qualification(undecided, stage):
    """Where no stage is for the undecided, in the first after the start."""
    rules = replace(RULES, qualification=replace(RULES.qualification, undecided_stage=undecided))
    assert decide(Facts("meeting_scheduled", meeting_status="cancelled", meeting_changed=True), rules).stage == stage


def test_who_was_not_interested_before_the_meeting_goes_to_where_a_reply_takes_it():
    stages = tuple(replace(stage, on_reply="qualified") if stage.on_reply else stage for stage in STAGES)
    facts = Facts("meeting_scheduled", meeting_status="cancelled", stage_before_meeting="not_interested")
    assert decide(facts, replace(RULES, stages=stages)).stage == "qualified"


def test_a_cancellation_that_came_during_a_handoff_counts_when_it_is_over():
    facts = Facts("meeting_scheduled", meeting_status="cancelled", meeting_changed=True, handoff=True)
    assert decide(facts, RULES).suppressed
    assert decide(replace(facts, handoff=False, meeting_changed=False), RULES).stage == "qualifying"


def test_talk_does_not_undo_a_cancellation():
    rules = replace(RULES, mappings=(MappingRule(1, "agendamento", MappingAction.MOVE, "meeting_scheduled"),))
    facts = Facts("qualified", "agendamento", meeting_status="cancelled")
    assert decide(facts, rules).stage == "qualified"
    assert decide(replace(facts, meeting_status=None), rules).stage == "meeting_scheduled"


def test_a_cancelled_meeting_does_not_move_a_lead_that_is_elsewhere():
    decision = decide(Facts("qualified", meeting_status="cancelled", meeting_changed=True), RULES)
    assert (decision.stage, decision.changed) == ("qualified", False)


def test_a_stage_for_meetings_that_is_reached_from_anywhere_takes_a_booked_lead_back():
    stages = tuple(
        replace(stage, reachable_from_anywhere=stage.key == "meeting_scheduled", on_reply=None) for stage in STAGES
    )
    facts = Facts("not_interested", meeting_status="scheduled", meeting_changed=True)
    assert decide(facts, replace(RULES, stages=stages)).stage == "meeting_scheduled"
