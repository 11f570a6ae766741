"""A person who replies in Kommo's chat has taken over, though no webhook says so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.models import Account
from bridge.sync import connection, takeovers
from leads import handoff
from leads.models import Lead
from tests.conftest import drain, record


@pytest.fixture
def lead(account, pipeline):
    record(pipeline, name="Maria")
    drain(account)
    return Lead.objects.get()


def look(account, **later):
    account.refresh_from_db()
    return takeovers.notice(account, connection.client_for(account), now=timezone.now() + timedelta(**later))


def say(kommo, lead, **more):
    kommo.post(f"leads/{lead.card.kommo_lead_id}/message", {"text": "Oi, aqui é a Ana", **more})


def test_a_persons_reply_pauses_the_agent(account, lead, kommo):
    say(kommo, lead, direction="outgoing")
    assert look(account) == 1
    lead.refresh_from_db()
    assert (lead.handoff_source, lead.in_handoff) == (Lead.HandoffSource.CHAT, True)


def test_the_leads_own_messages_pause_nobody(account, lead, kommo):
    say(kommo, lead, direction="incoming")
    assert look(account) == 0


def test_a_robots_reply_pauses_nobody(account, lead, kommo):
    say(kommo, lead, direction="outgoing", user_id=0)
    assert look(account) == 0


def test_the_same_reply_does_not_pause_again_once_the_lead_was_given_back(account, lead, kommo):
    say(kommo, lead, direction="outgoing")
    look(account)
    handoff.resume(Lead.objects.get(), by=Lead.Actor.STAFF, reason="done", now=timezone.now() + timedelta(seconds=2))
    Account.objects.update(events_read_until=timezone.now() - timedelta(minutes=5))
    assert look(account) == 0
    assert not Lead.objects.get().in_handoff


def test_it_can_be_switched_off(account, lead, kommo, pipeline):
    pipeline.chat_reply_pauses = False
    pipeline.save()
    say(kommo, lead, direction="outgoing")
    assert look(account) == 0
