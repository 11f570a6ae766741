"""Kommo disables a webhook that failed too often; the bridge notices, mends it and says so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts import connection, webhook_subscription
from bridge.configuration.connecting import Connection
from bridge.models import Account
from tests.conftest import drain, record

PUBLIC = "https://bridge.example"


@pytest.fixture
def subscribed(account):
    Connection(account, connection.client_for(account), create_missing=False, now=timezone.now()).connect(PUBLIC)
    account.refresh_from_db()
    return account


def check(account, *, now=None):
    problem = webhook_subscription.check(account, connection.client_for(account), now=now or timezone.now())
    account.refresh_from_db()
    assert account.webhook_problem == problem
    return problem


def hooks(kommo):
    return kommo.get("webhooks")["subscriptions"]


def test_a_subscription_that_stands_is_left_alone(subscribed, kommo):
    assert check(subscribed) == ""
    assert not [call for call in kommo.journal()[-1:] if call["write"]]


def test_a_disabled_one_is_enabled_again_and_staff_are_told(subscribed, kommo):
    kommo.post("webhooks/disable")
    assert "had disabled" in check(subscribed)
    assert [hook["disabled"] for hook in hooks(kommo)] == [False]


def test_a_lost_one_is_made_again(subscribed, kommo):
    connection.client_for(subscribed).unsubscribe(subscribed.webhook_destination)
    assert "had lost" in check(subscribed)
    assert len(hooks(kommo)) == 1


def test_silence_while_the_events_feed_moves_is_a_problem(subscribed, pipeline):
    Account.objects.update(connected_at=timezone.now() - timedelta(hours=1))
    subscribed.refresh_from_db()
    assert check(subscribed) == ""

    record(pipeline, name="Maria")
    drain(subscribed)

    assert check(subscribed) == ""
    assert "sends no webhooks" in check(subscribed, now=timezone.now() + timedelta(minutes=10))


def test_silence_in_an_account_where_nothing_happens_is_none(subscribed):
    Account.objects.update(connected_at=timezone.now() - timedelta(days=3))
    subscribed.refresh_from_db()
    assert check(subscribed) == ""


def test_without_a_webhook_nothing_is_asked(account, kommo):
    calls = len(kommo.journal())
    assert check(account) == ""
    assert len(kommo.journal()) == calls


def test_news_that_kommo_does_not_know_is_left_out_and_all_else_is_heard(subscribed, kommo):
    kommo.post("options", {"refused_settings": "add_outgoing_message"})
    connection.client_for(subscribed).unsubscribe(subscribed.webhook_destination)
    check(subscribed)
    [hook] = hooks(kommo)
    assert set(hook["settings"]) == set(webhook_subscription.SETTINGS) - {"add_outgoing_message"}
    # And not asked for again at every look.
    writes = sum(call["write"] for call in kommo.journal())
    assert check(subscribed) == ""
    assert sum(call["write"] for call in kommo.journal()) == writes


def test_one_that_hears_of_less_is_mended_and_keeps_what_others_added(subscribed, kommo):
    client = connection.client_for(subscribed)
    client.subscribe(subscribed.webhook_destination, ["add_lead", "note_lead"])
    assert check(subscribed) == ""
    [hook] = hooks(kommo)
    assert set(hook["settings"]) == {*webhook_subscription.SETTINGS, "note_lead"}
