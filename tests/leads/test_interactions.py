from __future__ import annotations

import threading
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leads import handoff, stage_moves, which_fact_stands
from leads.explanation import why_not
from leads.interaction_values import Direction, Meeting, Message
from leads.models import Criterion, Event, Lead, Qualification, Stage, StageMapping, UnmappedConversationStage
from tests.conftest import MARIA, lead_of, record

GOOD = {"qualification_score": Decimal(82), "context": {"conversation_stage": "qualificação"}}


def inbound(text: str = "oi", **more: object) -> Message:
    return Message(Direction.INBOUND, text=text, **more)


def test_the_first_message_makes_a_lead_in_the_first_stage(pipeline):
    recorded = record(pipeline, message=inbound())

    assert recorded.created
    lead = lead_of()
    assert (lead.stage.key, lead.phone, lead.last_inbound_at is not None) == ("new", MARIA, True)


def test_a_name_learned_later_is_the_leads_name(pipeline):
    record(pipeline)
    record(pipeline, name="Maria Souza")
    assert lead_of().name == "Maria Souza"


def test_a_key_that_is_absent_stays_and_null_clears(pipeline):
    record(pipeline, name="Maria", bill_value=Decimal(500), custom={"kwh": 540})
    record(pipeline, chosen_flow="Aluguel de Lote")
    assert (lead_of().name, lead_of().bill_value, lead_of().custom) == ("Maria", Decimal(500), {"kwh": 540})
    record(pipeline, name=None, bill_value=None, custom={"kwh": None})
    assert (lead_of().name, lead_of().bill_value, lead_of().custom) == ("", None, {})


def test_an_older_interaction_does_not_undo_a_newer_value(pipeline):
    now = timezone.now()
    record(pipeline, name="Maria Souza", occurred_at=now)
    record(pipeline, name="Maria", chosen_flow="Aluguel de Lote", occurred_at=now - timedelta(minutes=5))
    lead = lead_of()
    assert (lead.name, lead.chosen_flow) == ("Maria Souza", "Aluguel de Lote")
    assert lead.events.order_by("-id").filter(kind=Event.Kind.INTERACTION)[0].data["ignored"][0]["field"] == "lead.name"


def test_a_value_that_was_confirmed_later_is_not_undone_by_one_in_between(pipeline):
    now = timezone.now()
    record(pipeline, name="Maria", occurred_at=now - timedelta(minutes=10))
    record(pipeline, name="Maria", occurred_at=now)
    record(pipeline, name="Mariana", occurred_at=now - timedelta(minutes=5))
    assert lead_of().name == "Maria"


def test_objections_accumulate_and_null_clears_them(pipeline):
    record(pipeline, context={"objections": ["preço"]})
    record(pipeline, context={"objections": ["Preço", "timing"]})
    assert [objection.name for objection in lead_of().objections.all()] == ["preço", "timing"]
    record(pipeline, context={"objections": None})
    assert not lead_of().objections.exists()


def test_objections_that_arrive_late_are_added_unless_all_were_taken_back_after_them(pipeline):
    now = timezone.now()

    def say(minutes, names):
        record(pipeline, context={"objections": names}, occurred_at=now + timedelta(minutes=minutes))

    say(-1, ["timing"])
    say(-9, ["preço"])
    assert {objection.name for objection in lead_of().objections.all()} == {"preço", "timing"}
    say(-5, None)
    assert [objection.name for objection in lead_of().objections.all()] == ["timing"]
    say(-7, ["tecnologia"])
    assert [objection.name for objection in lead_of().objections.all()] == ["timing"]
    say(-4, ["propriedade"])
    assert {objection.name for objection in lead_of().objections.all()} == {"timing", "propriedade"}


def test_the_reason_of_a_decision_is_on_the_lead_and_its_timeline(pipeline):
    record(pipeline, **GOOD)
    lead = lead_of()
    assert lead.decision_reason == "qualification_score 82 >= 70"
    event = lead.events.get(kind=Event.Kind.DECISION)
    assert (event.reason, event.data["from"], event.data["to"]) == ("qualification_score 82 >= 70", "new", "qualified")


def test_qualification_without_a_score_neither_fails_nor_crashes(pipeline):
    record(pipeline, qualification_score=None, context={"conversation_stage": "qualificação"})
    assert lead_of().stage.key == "qualifying"


def test_a_changed_minimum_score_holds_from_the_next_interaction(pipeline):
    record(pipeline, qualification_score=Decimal(60), context={"conversation_stage": "qualificação"})
    assert lead_of().stage.key == "disqualified"
    rule = Qualification.objects.get(pipeline=pipeline)
    rule.min_score = 50
    rule.save()
    record(pipeline, "+5581988880000", qualification_score=Decimal(60), context={"conversation_stage": "qualificação"})
    assert lead_of("+5581988880000").stage.key == "qualified"


