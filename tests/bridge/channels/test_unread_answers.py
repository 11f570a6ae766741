"""A person may have written a moment ago: what is stored and not read yet is read before a part leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.intakes import managing_intakes as ways_in
from bridge.models import Card, IntakeCall, Outgoing, WebhookEvent
from leads import handoff
from leads.models import Lead, Message
from tests.bridge.channels.conftest import carry
from tests.conftest import drain

# The number of the lead without its ninth digit, as WhatsApp has it.
THEIRS = b'{"data": {"key": {"remoteJid": "558199990000@s.whatsapp.net", "fromMe": true}}}'
ANOTHERS = b'{"data": {"key": {"remoteJid": "558199990001@s.whatsapp.net", "fromMe": true}}}'


@pytest.fixture
def call(pipeline):
    """Store a call as the web server does, and leave it to be read."""
    way_in = ways_in.establish("evolution", "phone-in", pipeline=pipeline, settings={})

    def store(body: bytes = THEIRS, *, seconds_ago: float = 0) -> IntakeCall:
        at = timezone.now() - timedelta(seconds=seconds_ago)
        return IntakeCall.objects.create(intake=way_in, body=body, received_at=at, due_at=at)

    return store


def read(stored_call: IntakeCall | WebhookEvent) -> None:
    type(stored_call).objects.filter(pk=stored_call.pk).update(state="processed", processed_at=timezone.now())


def test_a_person_who_wrote_a_moment_ago_is_not_spoken_over(agent, lead, way, messengers, monkeypatch, call):
    way("evolution")
    monkeypatch.setattr("bridge.channels.evolution.LIMIT", 10)
    agent.post(f"leads/{lead.pk}/messages/", {"text": "primeira.\n\nsegunda."})
    unread = call()

    carry()
    assert messengers.spoken == []
    assert Message.objects.get(direction="outbound").state == "queued"

    handoff.pause(lead, source=Lead.HandoffSource.CHAT, by=Lead.Actor.STAFF, reason="Ana wrote", now=timezone.now())
    read(unread)
    carry(seconds=1)

    assert messengers.spoken == []
    message = Message.objects.get(direction="outbound")
    assert (message.state, message.reason) == ("refused", "Ana wrote")


def test_what_was_no_person_only_costs_the_moment(agent, lead, way, messengers, call):
    way("waha")
    agent.post(f"leads/{lead.pk}/messages/", {"text": "Oi"})
    unread = call()
    carry()
    read(unread)

    carry(seconds=1)

    assert messengers.spoken == ["Oi"]
    assert not Outgoing.objects.filter(state="due").exists()


@pytest.mark.parametrize(("body", "seconds_ago"), [(ANOTHERS, 0), (THEIRS, 11)], ids=["anothers", "inbox-stands-still"])
def test_news_of_others_and_an_inbox_that_stands_still_keep_nobody_silent(
    agent, lead, way, messengers, call, body, seconds_ago
):
    way("evolution")
    call(body, seconds_ago=seconds_ago)
    agent.post(f"leads/{lead.pk}/messages/", {"text": "Oi"})

    carry()

    assert messengers.spoken == ["Oi"]


def test_calls_that_keep_coming_delay_a_message_for_seconds_and_no_longer(agent, lead, way, messengers, call):
    way("evolution")
    agent.post(f"leads/{lead.pk}/messages/", {"text": "Oi"})
    call(seconds_ago=-9)

    carry(seconds=9)
    assert messengers.spoken == []

    carry(seconds=11)
    assert messengers.spoken == ["Oi"]


def test_a_webhook_of_kommo_that_names_the_card_is_read_first(agent, account, kommo, lead, way, messengers):
    way("evolution")
    drain(account)
    card = Card.objects.get(lead=lead)
    at = timezone.now()
    body = f"message[add][0][entity_type]=lead&message[add][0][entity_id]={card.kommo_lead_id}".encode()
    unread = WebhookEvent.objects.create(account=account, received_at=at, body=body)
    agent.post(f"leads/{card.lead_id}/messages/", {"text": "Oi"})

    carry()
    assert messengers.spoken == []

    read(unread)
    carry(seconds=1)
    assert messengers.spoken == ["Oi"]
