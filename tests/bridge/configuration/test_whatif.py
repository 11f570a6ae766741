"""What would change is known before anybody publishes, and nobody moves unless staff ask for it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.configuration import compiling, document, exporting, reevaluation, revisions, whatif
from bridge.models import Card, Reevaluation
from leads import handoff, stage_moves
from leads.models import Event, Lead, Qualification
from leads.rulebook import rulebook
from tests.conftest import MARIA, drain, due_calls, lead_of, record

QUALIFYING = {"conversation_stage": "qualificação"}


def scored(pipeline, phone, score):
    return record(pipeline, phone, qualification_score=score, context=QUALIFYING).lead


def phone(number):
    return f"+55819999{number:05d}"


def outlook(pipeline, score, *criteria, may_go_on=lambda: True, found=None):
    live = exporting.read_pipeline(pipeline)
    asked = (*live.qualification.criteria, *criteria)
    wanted = replace(live, qualification=replace(live.qualification, min_score=Decimal(score), criteria=asked))
    return whatif.go_on(
        found or whatif.begin(pipeline),
        pipeline,
        former=compiling.rules(live),
        wanted=compiling.rules(wanted),
        may_go_on=may_go_on,
    )


def lower_to(score):
    row = Qualification.objects.get()
    row.min_score = score
    row.save()


def run_everything():
    return reevaluation.run(may_go_on=lambda: True)


def test_a_higher_threshold_names_those_who_would_be_disqualified(pipeline):
    scored(pipeline, phone(1), 72)
    scored(pipeline, phone(2), 90)

    found = outlook(pipeline, 80)

    assert (found.is_complete, found.looked, found.moves, found.held) == (True, 2, {"qualified>disqualified": 1}, {})
    [[_, name, why]] = found.examples["qualified>disqualified"]
    assert (name, why) == (phone(1), "qualification_score 72 < 80")
    assert lead_of(phone(1)).stage.key == "qualified"


def test_a_lower_threshold_gives_back_those_it_turns_the_verdict_of(pipeline):
    scored(pipeline, phone(1), 60)

    found = outlook(pipeline, 55)

    assert (found.moves, found.held) == ({"disqualified>qualified": 1}, {})


def test_a_criterion_that_nobody_has_answered_shows_whom_only_the_order_of_stages_holds(pipeline):
    scored(pipeline, phone(1), 90)

    found = outlook(pipeline, 70, document.Criterion(field="is_decision_maker", operator="is_true", required=True))

    assert (found.moves, found.held) == ({}, {"qualified>qualifying": 1})


def test_talk_that_lags_behind_the_card_is_no_consequence_of_a_new_rule(pipeline):
    scored(pipeline, phone(1), 90)
    record(pipeline, phone(1), context={"conversation_stage": "estágio_1_apresentar_soluções"})

    assert outlook(pipeline, 55).held == {}


def test_a_lead_that_a_person_placed_or_took_over_is_not_among_them(pipeline):
    placed, taken = scored(pipeline, phone(1), 72), scored(pipeline, phone(2), 72)
    now = timezone.now()
    stage_moves.move(placed, placed.pipeline.stages.get(key="new"), by=Lead.Actor.STAFF, reason="mine", now=now)
    handoff.pause(taken, source=Lead.HandoffSource.ADMIN, by=Lead.Actor.STAFF, reason="mine", now=now)

    found = outlook(pipeline, 80)

    assert (found.total, found.moves) == (0, {})


def test_a_slice_goes_on_where_the_one_before_it_ended(pipeline, monkeypatch):
    monkeypatch.setattr("leads.reconsideration.PAGE", 2)
    for number in range(5):
        scored(pipeline, phone(number), 72)

    steps = [outlook(pipeline, 80, may_go_on=lambda: False)]
    while not steps[-1].is_complete:
        resumed = whatif.Outlook(**steps[-1].plain())
        steps.append(outlook(pipeline, 80, may_go_on=lambda: False, found=resumed))

    assert [step.looked for step in steps] == [2, 4, 5, 5]
    assert steps[-1].moves == {"qualified>disqualified": 5}


@pytest.mark.django_db
def test_looking_costs_a_query_a_page_and_keeps_a_page(pipeline, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr("leads.reconsideration.PAGE", 3)
    for number in range(7):
        scored(pipeline, phone(number), 72)
    rulebook(pipeline.__class__.objects.get())
    found = whatif.begin(pipeline)
    pipeline.refresh_from_db()
    live = compiling.rules(exporting.read_pipeline(pipeline))
    rulebook(pipeline)

    # The stages once, then pages of 3, 3, 1 and the empty one.
    with django_assert_num_queries(5):
        whatif.go_on(found, pipeline, former=live, wanted=live, may_go_on=lambda: True)


def test_calls_are_counted_in_batches(account, pipeline):
    account.batch_size, account.requests_per_second = 50, 7
    account.save()

    assert whatif.cost(pipeline, 0) == whatif.Cost(0, 0)
    assert whatif.cost(pipeline, 51) == whatif.Cost(2, 1)


def test_saving_a_rule_moves_nobody(pipeline):
    scored(pipeline, MARIA, 72)
    lower_to(80)
    assert lead_of().stage.key == "qualified"
    assert not reevaluation.has_work()


def test_asked_for_the_leads_move_behind_live_traffic_with_the_reason(account, pipeline, kommo):
    scored(pipeline, MARIA, 72)
    drain(account)
    lower_to(80)
    reevaluation.ask(pipeline, by="ada", former=None, now=timezone.now())

    tasks.reevaluate()

    lead = lead_of()
    assert (lead.stage.key, lead.stage_set_by) == ("disqualified", "bridge")
    assert lead.decision_reason == "rules applied by ada: qualification_score 72 < 80"
    assert lead.events.filter(kind=Event.Kind.STAGE_CHANGED, actor="bridge").exists()
    assert (lead.card.state, lead.card.lane) == (Card.State.DUE, Card.Lane.BULK)
    row = Reevaluation.objects.get()
    assert (row.looked, row.moved, row.ended_at is not None) == (1, 1, True)
    drain(account)
    assert kommo.lead(lead.card.kommo_lead_id)["status_id"] == lead.stage.kommo_status_id


def test_a_card_that_waits_for_a_conversation_keeps_its_place(account, pipeline):
    scored(pipeline, MARIA, 72)
    lower_to(80)
    reevaluation.ask(pipeline, by="ada", former=None, now=timezone.now())

    run_everything()

    assert lead_of().card.lane == Card.Lane.LIVE


def test_asked_against_the_order_those_go_back_whom_the_old_rule_had_let_on(pipeline):
    scored(pipeline, MARIA, 90)
    former = revisions.note(pipeline, now=timezone.now())
    Qualification.objects.get().criteria.create(field="is_decision_maker", operator="is_true", required=True)
    reevaluation.ask(pipeline, by="ada", former=None, now=timezone.now())
    assert run_everything() == 0

    reevaluation.ask(pipeline, by="ada", former=former, now=timezone.now())
    assert run_everything() == 1

    assert lead_of().stage.key == "qualifying"
    assert lead_of().decision_reason == "rules applied by ada: is_decision_maker is not known yet"


def test_those_whose_verdict_turns_with_the_rules_come_back_without_being_asked_for(pipeline):
    scored(pipeline, MARIA, 60)
    lower_to(55)
    reevaluation.ask(pipeline, by="ada", former=None, now=timezone.now())

    assert run_everything() == 1

    assert lead_of().stage.key == "qualified"
    # Once: what was concluded is remembered.
    reevaluation.ask(pipeline, by="ada", former=None, now=timezone.now())
    assert run_everything() == 0


def test_a_worker_that_dies_goes_on_where_it_was_and_moves_nobody_twice(pipeline, monkeypatch):
    monkeypatch.setattr("leads.reconsideration.PAGE", 2)
    for number in range(5):
        scored(pipeline, phone(number), 72)
    lower_to(80)
    row = reevaluation.ask(pipeline, by="ada", former=None, now=timezone.now())
    reevaluation.run(may_go_on=lambda: False)
    row.refresh_from_db()
    assert (row.looked, row.moved, row.ended_at) == (2, 2, None)
    # As if it had died after moving and before the cursor was stored.
    Reevaluation.objects.update(cursor=None)

    run_everything()

    moves = Event.objects.filter(kind=Event.Kind.STAGE_CHANGED, data__to="disqualified")
    assert moves.count() == moves.values("lead").distinct().count() == 5


def test_a_reevaluation_can_be_stopped(pipeline):
    scored(pipeline, MARIA, 72)
    lower_to(80)
    row = reevaluation.ask(pipeline, by="ada", former=None, now=timezone.now())

    assert reevaluation.stop(row, by="bob", now=timezone.now())

    assert run_everything() == 0
    assert lead_of().stage.key == "qualified"


def test_the_clock_asks_for_it_while_something_is_left(pipeline):
    call = ("bridge.tasks.reevaluate", ())
    assert call not in due_calls()
    reevaluation.ask(pipeline, by="ada", former=None, now=timezone.now())
    assert call in due_calls()
    tasks.reevaluate()
    assert call not in due_calls()
