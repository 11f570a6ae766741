from __future__ import annotations

from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.management import call_command
from django.utils import timezone

from followups import staff_actions
from leads.models import Event, Lead
from tests.conftest import MARIA, drain


def test_a_follow_up_that_is_held_is_told_as_held_and_as_not_due(agent):
    agent.says(message={"direction": "outbound", "text": "Olá"})
    lead = Lead.objects.get()
    assert agent.get(f"leads/{lead.pk}/").json()["followup"]["next_at"]
    staff_actions.hold(lead.enrollments.get(), who="ana", now=timezone.now())
    followup = {"state": "waiting", "next_at": None, "step": 1, "held": True}
    assert agent.get(f"leads/{lead.pk}/").json()["followup"] == followup
    assert agent.says(name="Maria").json()["followup"] == followup


def test_the_address_last_written_from_comes_first_as_whatsapp_spells_it(agent):
    agent.post("interactions/", {"lead": {"phone": "553188776655:12@s.whatsapp.net"}})
    agent.post("interactions/", {"lead": {"phone": "+55 31 98877-6655"}})
    [lead] = agent.get("leads/").json()["results"]
    assert lead["addresses"] == [
        {"kind": "whatsapp", "value": "553188776655@s.whatsapp.net"},
        {"kind": "phone", "value": "+5531988776655"},
    ]


def test_a_lead_in_full(agent):
    agent.says(
        name="Maria",
        bill_value="R$ 4.500,00",
        qualification_score=82.5,
        chosen_flow="Aluguel de Lote",
        custom={"kwh": 5},
        context={
            "objections_raised": ["preço"],
            "meeting": {"status": "scheduled", "starts_at": (timezone.now() + timedelta(days=2)).isoformat()},
        },
    )
    body = agent.get(f"leads/{Lead.objects.get().pk}/").json()
    assert (body["bill_value"], body["qualification_score"], body["custom"]) == (4500, 82.5, {"kwh": 5})
    assert body["tags"] == ["fluxo_aluguel_de_lote", "objecao_preço"]
    assert body["objections"] == ["preço"]
    assert body["meeting"]["status"] == "scheduled"
    assert body["card"] is None
    assert body["waiting"]["reason"]
    keys = {
        "email",
        "chosen_flow",
        "conversation_stage",
        "agent",
        "followup",
        "phone",
        "stage",
        "stage_name",
        "sync",
        "kommo_lead_id",
    }
    assert keys <= set(body)


def test_an_unknown_lead_is_404_as_a_problem(agent):
    for path in (f"leads/{uuid4()}/", f"leads/{uuid4()}/timeline/"):
        answer = agent.get(path)
        assert (answer.status_code, answer["content-type"]) == (404, "application/problem+json")


def test_the_list_pages_by_cursor_and_filters(agent, django_assert_num_queries):
    for number in range(7):
        agent.says(f"+5581988{number:06d}", name=f"L{number}")
    first = agent.get("leads/", limit="5").json()
    assert (len(first["results"]), first["previous"]) == (5, None)
    second = agent.get("leads/" + first["next"].split("/leads/")[1]).json()
    assert (len(second["results"]), second["next"]) == (2, None)
    names = {row["name"] for row in first["results"] + second["results"]}
    assert names == {f"L{number}" for number in range(7)}
    assert [row["name"] for row in agent.get("leads/", phone="5581988000003").json()["results"]] == ["L3"]
    assert len(agent.get("leads/", stage="new").json()["results"]) == 7
    assert agent.get("leads/", stage="won").json()["results"] == []
    assert agent.get("leads/", sync="synced").json()["results"] == []
    # No account is connected yet, so none has a card.
    assert len(agent.get("leads/", sync="pending").json()["results"]) == 7
    assert agent.get("leads/", updated_since=timezone.now().isoformat()).json()["results"] == []


@pytest.mark.parametrize("query", [{"sync": "maybe"}, {"updated_since": "soon"}, {"phone": "x"}, {"stage": "a\0"}])
def test_filters_that_mean_nothing_are_400(agent, query):
    assert agent.get("leads/", **query).status_code == 400


def test_the_timeline_is_oldest_first_with_texts_and_reasons(agent):
    agent.says(message={"id": "m1", "direction": "inbound", "text": "oi"})
    agent.says(qualification_score=90, context={"conversation_stage": "qualificação"})
    body = agent.get(f"leads/{Lead.objects.get().pk}/timeline/").json()
    assert set(body) == {"next", "previous", "results"}
    assert all(set(row) == {"at", "kind", "actor", "reason", "data"} for row in body["results"])
    assert body["results"][0]["data"]["message"]["text"] == "oi"
    assert body["results"][0]["actor"] == "lead"
    decision = next(row for row in body["results"] if row["kind"] == "decision")
    assert (decision["actor"], decision["reason"]) == ("bridge", "qualification_score 90 >= 70")