def test_a_renamed_stage_and_a_new_criterion_hold_at_once(pipeline):
    record(pipeline)
    stage = Stage.objects.get(pipeline=pipeline, key="qualified")
    stage.name = "PRONTO"
    stage.save()
    Criterion.objects.create(
        qualification=pipeline.qualification, field="has_active_contract", operator="is_false", disqualifies=True
    )
    record(pipeline, has_active_contract=True, **GOOD)
    assert lead_of().stage.key == "disqualified"
    record(pipeline, "+5581988880000", **GOOD)
    assert lead_of("+5581988880000").stage.name == "PRONTO"


def test_an_unknown_conversation_stage_is_collected_for_staff(pipeline):
    for _ in range(2):
        record(pipeline, context={"conversation_stage": "negociação"})
    row = UnmappedConversationStage.objects.get()
    assert (row.text, row.times_seen) == ("negociação", 2)


def test_a_mapping_matches_without_regard_to_case_accents_and_underscores(pipeline):
    first = Stage.objects.get(pipeline=pipeline, key="qualifying")
    StageMapping.objects.create(pipeline=pipeline, conversation_stage="Exploração Inicial", move_to=first, position=9)
    record(pipeline, context={"conversation_stage": "exploracao_inicial"})
    assert lead_of().stage.key == "qualifying"


def test_meeting_booked_and_cancelled_goes_there_and_back(pipeline):
    record(pipeline, **GOOD)
    record(
        pipeline, context={"meeting": Meeting("scheduled", id="evt_1", starts_at=timezone.now() + timedelta(days=2))}
    )
    assert lead_of().stage.key == "meeting_scheduled"
    record(pipeline, context={"meeting": Meeting("cancelled", id="evt_1")})
    lead = lead_of()
    assert (lead.stage.key, lead.has_standing_meeting) == ("qualified", False)


def test_a_persons_value_stands_until_the_conversation_brings_a_new_one(pipeline):
    record(pipeline, name="Maria")
    lead = lead_of()
    which_fact_stands.adopt(lead, "name", "Maria Souza Lima", at=timezone.now())
    lead.save()

    record(pipeline, name="Maria")
    assert lead_of().name == "Maria Souza Lima"

    record(pipeline, name="Maria S. Lima Neta")
    assert lead_of().name == "Maria S. Lima Neta"


@pytest.mark.parametrize("written", ["4000", "4E+3"])
def test_an_amount_said_again_stays_the_persons_however_it_was_written_down(pipeline, written):
    record(pipeline, bill_value=Decimal("4000.00"))
    lead = lead_of()
    assert lead.provenance["bill_value"]["said"] == "4000"
    which_fact_stands.adopt(lead, "bill_value", Decimal("5000"), at=timezone.now())
    lead.provenance["bill_value"]["said"] = written
    lead.save()

    record(pipeline, bill_value=Decimal("4000.00"))
    assert lead_of().bill_value == Decimal("5000")

    record(pipeline, bill_value=Decimal("4100"))
    assert lead_of().bill_value == Decimal("4100")


def test_a_move_by_staff_stands_and_the_suppressed_one_is_recorded(pipeline):
    record(pipeline)
    new = lead_of().stage
    record(pipeline, **GOOD)
    stage_moves.move(lead_of(), new, by=Lead.Actor.STAFF, reason="back", now=timezone.now())

    recorded = record(pipeline, message=inbound("e então?"), **GOOD)

    assert (recorded.lead.stage.key, recorded.decision.changed) == ("new", False)
    event = lead_of().events.get(kind=Event.Kind.MOVE_SUPPRESSED)
    assert event.data["would_be"] == "qualified"


def test_what_had_been_concluded_before_it_was_kept_stands_against_nobody_but_a_person(pipeline):
    """As an earlier version leaves its leads: where somebody put them, without a word on what was concluded."""
    for mover, stage in ((Lead.Actor.STAFF, "qualifying"), (Lead.Actor.KOMMO, "qualified"), ("bridge", "qualified")):
        Lead.objects.all().delete()
        record(pipeline, **GOOD)
        Lead.objects.update(
            stage=Stage.objects.get(key="qualifying"), stage_set_by=mover, concluded=None, concluded_when_moved=None
        )

        assert record(pipeline, message=inbound("oi"), **GOOD).lead.stage.key == stage
        assert lead_of().concluded == ["qualified>qualified"]

        # What is new since then moves it on.
        assert record(pipeline, bill_value=Decimal(90)).lead.stage.key == "disqualified"


def test_a_page_that_asks_why_not_knows_what_an_earlier_version_left_unsaid(pipeline):
    record(pipeline, **GOOD)
    Lead.objects.update(
        stage=Stage.objects.get(key="qualifying"), stage_set_by="staff", concluded=None, concluded_when_moved=None
    )
    alternatives = {alternative.stage: alternative for alternative in why_not(lead_of())}
    assert alternatives["qualified"].reasons == (
        "qualification_score 82 >= 70, but a person moved the card to EM QUALIFICAÇÃO and nothing new was concluded "
        "since",
    )


