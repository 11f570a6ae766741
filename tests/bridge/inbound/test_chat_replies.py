"""A person who replies in Kommo's chat has taken over, though no webhook says so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts import connection
from bridge.inbound import chat_replies, other_bots_answer
from bridge.kommo.replies import EventReply
from bridge.models import Account
from kommo_sandbox import brackets
from leads import handoff
from leads.interaction_values import Direction, Message
from leads.models import Lead
from tests.bridge.webhooks import test_reading_webhooks as processing
from tests.conftest import drain, record


@pytest.fixture
def lead(account, pipeline):
    record(pipeline, name="Maria")
    drain(account)
    return Lead.objects.get()


def look(account, **later):
    account.refresh_from_db()
    return chat_replies.notice(account, connection.client_for(account), now=timezone.now() + timedelta(**later))


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
    result = hear(account, hook(lead, author={"type": "internal", "user_id": ANA}, names=names))
    assert (result.handoff_source, result.in_handoff) == (Lead.HandoffSource.CHAT, True)


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


@pytest.mark.parametrize(
    "odd",
    [
        {"author": {"type": " Internal ", "user_id": f" {ANA}"}},
        {"author": {"type": "INTERNAL", "user_id": str(ANA), "name": ["Ana"]}, "entity_type": "Lead"},
        {"entity_type": "leads"},
        {"entity_type": "", "element_type": "2"},
        {"created_at": "1700000000000000000"},
        {"created_at": 4_000_000_000_000},
        {"created_at": "2026-11-28T10:00:00Z"},
        {"created_at": "-5"},
        {"created_at": ""},
        {"text": {"0": "Oi"}},
        {"text": ""},
        {"attachment": {"type": "picture", "link": "https://x"}, "text": ""},
        {"media": "", "widget": "1", "is_new": "true"},
    ],
    ids=str,
)
def test_a_persons_message_is_heard_in_whatever_form_it_is_told(account, lead, odd):
    author = odd.get("author", {"type": "internal", "user_id": ANA})
    element = {"element_id": lead.card.kommo_lead_id} if "element_type" in odd else {}
    more = {name: value for name, value in odd.items() if name != "author"}
    assert hear(account, hook(lead, author=author, **more, **element)).in_handoff


@pytest.mark.parametrize("at", ["1700000000000000000", 10**15, "", "-5", "gestern"])
def test_a_bots_message_of_any_time_stops_no_poll(account, lead, kommo, at):
    record(lead.pipeline, message=Message(Direction.OUTBOUND, "w0", text="Olá"))
    hear(account, hook(lead, author={"type": "bot"}, text="Posso ajudar?", created_at=at))
    account.refresh_from_db()
    other_bots_answer.look(account, [], now=timezone.now() + timedelta(minutes=5))
    assert Account.objects.get().traits["bot_messages"] == []


@pytest.mark.parametrize("odd", [{"created_at": 10**15}, {"created_at": None}, {"created_at": "x"}, {"entity_id": "x"}])
def test_an_event_of_an_odd_form_costs_no_other(account, lead, kommo, odd):
    good = {"id": "1", "type": "outgoing_chat_message", "entity_id": 5, "entity_type": "lead", "created_by": 3,
            "created_at": 1_700_000_000}  # fmt: skip
    client = connection.client_for(account)
    assert [event.id for event in client._read_each("read events", [{**good, **odd}, good], EventReply.read)] == ["1"]
