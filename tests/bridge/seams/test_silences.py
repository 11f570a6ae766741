"""What goes wrong without a word is found by asking, and told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import doctor, tasks
from bridge.accounts import connection, webhook_silence, webhook_subscription
from bridge.cards import outbox
from bridge.configuration.connecting import Connection
from bridge.inbound import chat_replies, reconciliation
from bridge.models import Account, Card
from bridge.webhooks.reading_webhooks import process_inbox
from leads.models import Lead
from tests.conftest import due_calls, lead_of, record
from tests.heard import HANDOFF, carded, hear, hook

LONG_AGO = timedelta(minutes=10)


@pytest.fixture
def subscribed(account, kommo):
    # The sandbox posts to an address where nobody listens: every webhook is dropped.
    client = connection.client_for(account)
    Connection(account, client, create_missing=False, now=timezone.now()).connect("http://127.0.0.1:1")
    account.refresh_from_db()
    return account


@pytest.fixture
def late(monkeypatch):
    """Changes of this very second count as long ago."""
    monkeypatch.setattr(reconciliation, "WEBHOOK_LATE_AFTER", timedelta(seconds=-5))


def test_with_all_webhooks_dropped_a_handoff_is_known_within_one_poll_and_the_silence_told(
    subscribed, pipeline, kommo, late
):
    kommo_id = carded(subscribed, pipeline)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": HANDOFF})

    tasks.poll(subscribed.pk)

    subscribed.refresh_from_db()
    assert lead_of().in_handoff
    assert subscribed.webhook_problem == webhook_silence.SILENT
    assert any(
        finding.check == "webhook" and not finding.is_well
        for finding in doctor.examine(timezone.now(), ask_kommo=False)
    )

    # Heard again: with the next look at the subscription the warning goes.
    hear(subscribed, hook(kommo_id, "update"))
    subscribed.refresh_from_db()
    webhook_subscription.check(subscribed, connection.client_for(subscribed), now=timezone.now())
    subscribed.refresh_from_db()
    assert subscribed.webhook_problem == ""


def test_with_polling_alone_every_move_is_known_within_one_poll_and_nothing_is_amiss(account, pipeline, kommo, late):
    kommo_id = carded(account, pipeline)
    kommo.post(f"leads/{kommo_id}/move", {"status_id": HANDOFF})
    tasks.poll(account.pk)
    account.refresh_from_db()
    assert (lead_of().in_handoff, account.webhook_problem) == (True, "")


def test_leads_with_a_conversation_but_no_card_get_one_with_the_nightly_comparison(account, pipeline, monkeypatch):
    monkeypatch.setattr(outbox, "ADOPTED_AT_ONCE", 2)
    for number in range(5):
        record(pipeline, f"+558199999000{number}")
    Card.objects.exclude(pk=Card.objects.first().pk).delete()
    tasks.poll(account.pk, full=True)
    assert set(Card.objects.values_list("lead_id", flat=True)) == set(Lead.objects.values_list("pk", flat=True))
    assert outbox.adopt_orphans(account, now=timezone.now()) == 0


def test_a_webhook_about_a_chat_has_the_feed_asked_at_once(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    chat_replies.notice(account, connection.client_for(account), now=timezone.now())
    kommo.post(f"leads/{kommo_id}/message", {"text": "Oi, aqui é a Ana", "direction": "outgoing"})
    hear(account, f"message[add][0][id]=x&message[add][0][entity_id]={kommo_id}&message[add][0][type]=outgoing")
    process_inbox(account.pk)
    due = [call for call in due_calls() if call[0] == "bridge.tasks.notice_takeovers"]
    assert due == [("bridge.tasks.notice_takeovers", (account.pk,))]
    tasks.notice_takeovers(account.pk)
    assert lead_of().handoff_source == Lead.HandoffSource.CHAT


def test_a_clock_that_is_ahead_of_kommos_misses_no_reply(account, pipeline, kommo):
    kommo_id = carded(account, pipeline)
    client = connection.client_for(account)
    chat_replies.notice(account, client, now=timezone.now() + LONG_AGO)
    account.refresh_from_db()
    kommo.post(f"leads/{kommo_id}/message", {"text": "Oi", "direction": "outgoing"})
    assert chat_replies.notice(account, client, now=timezone.now() + LONG_AGO) == 1


def test_the_feed_is_not_asked_where_a_reply_pauses_nobody(account, pipeline, kommo):
    pipeline.chat_reply_pauses = False
    pipeline.save()
    calls = len(kommo.journal())
    chat_replies.notice(account, connection.client_for(account), now=timezone.now())
    assert len(kommo.journal()) == calls
    assert Account.objects.get().takeovers_looked_at is not None
