"""A follow-up said through a Salesbot, against the sandbox."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from django.utils import timezone

from bridge.accounts import catalogue
from bridge.accounts.connection import client_for
from bridge.channels.salesbot import FIELD, Salesbot
from bridge.models import Account, Card, Catalogue, Trouble
from followups.channels import Outcome, Outgoing, acts_once, configured
from leads.models import Event
from tests.bridge.mapped import read_back
from tests.conftest import drain, record

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def message(account, kommo, pipeline, settings):
    """A message for a lead whose card is in Kommo, with the field the bot reads."""
    settings.FOLLOWUP_CHANNEL, settings.SALESBOT_ID = "bridge.channels.salesbot.Salesbot", 565
    client = client_for(account)
    client.create_custom_fields("leads", [{"name": FIELD, "type": "text"}])
    catalogue.refresh(account, client, now=timezone.now())
    lead = record(pipeline, name="Maria").lead
    drain(account)
    return Outgoing(str(uuid4()), lead.phone, "Oi, Maria!", "reengagement", 1, {"id": str(lead.pk)})


def send(message):
    return configured().send(message, now=timezone.now())


def runs(kommo):
    return [call for call in kommo.journal() if call["path"] == "/api/v4/bots/run"]


def test_the_text_goes_into_the_field_and_the_bot_is_run(message, kommo):
    result = send(message)
    assert (result.outcome, result.reason) == (Outcome.SENT, "queued at Kommo")
    card = Card.objects.get(lead=message.lead["id"])
    assert kommo.lead(card.kommo_lead_id)["fields"][FIELD] == "Oi, Maria!"
    assert len(runs(kommo)) == 1


def test_a_run_whose_answer_was_lost_is_not_asked_for_again(message, kommo):
    assert not acts_once(Salesbot())
    kommo.fault("drop_after", count=1, path="/api/v4/bots/run")
    assert send(message).outcome is Outcome.UNCONFIRMED


@pytest.mark.parametrize("mode", ["429", "drop_after", "500"])
def test_while_only_the_field_was_written_it_is_tried_again(message, kommo, mode):
    kommo.fault(mode, count=1, path="/api/v4/leads")
    result = send(message)
    assert result.outcome is Outcome.RETRY
    assert runs(kommo) == []
    kommo.post("options", {"requests_per_second": 1000})


@pytest.mark.parametrize("state", [Account.State.SHADOW, Account.State.PAUSED])
def test_nothing_leaves_for_an_account_in_shadow_or_pause(message, kommo, account, state):
    Account.objects.filter(pk=account.pk).update(state=state)
    before = len(kommo.journal())
    assert send(message).outcome is Outcome.RETRY
    assert len(kommo.journal()) == before


def test_without_the_field_or_the_card_it_says_what_is_missing(account, pipeline, settings):
    settings.SALESBOT_ID = 565
    lead = record(pipeline, name="Maria").lead
    message = Outgoing(str(uuid4()), lead.phone, "Oi", "reengagement", 1, {"id": str(lead.pk)})
    assert "no card" in Salesbot().send(message, now=timezone.now()).reason
    drain(account)
    assert "create it in Kommo" in Salesbot().send(message, now=timezone.now()).reason


def test_an_account_whose_fields_were_never_read_loses_no_step(message, kommo, account):
    account.catalogue.delete()
    result = send(message)
    assert (result.outcome, "kommo_connect" in result.reason) == (Outcome.RETRY, True)
    assert runs(kommo) == []


def test_a_text_longer_than_a_short_field_asks_for_a_long_one(message, kommo, account):
    long = replace(message, text="x" * 257)
    result = send(long)
    assert (result.outcome, "make it a long text" in result.reason) == (Outcome.RETRY, True)
    assert runs(kommo) == []
    client_for(account).create_custom_fields("leads", [{"name": FIELD, "type": "textarea"}])
    catalogue.refresh(account, client_for(account), now=timezone.now())
    assert send(long).outcome is Outcome.SENT


@pytest.mark.parametrize("kind", ["numeric", "checkbox", "date"])
def test_a_field_of_that_name_that_holds_no_text_is_not_it(message, account, kind):
    fields = [field | {"type": kind} for field in account.catalogue.lead_fields]
    Catalogue.objects.update(lead_fields=fields)
    assert "create it in Kommo" in send(message).reason


def test_a_bot_kommo_does_not_know_is_said_so(message, settings):
    settings.SALESBOT_ID = 999
    result = send(message)
    assert (result.outcome, bool(result.reason)) == (Outcome.RETRY, True)


@pytest.mark.parametrize("mode", ["402", "403", "404"])
def test_a_plan_without_salesbots_is_told_and_stops_nothing_else(message, kommo, mode):
    kommo.fault(mode, path="/api/v4/bots/run")
    assert send(message).outcome is Outcome.RETRY
    assert Account.objects.get().state == Account.State.ACTIVE
    assert Trouble.objects.get().subject == "salesbot"
    before = len(kommo.journal())
    again = send(message)
    assert (again.outcome, len(kommo.journal())) == (Outcome.RETRY, before)
    assert 0 < again.retry_after_seconds <= 60


@pytest.mark.parametrize("lost", [False, True])
def test_the_field_that_we_wrote_is_no_persons_edit(message, kommo, account, lost):
    if lost:
        kommo.fault("drop_after", count=1, path="/api/v4/leads", method="PATCH")
    send(message)
    read_back(account)
    card = Card.objects.get(lead=message.lead["id"])
    assert list(card.lead.events.filter(kind=Event.Kind.STAFF_EDIT).values_list("reason", "data")) == []
    kommo.post(f"leads/{card.kommo_lead_id}/edit", {"name": "Maria Souza"})
    read_back(account)
    assert card.lead.events.filter(kind=Event.Kind.STAFF_EDIT).count() == 1
