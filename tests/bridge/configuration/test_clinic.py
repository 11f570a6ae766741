"""The second playbook works as the first does: nothing is hard-wired to solar energy."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from bridge import tasks
from bridge.configuration.importing import bring_in
from bridge.models import Account
from followups.models import Enrollment
from leads.interaction_values import Direction, Meeting, Message
from leads.models import Pipeline
from tests.bridge.configuration.files import CLINIC
from tests.bridge.mapped import read_back
from tests.conftest import amount, drain, lead_of, record, rested

ANA, BETO, CAIO, DORA = (f"+5581999990{number:03d}" for number in range(1, 5))


@pytest.fixture
def clinic(connect) -> Account:
    """The clinic's pipeline in force, connected to a Kommo that has none of it yet."""
    bring_in(CLINIC.encode(), reason="test")
    account = connect()
    # Nothing is created before the account was compared once.
    tasks.poll(account.pk, full=True)
    return account


def message(direction: Direction, text: str) -> Message:
    return Message(direction, id=f"{direction}-{text}", text=text)


def test_a_clinics_conversations_end_in_the_clinics_cards(clinic, kommo):
    pipeline = Pipeline.objects.get()
    assert (pipeline.slug, pipeline.is_default) == ("clinica", True)

    def patient(phone, stage, **facts):
        return record(pipeline, phone, context={"conversation_stage": stage}, **facts)

    patient(ANA, "Saudação", message=message(Direction.INBOUND, "Oi"))
    patient(BETO, "convênio", name="Beto", chosen_flow="Clínica Geral", custom={"convenio": "Unimed"})
    patient(CAIO, "convenio", name="Caio", chosen_flow="Pediatria", custom={"convenio": "Unimed", "idade": 40})
    patient(DORA, "escolha_de_horário", name="Dora", chosen_flow="Exames", custom={"convenio": "Particular"})
    starts_at = timezone.now() + timedelta(days=9)
    record(pipeline, DORA, context={"meeting": Meeting("scheduled", id="c1", starts_at=starts_at)})
    drain(clinic)
    # What a create keeps less of (tags, in some accounts) goes again once that was read.
    read_back(clinic)
    drain(rested(clinic))

    cards = {card["contacts"][0]["phones"][0]: card for card in kommo.leads()}
    assert {phone: card["status_name"] for phone, card in cards.items()} == {
        ANA: "PRIMEIRO CONTATO",
        BETO: "PRONTO PARA AGENDAR",
        CAIO: "NÃO ATENDEMOS",
        DORA: "CONSULTA MARCADA",
    }
    assert cards[BETO]["fields"]["Especialidade"] == "Clínico"
    assert cards[BETO]["fields"]["Convênio"] == "Unimed"
    assert amount(cards[CAIO]["fields"]["Idade"]) == "40"
    assert set(cards[DORA]["tags"]) == {"especialidade_exames", "convenio_particular"}
    assert "Data da consulta" in cards[DORA]["fields"]
    assert Enrollment.objects.get(lead=lead_of(DORA), state="waiting").sequence.slug == "lembretes"


def test_a_patient_who_does_not_answer_waits_for_the_clinics_own_follow_up(clinic):
    record(Pipeline.objects.get(), ANA, message=message(Direction.OUTBOUND, "Temos horário amanhã"))
    assert Enrollment.objects.get(lead=lead_of(ANA)).sequence.slug == "retomada"


def test_what_was_exported_is_what_comes_out_of_an_empty_database(clinic, tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    call_command("bridge_config", "export", str(first))
    Pipeline.objects.all().delete()

    call_command("bridge_config", "import", str(first), verbosity=0)
    call_command("bridge_config", "export", str(second))

    assert second.read_bytes() == first.read_bytes()
