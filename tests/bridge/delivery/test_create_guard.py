"""The create guard: whatever becomes of a create's answer, a person has one lead in Kommo."""

from __future__ import annotations

import threading
from datetime import UTC, timedelta

import pytest
from django.utils import timezone

from bridge.inbound import card_look_up
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.models import Account, Card, Trouble, WebhookEvent
from leads.models import Event
from tests.conftest import MARIA, drain, drain_later, lead_of, record, rested
from tests.saying import saying

OTHER = "+5581988887777"


def settle(account, rounds=10):
    for _ in range(rounds):
        drain(rested(account))
        if not account.cards.filter(state__in=Card.PENDING).exists():
            return


@pytest.mark.parametrize("has_field", [True, False], ids=["by Bridge ID", "by phone"])
def test_a_create_that_arrives_after_we_stopped_listening_makes_no_second_lead(
    account, pipeline, kommo, impatient, has_field
):
    if not has_field:
        Account.objects.update(bridge_id_field_id=None)
    record(pipeline)
    # Kommo is at work on it for longer than we listen.
    kommo.fault("slow", count=1, path="/api/v4/leads/complex", seconds=600)
    drain(account)
    assert kommo.leads() == []

    # Looked up at once, it is not there yet: that proves nothing, so nothing is created.
    drain(rested(account))
    card = lead_of().card
    assert (card.state, card.kommo_lead_id, len(kommo.leads())) == ("retrying", None, 0)
    assert "may still arrive" in card.waiting_reason
    kommo.delete("faults")
    while not kommo.leads():
        threading.Event().wait(0.05)
    drain_later(account, seconds=15)

    card.refresh_from_db()
    [lead] = kommo.leads()
    assert (card.state, card.kommo_lead_id) == ("in_sync", lead["id"])
    assert saying(card.lead.events.filter(kind=Event.Kind.CARD), "found lead", str.startswith)


def test_a_process_that_dies_in_a_create_leaves_a_doubt_that_outlasts_the_call(account, pipeline, kommo, monkeypatch):
    record(pipeline)

    def die(*_, **__):
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(KommoClient, "create_leads_complex", die)
        with pytest.raises(SystemExit):
            drain(account)

    drain(account)
    assert (lead_of().card.state, kommo.leads()) == ("retrying", [])
    # It has surely ended by now; a list that lags may still not show what it made.
    drain_later(account, seconds=31)
    assert (lead_of().card.state, kommo.leads()) == ("retrying", [])
    drain_later(account, seconds=91)
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

    lead, [in_kommo] = lead_of(), kommo.leads()
    assert (lead.card.state, lead.card.kommo_lead_id) == ("in_sync", older["id"])
    assert (in_kommo["id"], in_kommo["name"], in_kommo["status_name"]) == (
        older["id"],
        "Dona Maria",
        "Reunião Agendada",
    )
    assert (lead.name, lead.stage.key) == ("Dona Maria", "meeting_scheduled")
    assert set(in_kommo["tags"]) == {"vip", "fluxo_aluguel_de_lote"}


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


# --- An empty look-up


def lose_the_answer(pipeline, kommo, account, mode="drop_after"):
    kommo.fault(mode, count=1, path="/api/v4/leads/complex")
    record(pipeline)
    drain(account)


def shows_nothing(patch):
    """Lists and searches lag, or hide what is there."""
    patch.setattr(KommoClient, "iterate_leads", lambda *_, **__: iter(()))
    patch.setattr(KommoClient, "find_contacts", lambda *_, **__: [])
    patch.setattr(KommoClient, "list_leads", lambda *_, **__: ([], False))


def test_what_a_list_does_not_show_yet_is_not_made_again(account, pipeline, kommo, monkeypatch):
    lose_the_answer(pipeline, kommo, account)
    [made] = kommo.leads()
    with monkeypatch.context() as patch:
        shows_nothing(patch)
        drain(rested(account))
        drain_later(account, seconds=10)
    card = lead_of().card
    assert (card.state, len(kommo.leads())) == ("retrying", 1)
    assert "may still arrive or show" in card.waiting_reason

    drain_later(account, seconds=20)

    card.refresh_from_db()
    assert (card.state, card.kommo_lead_id, len(kommo.leads())) == ("in_sync", made["id"], 1)