def test_messages_during_a_handoff_are_recorded_and_move_nothing(pipeline):
    record(pipeline)
    handoff.pause(lead_of(), source=Lead.HandoffSource.ADMIN, by=Lead.Actor.STAFF, reason="x", now=timezone.now())

    record(pipeline, message=inbound("ainda aí?"), name="Maria", **GOOD)

    lead = lead_of()
    assert (lead.stage.key, lead.name) == ("new", "Maria")
    texts = [event.data.get("message", {}).get("text") for event in lead.events.filter(kind=Event.Kind.INTERACTION)]
    assert "ainda aí?" in texts


def test_the_same_interaction_again_saves_nothing(pipeline):
    now = timezone.now()
    record(pipeline, name="Maria", occurred_at=now)
    before = lead_of().updated_at
    record(pipeline, name="Maria", occurred_at=now)
    assert lead_of().updated_at == before


def test_queries_of_record_do_not_grow_with_leads_events_or_the_history_of_rules(pipeline):
    def statements() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            record(pipeline, name=f"Maria {len(queries)}", message=inbound(), occurred_at=timezone.now(), **GOOD)
        return len(queries)

    record(pipeline)
    statements()
    few = statements()
    for number in range(30):
        record(pipeline, f"+5581977{number:06d}", message=inbound())
        record(pipeline, message=inbound(str(number)))
    rule = Qualification.objects.get(pipeline=pipeline)
    for score in range(60, 71):
        rule.min_score = score
        rule.save()
    # Reading the changed rules once is the next interaction's; from then on they are known.
    statements()
    assert statements() == few
    assert few <= 14


@pytest.mark.django_db(transaction=True)
def test_concurrent_first_messages_of_one_phone_make_one_lead(transactional_db):
    from leads.models import Pipeline

    if connection.vendor == "sqlite":
        pytest.skip("one connection in memory: threads cannot race on it; tests/e2e races on a file")
    pipeline = Pipeline.objects.get(slug="solar")
    gate = threading.Barrier(4)

    def first_message(spelling: str) -> None:
        gate.wait()
        record(pipeline, spelling, message=inbound())
        connection.close()

    threads = [
        threading.Thread(target=first_message, args=(spelling,))
        for spelling in ("+5581999990000", "558199990000", "81999990000", "5581999990000@c.us")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Lead.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_objection_reported_twice_at_the_same_moment_is_told_once(transactional_db):
    from leads.models import Pipeline

    if connection.vendor == "sqlite":
        pytest.skip("one connection in memory: threads cannot race on it")
    pipeline = Pipeline.objects.get(slug="solar")
    lead = record(pipeline).lead
    gate = threading.Barrier(4)

    def object_to(more: str) -> None:
        gate.wait()
        record(pipeline, context={"objections": ["preço", more]})
        connection.close()

    threads = [threading.Thread(target=object_to, args=(more,)) for more in ("prazo", "prazo", "marca", "marca")]
    with transaction.atomic():
        # All four wait here, and look with the eyes of before: what the first of them stores is news to the others.
        Lead.objects.select_for_update().get(pk=lead.pk)
        for thread in threads:
            thread.start()
        wait_for_locks(4)
    for thread in threads:
        thread.join()
    changes = [event.data["changed"] for event in lead.events.filter(kind=Event.Kind.INTERACTION)]
    assert sorted(name for changed in changes for name in changed.get("objections", [])) == ["marca", "prazo", "preço"]
    assert sorted(objection.name for objection in lead.objections.all()) == ["marca", "prazo", "preço"]


@pytest.mark.django_db(transaction=True)
def test_an_objection_raised_while_all_are_being_taken_back_stands(transactional_db):
    from leads.models import Pipeline

    if connection.vendor == "sqlite":
        pytest.skip("one connection in memory: threads cannot race on it")
    pipeline = Pipeline.objects.get(slug="solar")
    record(pipeline, context={"objections": ["preço", "prazo"]})

    def object_again() -> None:
        record(pipeline, context={"objections": ["preço"]})
        connection.close()

    thread = threading.Thread(target=object_again)
    with transaction.atomic():
        record(pipeline, context={"objections": None})
        thread.start()
        wait_for_locks(1)
    thread.join()
    assert [objection.name for objection in lead_of().objections.all()] == ["preço"]


def wait_for_locks(number: int) -> None:
    """Return when so many connections wait for a lock of ours."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    for _ in range(1_000):
        with connection.cursor() as cursor:
            # What it says of others is read once in a transaction, unless it is told to forget.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(waiting)
            if cursor.fetchone()[0] >= number:
                return
        time.sleep(0.01)
    raise AssertionError(f"fewer than {number} waited")
