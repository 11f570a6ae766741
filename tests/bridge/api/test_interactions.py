from __future__ import annotations

import threading
from datetime import timedelta
from unittest.mock import DEFAULT, patch

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from psycopg.errors import DeadlockDetected

from bridge import retention
from bridge.api import api_keys, representation
from bridge.api.recording_reports import take_in
from bridge.models import ApiKey, IdempotencyRecord
from leads import whose_interaction
from leads.models import Event, Lead, Pipeline, Stage
from tests.bridge.api.conftest import Agent

YESTERDAY = (timezone.now() - timedelta(days=1)).isoformat()
IN_TWO_DAYS = (timezone.now() + timedelta(days=2)).isoformat()
FULL = {
    "lead": {
        "phone": "+55 81 99999-0000",
        "name": "Maria Souza",
        "email": "maria@example.com",
        "bill_value": "R$ 4.500,00",
        "chosen_flow": "Aluguel de Lote",
        "qualification_score": 82,
        "is_decision_maker": True,
        "has_solar_system": False,
        "has_active_contract": False,
        "custom": {"consumption_kwh": 540},
    },
    "context": {
        "conversation_stage": "qualificação",
        "objections_raised": ["preço"],
        "meeting": {
            "id": "evt_1",
            "status": "scheduled",
            "starts_at": IN_TWO_DAYS,
            "link": "https://x.example/1",
        },
    },
    "message": {"id": "wamid.1", "direction": "inbound", "sent_at": YESTERDAY, "text": "oi"},
    "occurred_at": YESTERDAY,
    "pipeline": "solar",
}


def test_the_contracts_own_example_is_answered_as_it_says(agent):
    answer = agent.post("interactions/", FULL)

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"lead", "decision", "agent", "followup", "ignored"}
    assert body["ignored"] == []
    assert body["lead"] == {
        "id": str(Lead.objects.get().pk),
        "phone": "+5581999990000",
        "addresses": [{"kind": "phone", "value": "+5581999990000"}],
        "name": "Maria Souza",
        "pipeline": "solar",
        "stage": "meeting_scheduled",
        "stage_name": "REUNIÃO AGENDADA",
        "kommo_lead_id": None,
        "sync": "pending",
    }
    assert body["decision"] == {"stage": "meeting_scheduled", "changed": True, "reason": "meeting evt_1 booked"}
    assert body["agent"] == {"may_reply": True, "reason": None, "since": None}
    assert set(body["followup"]) == {"state", "next_at", "step"}


def test_a_known_lead_is_200_and_only_the_phone_is_required(agent):
    assert agent.says().status_code == 201
    assert agent.says("5581999990000@s.whatsapp.net").status_code == 200


def test_the_reason_reads_as_the_contract_has_it(agent):
    answer = agent.says(qualification_score=82, context={"conversation_stage": "qualificação"}).json()
    assert answer["decision"] == {"stage": "qualified", "changed": True, "reason": "qualification_score 82 >= 70"}


def test_the_same_message_again_gets_the_first_answer_and_acts_once(agent):
    first = agent.post("interactions/", FULL)
    again = agent.post("interactions/", FULL)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert Event.objects.filter(kind=Event.Kind.INTERACTION).count() == 1


def test_the_same_key_with_another_body_is_a_conflict(agent):
    agent.post("interactions/", {"lead": {"phone": "81999990000"}}, **{"idempotency-key": "k1"})
    answer = agent.post("interactions/", {"lead": {"phone": "81999990000", "name": "X"}}, **{"idempotency-key": "k1"})
    assert (answer.status_code, answer["content-type"]) == (409, "application/problem+json")


def test_a_key_is_forgotten_after_48_hours(agent):
    agent.post("interactions/", FULL)
    old = timezone.now() - IdempotencyRecord.KEPT_FOR - timedelta(minutes=1)
    IdempotencyRecord.objects.update(created_at=old)
    assert agent.post("interactions/", FULL).status_code == 200
    IdempotencyRecord.objects.update(created_at=old)
    assert retention.prune(now=timezone.now()) == {"bridge.IdempotencyRecord": 1}


def test_two_agents_do_not_share_message_ids(agent, pipeline):
    other = Agent(api_keys.issue(ApiKey(name="other")))
    agent.post("interactions/", FULL)
    assert other.post("interactions/", FULL | {"lead": {"phone": "81988880000"}}).status_code == 201


def test_an_effect_that_fails_leaves_nothing_behind(agent):
    with patch("bridge.api.recording_reports.representation.interaction_answers", side_effect=OperationalError("gone")):
        answer = agent.post("interactions/", FULL)
    assert (answer.status_code, answer["retry-after"]) == (503, "5")
    assert not Lead.objects.exists()
    assert not IdempotencyRecord.objects.exists()