@pytest.mark.parametrize("mode", ["500", "504", "drop_before"])
def test_a_create_that_never_happened_is_made_once_its_lead_could_have_shown(account, pipeline, kommo, mode):
    lose_the_answer(pipeline, kommo, account, mode)
    drain(rested(account))
    assert (lead_of().card.state, kommo.leads()) == ("retrying", [])

    drain_later(account, seconds=75)

    assert (lead_of().card.state, len(kommo.leads())) == ("in_sync", 1)


@pytest.mark.parametrize("mode", ["429", "403", "400"])
def test_a_refused_create_waits_for_no_list(account, pipeline, kommo, mode):
    lose_the_answer(pipeline, kommo, account, mode)
    Account.objects.update(state=Account.State.ACTIVE, retry_at=None)
    # A full account is tried again after a while.
    Trouble.objects.update(next_at=timezone.now())
    Card.objects.filter(state="dead").update(state="due", due_at=timezone.now(), refused_plan="")

    drain(rested(account))

    assert (lead_of().card.state, len(kommo.leads())) == ("in_sync", 1)


def test_where_none_of_our_leads_shows_none_is_made_again(account, pipeline, kommo, monkeypatch):
    record(pipeline, OTHER)
    settle(account)
    lose_the_answer(pipeline, kommo, account)
    assert len(kommo.leads()) == 2

    with monkeypatch.context() as patch:
        shows_nothing(patch)
        drain_later(account, hours=1)
    card = lead_of().card
    assert (card.state, len(kommo.leads())) == ("retrying", 2)
    assert "shows none of our leads" in card.waiting_reason

    drain_later(account, hours=2)

    card.refresh_from_db()
    assert (card.state, len(kommo.leads())) == ("in_sync", 2)


@pytest.mark.parametrize("bracket", ["[add]", "%5Badd%5D"])
def test_what_a_webhook_has_told_of_is_not_made_again_while_it_is_hidden(
    account, pipeline, kommo, monkeypatch, bracket
):
    record(pipeline, OTHER)
    settle(account)
    lose_the_answer(pipeline, kommo, account)
    body = f"leads{bracket}[0][id]=77&leads{bracket}[0][custom_fields][0][values][0][value]={lead_of().pk}"
    WebhookEvent.objects.create(
        account=account, received_at=timezone.now(), body=body.encode(), state=WebhookEvent.State.PROCESSED
    )

    with monkeypatch.context() as patch:
        # Somebody else is responsible for it by now; the others of ours show.
        patch.setattr(card_look_up, "find_by_bridge_id", lambda *_: card_look_up.LookedUp())
        drain_later(account, hours=1)

    card = lead_of().card
    assert (card.state, len(kommo.leads())) == ("retrying", 2)
    assert "told of a lead made with our id" in card.waiting_reason


@pytest.mark.parametrize("odd", [{"price": {"absurd": []}}, {"custom_fields_values": "absurd"}])
def test_a_lead_of_ours_that_cannot_be_read_is_not_made_again(account, pipeline, kommo, monkeypatch, odd):
    record(pipeline, OTHER)
    settle(account)
    lose_the_answer(pipeline, kommo, account)
    original = LeadReply.read.__func__

    def read(cls, data, zone=UTC):
        is_ours = str(lead_of().pk) in str(data)
        return original(cls, data | odd if is_ours else data, zone)

    with monkeypatch.context() as patch:
        patch.setattr(LeadReply, "read", classmethod(read))
        drain_later(account, hours=1)

    assert len(kommo.leads()) == 2


@pytest.mark.kommo_default("what has changed is read by its time, a filter that the hostile one ignores")
def test_a_crowd_is_looked_for_by_a_few_pages_whatever_else_has_changed_since_the_last_poll(account, pipeline, kommo):
    known = kommo.post("leads", {"name": "Maria", "phone": MARIA})["id"]
    # More than two pages of others change since, of the same second.
    kommo.post("populate", {"leads": 600})
    Account.objects.update(polled_until=timezone.now() - timedelta(seconds=30), compared_at=timezone.now())
    for number in range(40):
        record(pipeline, f"+55819777700{number:02}")
    record(pipeline, MARIA)
    before = len(kommo.journal())
    settle(account)
    asked = [call for call in kommo.journal()[before:] if call["method"] == "GET"]
    assert not [call for call in asked if "query" in call["query"]]
    assert len([call for call in asked if call["path"] == "/api/v4/leads"]) <= 8
    assert lead_of(MARIA).card.kommo_lead_id == known
