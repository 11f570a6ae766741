"""The create guard: whatever becomes of a create's answer, a person has one lead in Kommo."""

from __future__ import annotations

import threading

import pytest
from django.utils import timezone

from bridge.kommo import transport
from bridge.kommo.client import KommoClient
from bridge.models import Account, Card
from leads.models import Event
from tests.conftest import MARIA, drain, drain_later, lead_of, record, rested

OTHER = "+5581988887777"


def settle(account, rounds=10):
    for _ in range(rounds):
        drain(rested(account))
        if not account.cards.filter(state__in=Card.PENDING).exists():
            return


@pytest.mark.parametrize("has_field", [True, False], ids=["by Bridge ID", "by phone"])
def test_n11_a_create_that_arrives_after_we_stopped_listening_makes_no_second_lead(
    account, pipeline, kommo, monkeypatch, has_field
):
    if not has_field:
        Account.objects.update(bridge_id_field_id=None)
    monkeypatch.setattr(transport, "TIMEOUT", (5, 0.3))
    record(pipeline)
    # Kommo is at work on it for longer than we listen.
    kommo.fault("slow", count=1, path="/api/v4/leads/complex", seconds=1.2)
    drain(account)
    assert kommo.leads() == []

    # Looked up at once, it is not there yet: that proves nothing, so nothing is created.
    drain(rested(account))
    card = lead_of().card
    assert (card.state, card.kommo_lead_id, len(kommo.leads())) == ("retrying", None, 0)
    assert "may still arrive" in card.waiting_reason
    while not kommo.leads():
        threading.Event().wait(0.05)
    drain_later(account, seconds=15)

    card.refresh_from_db()
    [lead] = kommo.leads()
    assert (card.state, card.kommo_lead_id) == ("in_sync", lead["id"])
    assert card.lead.events.filter(kind=Event.Kind.CARD, reason__startswith="found lead").exists()


def test_n11_a_process_that_dies_in_a_create_leaves_a_doubt_that_outlasts_the_call(
    account, pipeline, kommo, monkeypatch
):
    record(pipeline)

    def die(*_, **__):
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(KommoClient, "create_leads_complex", die)
        with pytest.raises(SystemExit):
            drain(account)

    drain(account)
    assert (lead_of().card.state, kommo.leads()) == ("retrying", [])
    drain_later(account, seconds=31)
    assert lead_of().card.state == "in_sync"
    assert len(kommo.leads()) == 1


def test_a_lead_that_is_another_ones_card_is_never_linked_twice(account, pipeline, kommo):
    record(pipeline)
    settle(account)
    record(pipeline, OTHER)
    # Somebody copied our id into the lead that Maria's card shows.
    maria, other = lead_of().card, lead_of(OTHER).card
    field = {"field_id": account.bridge_id_field_id, "values": [{"value": str(other.lead_id)}]}
    kommo.post(f"leads/{maria.kommo_lead_id}/edit", {"custom_fields_values": [field]})
    Card.objects.filter(pk=other.pk).update(create_intent_at=timezone.now())

    settle(account)

    other.refresh_from_db()
    assert (other.state, other.kommo_lead_id) == ("blocked", None)
    assert str(maria.kommo_lead_id) in other.waiting_reason


def test_duplicate_control_joins_a_person_to_the_lead_they_had_and_what_staff_wrote_there_stands(
    account, pipeline, kommo
):
    kommo.post("options", {"duplicate_control": True})
    older = kommo.post("leads", {"name": "Dona Maria", "phone": MARIA, "stage": "Reunião Agendada", "tags": ["vip"]})
    record(pipeline, name="maria", chosen_flow="Aluguel de Lote")

    settle(account)

    lead, [held] = lead_of(), kommo.leads()
    assert (lead.card.state, lead.card.kommo_lead_id) == ("in_sync", older["id"])
    assert (held["id"], held["name"], held["status_name"]) == (older["id"], "Dona Maria", "Reunião Agendada")
    assert (lead.name, lead.stage.key) == ("Dona Maria", "meeting_scheduled")
    assert set(held["tags"]) == {"vip", "fluxo_aluguel_de_lote"}


def test_two_leads_that_duplicate_control_joins_to_one_block_the_second(account, pipeline, kommo):
    kommo.post("options", {"duplicate_control": True})
    record(pipeline, MARIA)
    settle(account)
    # The same last eight digits, which is all that Kommo compares.
    twin = "+5511" + MARIA[5:]
    record(pipeline, twin)

    settle(account)

    first, second = lead_of().card, lead_of(twin).card
    assert (first.state, second.state, second.kommo_lead_id) == ("in_sync", "blocked", None)
    assert f"lead {first.kommo_lead_id}" in second.waiting_reason
    assert len(kommo.leads()) == 1
