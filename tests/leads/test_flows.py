"""A flow that is none of the pipeline's is kept for staff to see, shows on no card, and takes no known one's place."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge import roles
from bridge.models import Card
from leads import erasure
from leads.models import Flow, Lead, UnmappedFlow
from tests.bridge.admin.people import client_of
from tests.bridge.admin.rules_editing import page
from tests.conftest import drain, lead_of, record, rested

pytestmark = pytest.mark.django_db
# What models make of a list of four solutions.
NONE_OF_THEM = ["Opção B - Aluguel de Lote", "2", "B", "opcao_2", "Aluguel", "todas", "Aluguel de Lote/Usina", "🌞 sol"]


@pytest.mark.parametrize("word", NONE_OF_THEM)
def test_a_word_that_no_flow_has_is_collected_and_shown_nowhere(account, pipeline, kommo, word):
    recorded = record(pipeline, name="Maria", bill_value=900, chosen_flow=word)
    drain(account)

    assert [entry["field"] for entry in recorded.ignored] == ["lead.chosen_flow"]
    assert "not mapped yet" in recorded.ignored[0]["reason"]
    card = Card.objects.get()
    assert (card.state, card.waiting_reason) == (Card.State.IN_SYNC, "")
    [shown] = kommo.leads()
    assert [tag for tag in shown["tags"] if tag.startswith("fluxo")] == []
    assert UnmappedFlow.objects.get().text == word


@pytest.mark.parametrize("word", ["aluguel de lote", "ALUGUEL_DE_LOTE", " Aluguel  de Lote "])
def test_a_known_flow_in_any_spelling_is_that_flow(pipeline, word):
    record(pipeline, chosen_flow=word)
    assert lead_of().chosen_flow == "Aluguel de Lote"
    assert not UnmappedFlow.objects.exists()


def test_a_known_flow_stands_against_a_word_that_is_none(account, pipeline, kommo):
    record(pipeline, name="Maria", chosen_flow="Aluguel de Lote")
    recorded = record(pipeline, chosen_flow="Opção B")
    drain(account)

    assert lead_of().chosen_flow == "Aluguel de Lote"
    assert "“Aluguel de Lote” is known" in recorded.ignored[0]["reason"]
    assert "fluxo_aluguel_de_lote" in kommo.leads()[0]["tags"]


def test_the_next_known_one_takes_its_place(pipeline):
    record(pipeline, chosen_flow="Opção B")
    recorded = record(pipeline, chosen_flow="Usina Investimento")
    assert lead_of().chosen_flow == "Usina Investimento"
    assert recorded.ignored == []


def test_once_staff_name_a_flow_so_the_card_shows_it(account, pipeline, kommo):
    record(pipeline, name="Maria", chosen_flow="Consórcio")
    drain(account)
    Flow.objects.create(pipeline=pipeline, name="Consórcio", position=9)
    pipeline.field_mappings.filter(attribute="chosen_flow").delete()
    drain(rested(account))

    assert "fluxo_consórcio" in kommo.leads()[0]["tags"]


def test_a_flow_that_staff_took_from_the_list_stays_on_the_cards_that_have_it(account, pipeline, kommo):
    record(pipeline, name="Maria", chosen_flow="Aluguel de Lote")
    drain(account)
    Flow.objects.filter(name="Aluguel de Lote").delete()
    record(pipeline, name="Maria Souza")
    drain(rested(account))

    [card] = kommo.leads()
    assert card["name"] == "Maria Souza"
    assert "fluxo_aluguel_de_lote" in card["tags"]


def test_a_pipeline_without_flows_takes_every_word(account, pipeline, kommo):
    Flow.objects.filter(pipeline=pipeline).delete()
    pipeline.field_mappings.filter(attribute="chosen_flow").delete()
    assert record(pipeline, name="Maria", chosen_flow="Consórcio").ignored == []
    drain(account)
    assert "fluxo_consórcio" in kommo.leads()[0]["tags"]


def test_the_overview_and_the_rules_show_the_word(pipeline):
    record(pipeline, chosen_flow="Consórcio")
    browser = client_of(roles.MANAGER)
    assert "fluxo ainda sem regra" in browser.get("/admin/", headers={"accept-language": "pt-br"}).content.decode()
    assert "“Consórcio”" in browser.get(page("section", pipeline, section="fields")).content.decode()


def test_who_asks_to_be_forgotten_takes_the_word_along(pipeline):
    record(pipeline, chosen_flow="Plano da Maria")
    record(pipeline, chosen_flow="Aluguel de Lote")
    record(pipeline, chosen_flow="O da Maria")
    assert UnmappedFlow.objects.count() == 2
    erasure.erase(lead_of(), by=Lead.Actor.STAFF, now=timezone.now())
    assert not UnmappedFlow.objects.exists()
    assert Lead.objects.get().chosen_flow == ""
