"""Before a card is written while we may not be hearing what people do, its lead is read, and only once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.delivery import read_before_write
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.models import Account, Card, Delivery, WebhookEvent
from tests.conftest import amount, drain, lead_of, record, rested

GOOD = {"qualification_score": 90, "context": {"conversation_stage": "qualificação"}}
BIA = "+5581988880000"


@pytest.fixture
def heard(account, card, monkeypatch):
    """An account whose webhooks arrive, and whose cards were not read just now."""
    monkeypatch.setattr(read_before_write, "FRESH_FOR", timedelta(0))
    Account.objects.update(webhook_destination="http://x/", webhook_heard_at=timezone.now() + timedelta(minutes=1))
    account.refresh_from_db()
    return account


def reads(kommo):
    return [call for call in kommo.answered() if call["method"] == "GET" and call["path"] == "/api/v4/leads"]


def unread(account, body, *, since=timedelta(0)):
    WebhookEvent.objects.create(account=account, received_at=timezone.now() - since, body=body.encode())


def moves(kommo):
    return [write for write in kommo.writes() if write["method"] == "PATCH" and "status_id" in write["body"][0]]


def test_a_reading_that_is_stale_when_it_arrives_is_not_asked_for_again(account, pipeline, card, kommo, monkeypatch):
    monkeypatch.setattr(read_before_write, "FRESH_FOR", timedelta(seconds=0.05))
    Account.objects.update(webhook_destination="")
    Card.objects.update(observed_at=timezone.now() - timedelta(minutes=1))
    kommo.fault("slow", path="/api/v4/leads", method="GET", seconds=0.15)
    before = len(reads(kommo))
    record(pipeline, **GOOD)
    drain(account)
    assert (len(reads(kommo)) - before, len(moves(kommo)), lead_of().card.state) == (1, 1, "in_sync")


def test_while_webhooks_arrive_nothing_is_read(heard, pipeline, kommo):
    before = len(reads(kommo))
    record(pipeline, **GOOD)
    drain(heard)
    assert (len(reads(kommo)) - before, len(moves(kommo))) == (0, 1)


def test_an_unread_webhook_has_those_read_that_it_may_be_about_and_no_others(heard, pipeline, card, kommo):
    record(pipeline, BIA)
    drain(heard)
    before = len(reads(kommo))
    unread(heard, f"leads%5Bupdate%5D%5B0%5D%5Bid%5D={card.kommo_lead_id}")
    record(pipeline, BIA, **GOOD)
    drain(heard)
    assert len(reads(kommo)) == before
    record(pipeline, **GOOD)
    drain(heard)
    assert len(reads(kommo)) == before + 1
    assert len(moves(kommo)) == 2


def test_more_unread_than_can_be_looked_through_have_everything_read(heard, pipeline, kommo, monkeypatch):
    monkeypatch.setattr(read_before_write, "MOST_UNREAD", 1)
    unread(heard, "nothing=1")
    unread(heard, "nothing=2")
    before = len(reads(kommo))
    record(pipeline, **GOOD)
    drain(heard)
    assert len(reads(kommo)) == before + 1


@pytest.mark.parametrize("absurd", [{"price": {"a": []}}, {"custom_fields_values": 7}, {"pipeline_id": "x"}])
def test_a_lead_that_cannot_be_read_is_not_moved_until_it_can(account, pipeline, card, kommo, monkeypatch, absurd):
    monkeypatch.setattr(read_before_write, "FRESH_FOR", timedelta(0))
    Account.objects.update(webhook_destination="")
    with monkeypatch.context() as patch:
        row = LeadReply.read({"id": card.kommo_lead_id, "updated_at": 1, **absurd})
        assert row.unreadable
        patch.setattr(KommoClient, "iterate_leads", lambda *_, **__: [row])
        record(pipeline, **GOOD)
        drain(account)
    assert (moves(kommo), lead_of().card.state, lead_of().card.waiting_reason) == (
        [],
        "retrying",
        read_before_write.UNREAD,
    )
    drain(rested(account))
    assert (len(moves(kommo)), lead_of().card.state) == (1, "in_sync")


@pytest.mark.parametrize(
    ("theirs", "ours", "shown"),
    [
        ({"name": "Maria Souza Lima"}, {"name": "Maria S."}, ("name", "Maria Souza Lima")),
        (
            {"custom_fields_values": [{"field_id": 392804, "values": [{"value": "777"}]}]},
            {"bill_value": 600},
            ("bill_value", 777),
        ),
    ],
)
def test_what_staff_edited_is_not_written_over_while_the_webhook_about_it_waits(
    heard, pipeline, kommo, theirs, ours, shown
):
    record(pipeline, name="Maria", bill_value=500)
    drain(heard)
    kommo_id = lead_of().card.kommo_lead_id
    record(pipeline, **ours)
    kommo.post(f"leads/{kommo_id}/edit", theirs)
    unread(heard, f"leads[update][0][id]={kommo_id}", since=timedelta(seconds=12))
    drain(heard)
    name, value = shown
    assert getattr(lead_of(), name) == value
    assert lead_of().events.filter(kind="staff_edit").count() == 1


def test_a_webhook_that_came_just_now_has_nothing_read_before_a_value_is_written(heard, pipeline, card, kommo):
    unread(heard, f"leads[update][0][id]={card.kommo_lead_id}")
    before = len(reads(kommo))
    record(pipeline, bill_value=600)
    drain(heard)
    assert len(reads(kommo)) == before


AWAY = timedelta(minutes=40)
BILL, FLOW_TAG = 392804, "fluxo_aluguel_de_lote"


@pytest.fixture
def waited(heard, pipeline, kommo):
    """A card of which everything has changed while nothing was delivered, and nothing heard, for long."""
    record(pipeline, name="Maria", bill_value=500, chosen_flow="Aluguel de Lote")
    drain(heard)
    record(pipeline, name="Maria S.", bill_value=600, chosen_flow="Compra com Desconto", **GOOD)
    ago = timezone.now() - AWAY
    Card.objects.update(due_at=ago, pending_since=ago, observed_at=ago - timedelta(minutes=1))
    Delivery.objects.update(at=ago - timedelta(minutes=1))
    Account.objects.update(webhook_heard_at=ago, connected_at=ago, compared_at=ago, polled_at=ago)
    heard.refresh_from_db()
    return heard


@pytest.mark.parametrize(
    ("theirs", "subject", "shown"),
    [
        ({"name": "Maria Souza Lima"}, "name", "Maria Souza Lima"),
        ({"custom_fields_values": [{"field_id": BILL, "values": [{"value": "777"}]}]}, BILL, "777"),
        ({"tags_to_add": [{"name": "fluxo_outro"}], "tags_to_delete": [{"name": FLOW_TAG}]}, "tags", ["fluxo_outro"]),
        ({"status_id": 90421387}, "status_id", 90421387),
    ],
    ids=["name", "field", "tags", "stage"],
)
def test_what_staff_did_while_all_of_us_were_away_is_not_written_over(waited, kommo, theirs, subject, shown):
    kommo_id = lead_of().card.kommo_lead_id
    kommo.post(f"leads/{kommo_id}/edit", theirs)
    drain(waited)
    in_kommo = kommo.lead(kommo_id)
    fields = {field["field_id"]: field["values"][0]["value"] for field in in_kommo["custom_fields_values"]}
    assert {**in_kommo, BILL: amount(fields[BILL])}[subject] == shown
    assert (lead_of().card.state, lead_of().events.filter(actor="staff").exists()) == ("in_sync", True)


@pytest.mark.parametrize("missed", ["webhooks", "looks", "nothing"])
def test_a_change_that_waited_long_is_read_for_only_where_nobody_may_have_listened(waited, kommo, missed):
    now = timezone.now()
    if missed != "webhooks":
        Account.objects.update(webhook_heard_at=now)
    if missed != "looks":
        Account.objects.update(polled_at=now)
    before = len(reads(kommo))
    drain(waited)
    assert len(reads(kommo)) - before == (0 if missed == "nothing" else 1)
    assert lead_of().card.state == "in_sync"