def test_a_report_that_the_database_lets_go_of_in_a_deadlock_is_tried_again(agent):
    deadlock, answers = OperationalError("deadlock detected"), representation.interaction_answers
    deadlock.__cause__ = DeadlockDetected()
    with patch.object(representation, "interaction_answers", side_effect=[deadlock, DEFAULT], wraps=answers):
        answer = agent.post("interactions/", FULL)
    assert answer.status_code == 201
    assert Lead.objects.count() == 1


def test_a_person_whom_somebody_else_stored_and_who_was_erased_at_once_is_looked_for_again(agent):
    with patch.object(whose_interaction, "insert", side_effect=[0, DEFAULT], wraps=whose_interaction.insert):
        answer = agent.post("interactions/", FULL)
    assert answer.status_code == 201
    assert Lead.objects.count() == 1


def test_a_deadlock_that_does_not_end_is_said(agent):
    deadlock = OperationalError("deadlock detected")
    deadlock.__cause__ = DeadlockDetected()
    with patch.object(representation, "interaction_answers", side_effect=deadlock):
        answer = agent.post("interactions/", FULL)
    assert (answer.status_code, answer["retry-after"]) == (503, "5")
    assert not Lead.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lead": {"phone": "nope"}}, "lead.phone"),
        ({"lead": {}}, "lead.phone"),
        ({"lead": {"phone": 5}}, "lead.phone"),
        ({"lead": None}, "lead"),
        ({"lead": []}, "lead"),
        ({"lead": {"phone": "81999990000", "qualification_score": 101}}, "lead.qualification_score"),
        ({"lead": {"phone": "81999990000", "qualification_score": "82"}}, "lead.qualification_score"),
        ({"lead": {"phone": "81999990000", "qualification_score": True}}, "lead.qualification_score"),
        ({"lead": {"phone": "81999990000", "bill_value": -1}}, "lead.bill_value"),
        ({"lead": {"phone": "81999990000", "bill_value": "muito"}}, "lead.bill_value"),
        ({"lead": {"phone": "81999990000", "is_decision_maker": "yes"}}, "lead.is_decision_maker"),
        ({"lead": {"phone": "81999990000", "name": 7}}, "lead.name"),
        ({"lead": {"phone": "81999990000", "name": "a\0b"}}, "lead.name"),
        ({"lead": {"phone": "81999990000", "email": "x"}}, "lead.email"),
        ({"lead": {"phone": "81999990000", "custom": []}}, "lead.custom"),
        ({"lead": {"phone": "81999990000", "custom": {"a": {}}}}, "lead.custom.a"),
        ({"lead": {"phone": "81999990000", "nome": "x"}}, "lead.nome"),
        ({"unknown": 1}, "unknown"),
        ({"context": {"meeting": {"status": "maybe"}}}, "context.meeting.status"),
        ({"context": {"meeting": {"status": "scheduled", "starts_at": "soon"}}}, "context.meeting.starts_at"),
        ({"context": {"objections_raised": "preço"}}, "context.objections_raised"),
        ({"context": {"conversation_stage": 1}}, "context.conversation_stage"),
        ({"message": {"direction": "sideways"}}, "message.direction"),
        ({"message": {}}, "message.direction"),
        ({"occurred_at": "9999-99-99"}, "occurred_at"),
        ({"occurred_at": 5}, "occurred_at"),
        ({"pipeline": "nowhere"}, "pipeline"),
        ({"pipeline": "n" * 60_000}, "pipeline"),
    ],
)
def test_bad_input_is_named_field_by_field_and_stores_nothing(agent, change, field):
    answer = agent.post("interactions/", {"lead": {"phone": "81999990000"}} | change)
    assert (answer.status_code, answer["content-type"]) == (400, "application/problem+json")
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "errors"}
    assert field in [error["field"] for error in body["errors"]]
    assert all(set(error) == {"field", "code", "message"} for error in body["errors"])
    assert not Lead.objects.exists()


def test_all_that_is_wrong_is_told_at_once(agent):
    answer = agent.post("interactions/", {"lead": {"phone": "x", "nome": 1, "qualification_score": 500}, "y": 1})
    assert {"lead.phone", "lead.nome", "lead.qualification_score", "y"} == {
        error["field"] for error in answer.json()["errors"]
    }


