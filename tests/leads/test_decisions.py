"""Where a lead stands, row by row of what was asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from leads.decisions import Facts, Mover, Suppressed, decide
from leads.rules import Criterion, MappingAction, MappingRule, Rules, StageRule
from tests.leads.shipped import RULES, STAGES

GOOD, BAD = {"qualification_score": 82}, {"qualification_score": 40}


def moved(facts, mover=Mover.PERSON):
    """Return the facts once somebody else has moved the lead there, knowing what the conversation had concluded."""
    known = decide(replace(facts, moved_by=None, handoff=False), RULES).concluded
    return replace(facts, moved_by=mover, concluded=known, concluded_when_moved=frozenset(known))


def stage_for(**facts):
    return decide(Facts(**facts), RULES).stage


def test_a_new_lead_stands_in_the_first_stage():
    decision = decide(Facts("new", new_lead=True), RULES)
    assert (decision.stage, decision.changed) == ("new", False)


def test_presenting_the_solutions_moves_to_qualification():
    assert stage_for(stage="new", conversation_stage="Estagio 1 apresentar solucoes") == "qualifying"


def test_met_criteria_move_to_qualified_with_the_reason():
    decision = decide(Facts("qualifying", "qualificação", GOOD), RULES)
    assert (decision.stage, decision.reason) == ("qualified", "qualification_score 82 >= 70")


def test_a_low_score_or_bill_moves_to_disqualified():
    assert stage_for(stage="qualifying", conversation_stage="qualificação", attributes=BAD) == "disqualified"
    assert (
        stage_for(stage="new", conversation_stage="qualificação", attributes=GOOD | {"bill_value": 100})
        == "disqualified"
    )


def test_a_booked_meeting_moves_by_itself_whatever_is_talked_about():
    for talk in (None, "qualificação", "início", "never heard of"):
        facts = Facts("new", talk, meeting_status="scheduled", meeting_id="evt_1", meeting_changed=True)
        assert decide(facts, RULES).stage == "meeting_scheduled"


def test_the_reason_names_the_meeting():
    decision = decide(Facts("qualified", meeting_status="scheduled", meeting_id="evt_1", meeting_changed=True), RULES)
    assert decision.reason == "meeting evt_1 booked"


def test_talk_of_a_meeting_books_none():
    assert stage_for(stage="qualified", conversation_stage="agendamento") == "qualified"


def test_a_booked_lead_who_only_talks_does_not_go_back():
    for talk in ("estágio_1_apresentar_soluções", "qualificação"):
        facts = Facts("meeting_scheduled", talk, BAD, meeting_status="scheduled")
        assert decide(facts, RULES).stage == "meeting_scheduled"


def test_a_cancelled_meeting_takes_the_lead_back_to_what_it_deserves():
    cancelled = Facts("meeting_scheduled", "agendamento", meeting_status="cancelled", meeting_changed=True)
    assert decide(replace(cancelled, stage_before_meeting="qualified"), RULES).stage == "qualified"
    assert decide(cancelled, RULES).stage == "qualifying"
    assert decide(replace(cancelled, conversation_stage="qualificação", attributes=GOOD), RULES).stage == "qualified"


def test_a_cancelled_meeting_does_not_put_a_lead_where_its_next_word_takes_it_away_again():
    stages = (StageRule("booked", "AGENDADA", 0), StageRule("cold", "FRIO", 1, on_reply="booked"))
    rules = Rules("any", stages=stages, meeting_stage="booked")
    cancelled = Facts("booked", meeting_status="cancelled", meeting_changed=True, inbound=True)
    assert decide(cancelled, rules).stage == "booked"


def test_an_unknown_conversation_stage_moves_nothing_and_is_reported():
    decision = decide(Facts("qualified", "estágio_99"), RULES)
    assert (decision.stage, decision.changed, decision.unmapped_conversation_stage) == ("qualified", False, True)


def test_a_stage_is_found_by_its_key_and_not_by_part_of_a_name():
    assert stage_for(stage="new", conversation_stage="qualificação", attributes=BAD) == "disqualified"
    rules = replace(RULES, stages=tuple(stage for stage in STAGES if stage.key != "disqualified"))
    assert decide(Facts("new", "qualificação", BAD), rules).stage == "new"


def test_missing_data_leaves_the_lead_in_qualification():
    assert (
        stage_for(stage="new", conversation_stage="qualificação", attributes={"qualification_score": None})
        == "qualifying"
    )


def test_people_win_over_what_was_concluded_before_but_not_over_a_new_meeting():
    taken_back = moved(Facts("qualifying", "qualificação", GOOD))
    decision = decide(taken_back, RULES)
    assert decision.stage == "qualifying"
    assert decision.suppressed is not None
    assert decision.suppressed.stage == "qualified"
    booked = replace(taken_back, meeting_status="scheduled", meeting_changed=True)
    assert decide(booked, RULES).stage == "meeting_scheduled"


def test_nothing_moves_during_a_handoff():
    decision = decide(Facts("qualifying", "qualificação", GOOD, handoff=True), RULES)
    assert decision.stage == "qualifying"
    assert decision.suppressed is not None
    assert "person" in decision.suppressed.reason


def test_a_lead_in_a_stage_of_staffs_own_stays_there():
    decision = decide(Facts(None, "qualificação", GOOD), RULES)
    assert (decision.stage, decision.changed) == (None, False)


def test_not_interested_is_taken_up_again_by_a_reply_and_staff_are_told():
    decision = decide(Facts("not_interested", "início", inbound=True), RULES)
    assert decision.stage == "qualifying"
    assert decision.notify_staff
    assert stage_for(stage="not_interested", conversation_stage="início") == "not_interested"
    assert (
        stage_for(stage="not_interested", conversation_stage="qualificação", attributes=GOOD, inbound=True)
        == "qualified"
    )


def test_disqualified_won_and_lost_stay_when_the_lead_writes_and_staff_are_told():
    for stage, attributes in (("disqualified", BAD), ("won", GOOD), ("lost", GOOD)):
        decision = decide(Facts(stage, "qualificação", attributes, inbound=True), RULES)
        assert (decision.stage, decision.changed) == (stage, False)
        assert decision.notify_staff


def test_a_lead_that_is_further_along_is_told_from_a_move_that_is_forbidden():
    talk = "conversation stage “estágio_1_apresentar_soluções” means EM QUALIFICAÇÃO"
    rule = "mapping:estágio_1_apresentar_soluções"

    booked = decide(Facts("meeting_scheduled", "estágio_1_apresentar_soluções", meeting_status="scheduled"), RULES)
    assert (booked.reason, booked.rule, booked.suppressed) == ("a meeting booked", "meeting", None)

    no_stage_for_meetings = replace(RULES, meeting_stage=None)
    ahead = decide(
        Facts("qualified", "estágio_1_apresentar_soluções", meeting_status="scheduled"), no_stage_for_meetings
    )
    assert (ahead.reason, ahead.rule) == (f"{talk}; QUALIFICADO is further along", rule)
    assert ahead.suppressed is None

    back = decide(Facts("qualified", "estágio_1_apresentar_soluções"), RULES)
    reason = f"{talk}, but automatic moves do not go back from QUALIFICADO to EM QUALIFICAÇÃO"
    assert back.suppressed == Suppressed("qualifying", rule, reason, against_order=talk)
    assert (back.reason, back.rule) == (reason, rule)


@pytest.mark.parametrize(
    ("facts", "reason", "rule"),
    [
        (Facts("new", new_lead=True), "first message of a new lead", "new lead"),
        (Facts("new", "início"), "conversation stage “início” moves nothing now", "conversation stage"),
        (Facts("new", "preço"), "conversation stage “preço” is not mapped yet", "conversation stage"),
        (Facts("new"), "nothing in this interaction calls for a move", "none"),
        (Facts("meeting_scheduled", meeting_status="rescheduled"), "a meeting moved to another time", "meeting"),
    ],
)
def test_a_lead_that_stays_is_told_why(facts, reason, rule):
    decision = decide(facts, RULES)
    assert (decision.changed, decision.reason, decision.rule) == (False, reason, rule)


# What once went wrong


@pytest.mark.parametrize("score", [None, "", "unknown"])
def test_an_unknown_score_is_not_a_low_score(score):
    decision = decide(Facts("qualified", "qualificação", {"qualification_score": score}), RULES)
    assert (decision.stage, decision.changed) == ("qualified", False)


@pytest.mark.parametrize("stage", ["qualified", "meeting_scheduled", "disqualified", "human_handoff", "won"])
@pytest.mark.parametrize(
    "talk", ["estágio_99", "new", "NOVO LEAD", "QUALIFICA", "desqualificação", "DESQUALIFICADO", ""]
)
def test_talk_that_only_resembles_a_rule_moves_nobody(stage, talk):
    decision = decide(Facts(stage, talk, GOOD), RULES)
    assert (decision.stage, decision.changed) == (stage, False)


def test_a_mapping_to_a_stage_that_is_gone_moves_nothing():
    rules = replace(RULES, mappings=(MappingRule(1, "oferta", MappingAction.MOVE, "offer"),))
    decision = decide(Facts("qualified", "oferta"), rules)
    assert (decision.stage, decision.unmapped_conversation_stage) == ("qualified", False)


def test_a_qualified_lead_whose_score_falls_is_disqualified_with_the_reason():
    decision = decide(Facts("qualified", "qualificação", BAD), RULES)
    assert (decision.stage, decision.reason) == ("disqualified", "qualification_score 40 < 70")


def test_talk_that_goes_back_takes_nobody_back():
    decision = decide(Facts("qualified", "estágio_1_apresentar_soluções"), RULES)
    assert decision.stage == "qualified"
    assert "do not go back from QUALIFICADO to EM QUALIFICAÇÃO" in decision.reason


def test_the_first_mapping_that_matches_wins():
    first = MappingRule(0, "Qualificacao", MappingAction.MOVE, "qualifying")
    rules = replace(RULES, mappings=(first, *RULES.mappings))
    assert decide(Facts("new", "qualificação", GOOD), rules).stage == "qualifying"


def test_a_mapping_whose_condition_does_not_hold_leaves_the_next_one_its_turn():
    rules = replace(RULES, mappings=(*RULES.mappings, MappingRule(9, "agendamento", MappingAction.MOVE, "qualifying")))
    assert decide(Facts("new", "agendamento"), rules).stage == "qualifying"


def test_qualification_is_asked_only_where_the_conversation_is_about_it():
    assert stage_for(stage="qualifying", conversation_stage="início", attributes=BAD) == "qualifying"


# Ways forward


def test_a_stage_of_equal_rank_is_not_further():
    beside = StageRule("beside", "AO LADO", 1)
    rules = replace(
        RULES,
        stages=(*STAGES, beside),
        mappings=(MappingRule(1, "outro assunto", MappingAction.MOVE, "beside"),),
    )
    assert decide(Facts("new", "outro assunto"), rules).stage == "beside"
    assert decide(Facts("qualifying", "outro assunto"), rules).stage == "qualifying"


@pytest.mark.parametrize(
    ("flow", "stage"),
    [("Aluguel de Lote", "disqualified"), ("Usina Investimento", "qualified"), (None, "qualified"), (7, "qualified")],
)
def test_a_criterion_of_a_flow_counts_for_leads_that_chose_it(flow, stage):
    criterion = Criterion(1, "bill_value", "gte", 400, ("Aluguel de Lote",), disqualifies=True)
    rules = replace(RULES, qualification=replace(RULES.qualification, criteria=(criterion,)))
    attributes = {**GOOD, "bill_value": 100, "chosen_flow": flow}
    assert decide(Facts("qualifying", "qualificação", attributes), rules).stage == stage


# People


def test_a_cancelled_meeting_takes_nobody_back_from_where_a_person_put_them():
    facts = Facts("meeting_scheduled", meeting_status="cancelled", meeting_changed=True)
    assert decide(facts, RULES).stage == "qualifying"
    decision = decide(replace(facts, moved_by=Mover.PERSON), RULES)
    assert decision.stage == "meeting_scheduled"
    assert "a person moved the card to REUNIÃO AGENDADA, and nothing moves it back over them" in decision.reason


def test_a_meeting_that_changes_does_not_let_ordinary_talk_over_a_move_by_staff():
    facts = moved(Facts("new", "qualificação", GOOD))
    decision = decide(replace(facts, meeting_status="completed", meeting_changed=True), RULES)
    assert decision.stage == "new"


def test_a_meeting_known_when_staff_moved_the_card_does_not_take_it_back():
    decision = decide(moved(Facts("qualified", meeting_status="scheduled")), RULES)
    assert decision.stage == "qualified"
    assert decision.suppressed
    assert decision.suppressed.reason == (
        "a meeting booked, but a person moved the card to QUALIFICADO and nothing new was concluded since"
    )


def test_a_meeting_moved_to_another_time_is_news_and_a_new_link_is_none():
    at = {"meeting_starts_at": datetime(2026, 11, 25, 17, tzinfo=UTC)}
    facts = moved(Facts("qualified", None, at, "scheduled", "evt_1"))
    same_moment = {"meeting_starts_at": datetime(2026, 11, 25, 14, tzinfo=ZoneInfo("America/Sao_Paulo"))}
    with_a_link = replace(facts, attributes=same_moment, meeting_status="rescheduled", meeting_changed=True)
    assert decide(with_a_link, RULES).stage == "qualified"
    later = {"meeting_starts_at": datetime(2026, 11, 26, 17, tzinfo=UTC)}
    assert decide(replace(with_a_link, attributes=later), RULES).stage == "meeting_scheduled"


def test_a_reply_from_not_interested_counts_though_staff_put_the_lead_there():
    facts = Facts("not_interested", inbound=True, moved_by=Mover.PERSON)
    assert decide(facts, RULES).stage == "qualifying"


@pytest.mark.parametrize(
    ("facts", "forbidden_by"),
    [
        (Facts(None, "estágio_1_apresentar_soluções"), "a person put the card into a stage of their own"),
        (Facts("new", "estágio_1_apresentar_soluções", handoff=True), "a person has taken over"),
        (Facts("won", "estágio_1_apresentar_soluções"), "automatic moves do not leave GANHO"),
        (
            moved(Facts("new", "estágio_1_apresentar_soluções")),
            "a person moved the card to NOVO LEAD and nothing new was concluded since",
        ),
        (
            moved(Facts("new", "estágio_1_apresentar_soluções"), Mover.KOMMO),
            "another program moved the card to NOVO LEAD and nothing new was concluded since",
        ),
        (
            Facts("qualified", "estágio_1_apresentar_soluções", moved_by=Mover.PERSON),
            "a person moved the card to QUALIFICADO, and nothing moves it back over them",
        ),
        (
            Facts("new", "estágio_1_apresentar_soluções", moved_by=Mover.PERSON, is_past=True),
            "a person moved the card to NOVO LEAD after that",
        ),
        (
            Facts("new", "estágio_1_apresentar_soluções", moved_by=Mover.KOMMO, is_past=True),
            "the card stood in NOVO LEAD in Kommo after that",
        ),
    ],
)
def test_a_move_that_people_forbid_says_who_did(facts, forbidden_by):
    decision = decide(facts, RULES)

    reason = f"conversation stage “estágio_1_apresentar_soluções” means EM QUALIFICAÇÃO, but {forbidden_by}"
    assert decision.suppressed == Suppressed("qualifying", "mapping:estágio_1_apresentar_soluções", reason)
    assert (decision.stage, decision.changed, decision.reason) == (facts.stage, False, reason)


def test_a_reply_during_a_handoff_takes_nobody_up():
    decision = decide(Facts("not_interested", inbound=True, handoff=True), RULES)
    assert decision.stage == "not_interested"
    assert decision.suppressed
    assert decision.notify_staff == "the lead wrote while a person has taken over"


def test_a_reply_that_says_no_again_leaves_the_lead_where_it_is():
    rules = replace(RULES, mappings=(MappingRule(1, "sem interesse", MappingAction.MOVE, "not_interested"),))
    decision = decide(Facts("not_interested", "sem interesse", inbound=True), rules)
    assert (decision.stage, decision.changed) == ("not_interested", False)
    assert decision.notify_staff == "the lead wrote from NÃO INTERESSADO; the card stays there"
    assert decision.rule == "mapping:sem interesse"
    assert decision.reason == "conversation stage “sem interesse” means NÃO INTERESSADO"


def test_a_reply_that_is_carried_further_says_both_reasons():
    decision = decide(Facts("not_interested", "qualificação", GOOD, inbound=True), RULES)
    assert decision.reason == "the lead wrote again from NÃO INTERESSADO; qualification_score 82 >= 70"


@pytest.mark.parametrize("stage", ["won", "disqualified", "qualified"])
def test_staff_hear_of_no_talk_that_is_not_the_leads_own(stage):
    assert decide(Facts(stage, "qualificação", GOOD), RULES).notify_staff is None


def test_talk_of_a_person_takes_even_a_booked_lead_to_a_person():
    rules = replace(RULES, mappings=(MappingRule(1, "atendente", MappingAction.MOVE, "human_handoff"),))
    facts = Facts("qualified", "atendente", meeting_status="scheduled", meeting_changed=True)
    assert decide(facts, rules).stage == "human_handoff"
