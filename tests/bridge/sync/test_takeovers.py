"""A person who replies in Kommo's chat has taken over, though no webhook says so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.models import Account
from bridge.sandbox import brackets
from bridge.sync import connection, takeovers
from leads import handoff
from leads.interactions import Direction, Message
from leads.models import Lead
from tests.bridge.webhooks import test_processing as processing
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


OURS, ANA = 11087123, 11087201


def hook(lead, *, author, text="Oi", names="entity", **more):
    """The body of `add_outgoing_message`."""
    lead_names = {"entity_type": "lead", "entity_id": lead.card.kommo_lead_id}
    if names == "element":
        lead_names = {"element_type": 2, "element_id": lead.card.kommo_lead_id}
    message = {
        "id": "m1",
        "type": "outgoing",
        "text": text,
        "created_at": int(timezone.now().timestamp()),
        **lead_names,
    }
    body = {"outgoing_message": {"add": [{**message, "author": author, **more}]}}
    return brackets.encode(body)


def hear(account, body):
    processing.hear(account, body)
    return Lead.objects.get()


@pytest.mark.parametrize("names", ["entity", "element"])
def test_the_webhook_tells_that_a_person_wrote(account, lead, names):
    told = hear(account, hook(lead, author={"type": "internal", "user_id": ANA}, names=names))
    assert (told.handoff_source, told.in_handoff) == (Lead.HandoffSource.CHAT, True)


@pytest.mark.parametrize(
    "author",
    [{"type": "bot"}, {"type": "bot", "user_id": OURS}, {"type": "internal", "user_id": OURS}, {"type": "external"}],
)
def test_neither_bots_nor_our_own_user_nor_the_lead_pause_anybody(account, lead, author):
    assert not hear(account, hook(lead, author=author)).in_handoff


def test_what_the_agent_has_just_said_pauses_nobody(account, lead, pipeline):
    record(pipeline, message=Message(Direction.OUTBOUND, "w1", text="Olá, tudo bem?"))
    assert not hear(account, hook(lead, author={"type": "internal", "user_id": ANA}, text="Olá,  tudo bem?")).in_handoff


def test_our_own_users_messages_in_the_feed_pause_nobody(account, lead, kommo):
    say(kommo, lead, direction="outgoing", user_id=OURS, by_bot=True)
    assert look(account) == 0


def test_a_user_seen_to_write_as_a_bot_is_one_in_the_feed_too(account, lead, kommo):
    hear(account, hook(lead, author={"type": "bot", "user_id": ANA}))
    say(kommo, lead, direction="outgoing", user_id=ANA)
    assert look(account) == 0


def test_a_message_that_does_not_say_who_wrote_has_the_feed_asked_at_once(account, lead):
    Account.objects.update(takeovers_looked_at=timezone.now())
    hear(account, hook(lead, author={}))
    account.refresh_from_db()
    assert account.takeovers_looked_at is None