def test_may_reply_during_and_after_a_handoff(agent):
    agent.says()
    lead = Lead.objects.get()
    assert agent.get("agent/may-reply/", phone="+5511900000000").json() == {
        "may_reply": True,
        "reason": None,
        "since": None,
    }
    answer = agent.post(f"leads/{lead.pk}/handoff/", {"reason": "quer falar com gente"})
    assert answer.status_code == 200
    body = agent.get("agent/may-reply/", phone="81999990000").json()
    assert (body["may_reply"], body["reason"], body["since"] is not None) == (False, "quer falar com gente", True)
    assert agent.says().json()["agent"]["may_reply"] is False
    assert agent.delete(f"leads/{lead.pk}/handoff/").status_code == 200
    assert agent.get("agent/may-reply/", phone="81999990000").json()["may_reply"] is True
    assert agent.get("agent/may-reply/").status_code == 400


def test_opting_out_is_for_good_and_said_once(agent):
    agent.says()
    lead = Lead.objects.get()
    for _ in range(2):
        assert agent.post(f"leads/{lead.pk}/opt-out/").status_code == 204
    lead.refresh_from_db()
    assert lead.opted_out_at is not None
    assert lead.events.filter(kind=Event.Kind.OPTED_OUT).count() == 1


def test_erasing_a_person_leaves_nothing_of_them_but_the_proof(agent, account):
    agent.post(
        "interactions/",
        {
            "lead": {"phone": MARIA, "name": "Maria Souza", "email": "m@example.com"},
            "context": {
                "objections_raised": ["muito caro"],
                "meeting": {"status": "scheduled", "id": "evt-9"},
            },
            "message": {"id": "m1", "direction": "inbound", "text": "segredo"},
        },
    )
    agent.says(message={"id": "m2", "direction": "outbound", "text": "segredo nosso"}, custom={"cpf": "123.456.789-09"})
    drain(account)
    lead = Lead.objects.get()
    agent.post(f"leads/{lead.pk}/handoff/", {"reason": "segredo da Maria"})
    for _ in range(2):
        assert agent.delete(f"leads/{lead.pk}/personal-data/").status_code == 204
    lead.refresh_from_db()
    assert (lead.phone, lead.phone_key, lead.name, lead.email) == (None, None, "", "")
    ours = [model for name in ("leads", "followups", "bridge") for model in apps.get_app_config(name).get_models()]
    everything = " ".join(str(list(model._base_manager.values())) for model in ours)
    for trace in ("Maria", "segredo", "m@example.com", MARIA, MARIA[1:], "muito caro", "evt-9", "123.456"):
        assert trace not in everything
    assert lead.events.filter(kind=Event.Kind.ERASED).count() == 1
    # The number is free: who writes again is a new lead.
    assert agent.says().status_code == 201


def test_a_forgotten_person_is_not_read_back_from_kommo(agent, account, kommo):
    agent.says(name="Maria Souza", bill_value=900)
    drain(account)
    lead = Lead.objects.get()
    kommo_id = lead.card.kommo_lead_id
    agent.delete(f"leads/{lead.pk}/personal-data/")
    kommo.post(f"leads/{kommo_id}/edit", {"name": "Maria Lima"})

    call_command("reconcile", full=True, stdout=StringIO())
    drain(account)

    lead.refresh_from_db()
    assert (lead.name, lead.phone, lead.bill_value) == ("", None, None)
    assert kommo.lead(kommo_id)["contacts"][0]["phones"] == [MARIA]


def test_on_request_the_contact_in_kommo_is_emptied_too_also_later(agent, account, kommo):
    agent.says(name="Maria Souza", email="m@example.com")
    drain(account)
    lead = Lead.objects.get()
    agent.delete(f"leads/{lead.pk}/personal-data/")
    assert agent.delete(f"leads/{lead.pk}/personal-data/?kommo=maybe").status_code == 400

    assert agent.delete(f"leads/{lead.pk}/personal-data/?kommo=true").status_code == 204
    drain(account)

    [card] = kommo.leads()
    [contact] = card["contacts"]
    assert (card["name"], contact["name"], contact["phones"]) == ("Dados apagados (LGPD)",) * 2 + ([],)
    assert "m@example.com" not in str(kommo.get("leads"))
    assert [event.reason for event in lead.events.filter(kind=Event.Kind.ERASED)] == [
        "personal data erased",
        f"personal data erased in Kommo: name, phone and e-mail of contact {contact['id']}",
        f"personal data erased in Kommo: the name of lead {card['id']}",
    ]
    writes = len(kommo.journal())
    drain(account)
    assert [call for call in kommo.journal()[writes:] if call["write"]] == []
