"""What staff change in the account itself: options, stages and fields that are deleted, renamed or put back."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import tasks
from bridge.accounts import catalogue
from bridge.accounts.connection import client_for
from bridge.configuration.connecting import Connection
from bridge.inbound import people_on_cards
from bridge.models import Catalogue
from leads.models import Pipeline
from tests.bridge.mapped import TYPES, map_every_type
from tests.conftest import drain, due_calls, lead_of, record, rested

FLOW_FIELD, RENT, QUALIFIED, PIPELINE = 392808, 1078618, 89709467, 11672895
IN_QUALIFICATION = {"conversation_stage": "qualificação"}


def age_catalogue(**span):
    Catalogue.objects.update(fetched_at=timezone.now() - timedelta(**span))


@pytest.fixture
def card(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    return lead_of().card


@pytest.mark.parametrize("age", [timedelta(0), timedelta(hours=2)], ids=["fresh copy", "old copy"])
def test_a_deleted_stage_blocks_the_move_and_nothing_else(account, pipeline, kommo, card, age):
    kommo.delete(f"statuses/{QUALIFIED}")
    Catalogue.objects.update(fetched_at=timezone.now() - age)
    record(pipeline, name="Maria", qualification_score=90, context=IN_QUALIFICATION)

    drain(account)
    drain(rested(account)) if lead_of().card.due_at else None

    card.refresh_from_db()
    assert card.state == "blocked"
    assert "does not have any more" in card.waiting_reason
    assert kommo.lead(card.kommo_lead_id)["name"] == "Maria"


def test_a_renamed_stage_or_option_is_still_the_same(account, pipeline, kommo, card):
    kommo_patch(kommo, f"statuses/{QUALIFIED}", {"name": "Quente"})
    kommo_patch(kommo, f"fields/{FLOW_FIELD}/enums/{RENT}", {"value": "Aluguel"})
    record(pipeline, chosen_flow="Aluguel de Lote", qualification_score=90, context=IN_QUALIFICATION)
    drain(account)
    in_kommo = kommo.lead(card.kommo_lead_id)
    assert (in_kommo["status_name"], in_kommo["fields"]["Solução Solar"]) == ("Quente", "Aluguel")


@pytest.mark.parametrize("named", ["Número do Zap", "numero do zap", " NÚMERO DO ZAP"])
def test_the_field_with_the_phone_is_followed_when_staff_rename_it(account, pipeline, kommo, named):
    [field_id] = [
        field.id
        for field in client_for(account).create_custom_fields("leads", [{"name": "Número do Zap", "type": "text"}])
    ]
    catalogue.refresh(account, client_for(account), now=timezone.now())
    Pipeline.objects.filter(pk=pipeline.pk).update(phone_field=named)
    version = Pipeline.objects.get(pk=pipeline.pk).rules_version
    kommo_patch(kommo, f"fields/{field_id}", {"name": "Telefone do lead"})

    found = catalogue.refresh(account, client_for(account), now=timezone.now())

    assert "Telefone do lead" in [lead_field["name"] for lead_field in found.lead_fields]
    pipeline.refresh_from_db()
    assert pipeline.phone_field == "Telefone do lead"
    assert pipeline.rules_version != version
    assert people_on_cards.phone_field_id(pipeline, found) == field_id


def test_a_field_with_the_phone_that_is_deleted_or_never_was_keeps_its_name(account, pipeline, kommo):
    Pipeline.objects.filter(pk=pipeline.pk).update(phone_field="WhatsApp")

    catalogue.refresh(account, client_for(account), now=timezone.now())

    pipeline.refresh_from_db()
    assert pipeline.phone_field == "WhatsApp"


def test_options_that_are_told_as_an_object_are_known_by_the_same_names(account, pipeline, kommo, card):
    before = catalogue.stored(account).lead_fields
    kommo.post("options", {"enums_as_object": True})
    made = kommo.post(f"fields/{FLOW_FIELD}/enums", {"value": "Outra"})
    report = Connection(account, client_for(account), create_missing=True, now=timezone.now()).connect(None)
    assert report.missing == []

    after = catalogue.stored(account).lead_fields
    [flow] = [field for field in after if field["id"] == FLOW_FIELD]
    assert flow["enums"].pop()["id"] == made["id"]
    assert after == before
    record(pipeline, chosen_flow="Aluguel de Lote")
    drain(account)
    assert kommo.lead(card.kommo_lead_id)["fields"]["Solução Solar"] == "Aluguel de Lote"


def test_an_option_that_staff_put_back_frees_the_cards_that_waited_for_it(account, pipeline, kommo, card):
    kommo.delete(f"fields/{FLOW_FIELD}/enums/{RENT}")
    record(pipeline, chosen_flow="Aluguel de Lote")
    drain(account)
    card.refresh_from_db()
    assert card.state == "blocked"
    call = ("bridge.tasks.look_at_catalogue", (account.pk,))
    assert call not in due_calls()

    kommo.post(f"fields/{FLOW_FIELD}/enums", {"value": "Aluguel de Lote"})
    age_catalogue(minutes=6)
    assert call in due_calls()
    tasks.look_at_catalogue(account.pk)
    drain(account)

    card.refresh_from_db()
    assert card.state == "in_sync"
    assert kommo.lead(card.kommo_lead_id)["fields"]["Solução Solar"] == "Aluguel de Lote"


def test_looking_again_without_news_frees_nobody(account, pipeline, kommo, card):
    kommo.delete(f"fields/{FLOW_FIELD}/enums/{RENT}")
    record(pipeline, chosen_flow="Aluguel de Lote")
    drain(account)
    tasks.look_at_catalogue(account.pk)
    card.refresh_from_db()
    assert card.state == "blocked"


def test_a_deleted_field_blocks_only_its_own_value(account, pipeline, kommo, card):
    kommo.delete(f"fields/{FLOW_FIELD}")
    record(pipeline, name="Maria", chosen_flow="Aluguel de Lote")
    drain(account)
    drain(rested(account)) if lead_of().card.due_at else None
    card.refresh_from_db()
    assert (card.state, kommo.lead(card.kommo_lead_id)["name"]) == ("blocked", "Maria")
    assert "Solução Solar" in card.waiting_reason


def test_nothing_is_ever_put_into_incoming_leads(account, pipeline, kommo):
    stage = pipeline.stages.get(key="new")
    stage.kommo_status_id = 89709455
    stage.save()
    record(pipeline)
    drain(account)
    card = lead_of().card
    assert (card.state, kommo.leads()) == ("blocked", [])
    assert "Incoming leads" in card.waiting_reason


def test_a_card_that_stands_in_incoming_leads_is_left_alone(account, pipeline, kommo, card):
    card.observed["status_id"] = 89709455
    card.save()
    before = len(kommo.writes())
    record(pipeline, name="Maria")
    drain(account)
    card.refresh_from_db()
    assert (card.state, len(kommo.writes())) == ("blocked", before)
    assert "accept it in Kommo" in card.waiting_reason


def test_a_card_that_staff_took_to_another_pipeline_keeps_its_place_and_gets_the_rest(account, pipeline, kommo, card):
    from bridge.accounts import catalogue as catalogues
    from bridge.accounts.connection import client_for
    from bridge.inbound import adoption

    foreign = next(
        each_pipeline for each_pipeline in Catalogue.objects.get().pipelines if each_pipeline["id"] != PIPELINE
    )
    place = next(status["id"] for status in foreign["statuses"] if status["type"] != 1)
    kommo.post(f"leads/{card.kommo_lead_id}/move", {"pipeline_id": foreign["id"], "status_id": place})
    now = timezone.now()
    reply = client_for(account).lead(card.kommo_lead_id)
    adoption.adopt(card.pk, reply, catalogues.stored(account), read_at=now, now=now, found_by="webhook")

    record(pipeline, name="Maria", qualification_score=90, context=IN_QUALIFICATION)
    drain(account)

    in_kommo = kommo.lead(card.kommo_lead_id)
    assert (in_kommo["pipeline_id"], in_kommo["status_id"], in_kommo["name"]) == (foreign["id"], place, "Maria")


def test_a_lost_lead_gets_its_reason_after_the_move_where_kommo_wants_it_so(account, pipeline, kommo, card):
    reason = Catalogue.objects.get().loss_reasons[0]
    stage = pipeline.stages.get(kommo_status_id=143)
    stage.loss_reason = reason["name"]
    stage.save()
    for together in (False, True):
        kommo.post("options", {"loss_reason_before_move": not together})
        lead = lead_of()
        lead.stage = stage
        lead.save()
        before = len(kommo.writes())
        drain(account)

        in_kommo = kommo.lead(card.kommo_lead_id)
        assert (in_kommo["status_id"], in_kommo["loss_reason_id"]) == (143, reason["id"])
        assert len(kommo.writes()) - before == (1 if together else 3)
        kommo.post(f"leads/{card.kommo_lead_id}/move", {"status_id": 89709459})
        lead.stage = pipeline.stages.get(key="new")
        lead.save()
        drain(account)


def test_a_stage_to_be_visited_that_was_deleted_is_left_out(account, pipeline, kommo, card):
    pipeline.stages.filter(key="qualifying").update(always_visit=True)
    pipeline.rules_changed()
    record(pipeline, context={"conversation_stage": "estágio_1_apresentar_soluções"})
    record(pipeline, qualification_score=90, context=IN_QUALIFICATION)
    kommo.delete("statuses/89709463")
    tasks.look_at_catalogue(account.pk)
    drain(account)
    card.refresh_from_db()
    assert (card.state, card.stages_to_visit) == ("in_sync", [])
    assert kommo.lead(card.kommo_lead_id)["status_id"] == QUALIFIED


def kommo_patch(kommo, path, body):
    import requests

    requests.patch(f"{kommo.url}/_sandbox/{path}", json=body, timeout=10).raise_for_status()


def test_each_field_that_is_made_costs_one_more_look_at_the_fields_alone(account, pipeline, kommo):
    before = kommo.answered()
    fields = map_every_type(pipeline, kommo, account)

    asked = Counter((call["method"], call["path"]) for call in kommo.answered()[len(before) :])
    assert len(fields) == len(TYPES)
    assert asked["POST", "/api/v4/leads/custom_fields"] == len(TYPES)
    assert asked["GET", "/api/v4/leads/custom_fields"] == 1 + len(TYPES)
    for path in ("leads/pipelines", "contacts/custom_fields", "users", "leads/loss_reasons"):
        assert asked["GET", f"/api/v4/{path}"] == 1
    stored = catalogue.stored(account)
    assert set(fields.values()) <= {lead_field["id"] for lead_field in stored.lead_fields}
    assert stored.contact_fields and stored.users and stored.pipelines