@pytest.mark.parametrize("raw", [b"{", b"", b"\xff\xfe", b"[" * 5000, b'{"lead": NaN}', b"[]", b"3", b'"x"', b"null"])
def test_bodies_that_are_no_json_object_are_400(agent, raw):
    assert agent.post("interactions/", raw).status_code == 400


def test_a_body_over_one_mebibyte_is_413(agent):
    answer = agent.post("interactions/", b'{"lead": {"phone": "' + b"9" * 1_048_576 + b'"}}')
    assert (answer.status_code, answer["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize("header", [None, "", "Api-Key", "Api-Key nope", "Bearer x", "Api-Key \xff"])
def test_no_key_or_a_wrong_one_is_401(client, pipeline, header):
    headers = {} if header is None else {"authorization": header}
    answer = client.post("/api/v1/interactions/", "{}", content_type="application/json", headers=headers)
    assert (answer.status_code, answer["content-type"]) == (401, "application/problem+json")


def test_a_revoked_key_is_401(agent):
    ApiKey.objects.update(revoked_at=timezone.now())
    assert agent.says().status_code == 401


def test_a_key_is_stored_hashed_and_its_use_noted(agent):
    agent.says()
    key = ApiKey.objects.get()
    assert key.last_used_at is not None
    assert len(key.key_hash) == 64


def test_a_key_for_one_pipeline_works_there_alone(pipeline):
    other = Pipeline.objects.create(slug="clinic", name="Clinic")
    mine = Agent(api_keys.issue(ApiKey(name="mine", pipeline=pipeline)))
    assert mine.says().status_code == 201
    assert mine.post("interactions/", {"lead": {"phone": "81999990000"}, "pipeline": other.slug}).status_code == 400


def test_too_many_calls_for_one_key_are_429_with_a_wait(agent, settings):
    settings.API_REQUESTS_PER_SECOND = 2
    answers = [agent.get("agent/may-reply/", phone="81999990000") for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert int(refused[0]["retry-after"]) >= 1


def test_a_key_has_one_batch_under_way_and_another_key_is_not_kept_waiting(agent, monkeypatch):
    other = Agent(api_keys.issue(ApiKey(name="another")))
    inside = []

    def meanwhile(items, key, **more):
        inside.append(agent.post("interactions/batch/", [{"lead": {"phone": "81999990001"}}]))
        monkeypatch.undo()
        inside.append(other.post("interactions/batch/", [{"lead": {"phone": "81999990002"}}]))
        return take_in(items, key, **more)

    monkeypatch.setattr("bridge.api.interaction_views.take_in", meanwhile)
    answer = agent.post("interactions/batch/", [{"lead": {"phone": "81999990000"}}])

    refused, others = inside
    assert (refused.status_code, refused["retry-after"]) == (429, "1")
    assert "under way" in refused.json()["detail"]
    assert (answer.status_code, others.status_code) == (207, 207)
    assert agent.post("interactions/batch/", [{"lead": {"phone": "81999990003"}}]).status_code == 207


def test_a_key_for_one_pipeline_does_not_learn_of_others(pipeline):
    other = Pipeline.objects.create(slug="clinic", name="Clinic")
    Stage.objects.create(pipeline=other, key="surgery", name="Surgery", rank=1)
    mine = Agent(api_keys.issue(ApiKey(name="mine", pipeline=pipeline)))

    there, not_there = (
        mine.post("interactions/", {"lead": {"phone": "81999990000"}, "pipeline": slug}).json()
        for slug in (other.slug, "nowhere")
    )
    unknown = mine.get("leads/", stage="surgery")

    assert there["errors"] == not_there["errors"]
    assert unknown.status_code == 400
    assert "surgery" not in unknown.json()["errors"][0]["message"].replace("Unknown", "")
    assert mine.get("leads/", stage="qualified").status_code == 200


def test_a_batch_answers_item_by_item_and_one_bad_item_spoils_none(agent):
    items = [
        {"lead": {"phone": "81999990000"}},
        {"lead": {"phone": "x"}},
        5,
        {"lead": {"phone": "81999990000", "name": "M"}},
    ]
    answer = agent.post("interactions/batch/", items)
    assert answer.status_code == 207
    assert [entry["status"] for entry in answer.json()] == [201, 400, 400, 200]
    assert answer.json()[1]["body"]["errors"][0]["field"] == "lead.phone"
    assert agent.post("interactions/batch/", [{}] * 501).status_code == 400
    assert agent.post("interactions/batch/", {}).status_code == 400


def test_a_repeated_batch_with_a_key_acts_once_item_by_item(agent):
    items = [{"lead": {"phone": "81999990000"}}, {"lead": {"phone": "81999990000", "name": "M"}}]
    first = agent.post("interactions/batch/", items, **{"idempotency-key": "night"})
    again = agent.post("interactions/batch/", items, **{"idempotency-key": "night"})
    assert again.json() == first.json()
    assert Event.objects.filter(kind=Event.Kind.INTERACTION).count() == 2
    other = agent.post("interactions/batch/", [items[0], items[0]], **{"idempotency-key": "night"})
    assert [entry["status"] for entry in other.json()] == [201, 409]


def test_a_key_that_looks_like_a_message_id_is_not_one(agent):
    agent.post("interactions/", FULL)
    other = {"lead": {"phone": "81988880000"}}
    assert agent.post("interactions/", other, **{"idempotency-key": "message:wamid.1"}).status_code == 201


def test_null_clears_further_facts_and_parts_of_a_meeting(agent):
    meeting = FULL["context"]["meeting"]
    agent.says(custom={"a": 1, "b": 2}, context={"meeting": meeting})
    agent.says(custom=None, context={"meeting": {"status": "scheduled", "link": None}})
    lead = Lead.objects.get()
    assert lead.custom == {}
    assert (lead.meeting_id, lead.meeting_link, lead.meeting_starts_at is None) == ("evt_1", "", False)
    agent.says(context={"meeting": {"status": "scheduled", "starts_at": None}})
    lead.refresh_from_db()
    assert (lead.meeting_id, lead.meeting_starts_at) == ("evt_1", None)


def test_null_clears_through_the_api(agent):
    agent.says(name="Maria", bill_value=5)
    agent.says(name=None, bill_value=None)
    lead = Lead.objects.get()
    assert (lead.name, lead.bill_value) == ("", None)


@pytest.mark.django_db(transaction=True)
def test_concurrent_duplicates_act_once(transactional_db):
    if connection.vendor == "sqlite":
        pytest.skip("one connection in memory: threads cannot race on it")
    agent = Agent(api_keys.issue(ApiKey(name="racer")))
    gate, codes = threading.Barrier(4), []

    def post() -> None:
        gate.wait()
        codes.append(agent.post("interactions/", FULL).status_code)
        connection.close()

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [201] * 4
    assert Event.objects.filter(kind=Event.Kind.INTERACTION).count() == 1


def test_the_statements_of_an_interaction_are_known(agent, account, django_assert_num_queries):
    """Key, lead with its objections, message, save, card, event, follow-ups, answer, its key; the transaction's two."""
    agent.post("interactions/", FULL)
    body = {"lead": {"phone": "81999990000", "name": "Ana"}, "context": {"objections_raised": ["preço"]}}
    agent.post("interactions/", body | {"message": {"id": "m1", "direction": "inbound"}})
    with django_assert_num_queries(11):
        agent.post("interactions/", body | {"message": {"id": "m2", "direction": "inbound"}, "occurred_at": None})


def test_a_batch_takes_as_many_statements_for_two_as_for_fifty(agent, account, django_assert_num_queries):
    def batch(count, name):
        return [{"lead": {"phone": f"+55819880{number:05d}", "name": name}} for number in range(count)]

    agent.post("interactions/batch/", batch(50, "A"))
    for count in (2, 50):
        # Two of them for the words of names that changed.
        with django_assert_num_queries(10):
            answer = agent.post("interactions/batch/", batch(count, f"B{count}"))
        assert [entry["status"] for entry in answer.json()] == [200] * count


def test_a_batch_keeps_the_order_of_each_persons_interactions(agent):
    items = [
        {"lead": {"phone": "81999990000", "name": "first"}},
        {"lead": {"phone": "81988880000", "name": "other"}},
        {"lead": {"phone": "5581999990000@s.whatsapp.net", "name": "second"}},
        {"lead": {"phone": "81999990000", "name": "third"}, "message": {"id": "m", "direction": "inbound"}},
        {"lead": {"phone": "81999990000", "name": "third"}, "message": {"id": "m", "direction": "inbound"}},
        {"lead": {"phone": "81999990000", "name": "fourth"}, "message": {"id": "m", "direction": "inbound"}},
        # A message's id counts per person.
        {"lead": {"phone": "81977770000"}, "message": {"id": "m", "direction": "inbound"}},
    ]
    answer = agent.post("interactions/batch/", items).json()
    assert [entry["status"] for entry in answer] == [201, 201, 200, 200, 200, 409, 201]
    assert answer[4] == answer[3]
    assert [entry["body"]["lead"]["name"] for entry in answer[:4]] == ["first", "other", "second", "third"]
    assert Lead.objects.get(phone="+5581999990000").name == "third"
