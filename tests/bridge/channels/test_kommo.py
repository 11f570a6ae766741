"""Messages that leave inside Kommo: by a Salesbot, or by the chats add-on, against the sandbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from bridge.accounts import catalogue
from bridge.accounts.connection import client_for
from bridge.channels import kommo_chats, kommo_salesbot, managing_channels
from bridge.channels.channel_kinds import WAYS
from bridge.inbound import chat_replies
from bridge.inbound.chat_replies import Said
from bridge.models import AgentEvent, Catalogue, Channel, Outgoing
from leads import announcements, message_parts
from leads.interaction_values import Direction, Interaction, Message
from leads.interactions import record as record_told
from leads.models import Lead
from leads.models import Message as Row
from leads.phone import parse
from tests.bridge.channels.conftest import carry
from tests.bridge.channels.test_messages import say, state_of
from tests.conftest import drain, record

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
FIELD = "Resposta do agente"


@pytest.fixture
def lead(account, kommo, pipeline, settings):
    """A lead with a card, a chat in Kommo, and the long text that the bot reads."""
    settings.AGENT_WEBHOOK_URL = "http://127.0.0.1:9/agent"
    client = client_for(account)
    client.create_custom_fields("leads", [{"name": FIELD, "type": "textarea"}])
    kommo.post("options", {"bots_say_field": FIELD})
    catalogue.refresh(account, client, now=timezone.now())
    lead = record(pipeline, name="Maria", message=Message(Direction.INBOUND, id="in-1", text="oi")).lead
    drain(account)
    lead = Lead.objects.select_related("card").get(pk=lead.pk)
    kommo.post(f"leads/{lead.card.kommo_lead_id}/message", {"direction": "incoming", "text": "oi"})
    return lead


@pytest.fixture
def salesbot(lead):
    return managing_channels.establish("kommo_salesbot", "bot", settings={"bot_id": "565", "field": FIELD})


@pytest.fixture
def chats(lead):
    return managing_channels.establish("kommo_chats", "chats")


def chat(account, lead):
    """Return what stands in the lead's chat in Kommo, of our side."""
    client = client_for(account)
    talk = client.talks(lead.card.kommo_contact_id)[0]
    _, data = client.ask("GET", f"/api/v4/talks/{talk.id}/messages")
    return [message for message in data["_embedded"]["messages"] if message["direction"] == "outgoing"]


def tell(account, lead, messages, *, author="bot"):
    """Deliver the webhooks about messages, as Kommo words them."""
    heard = [
        Said(author, 0, lead.card.kommo_lead_id, 0, message["created_at"], message["text"], message["id"])
        for message in messages
    ]
    chat_replies.hear(account, heard, now=timezone.now())


def test_a_salesbot_says_it_and_the_webhook_proves_it(agent, account, kommo, lead, salesbot):
    answer = say(agent, lead, "Oi 👋, Maria!\n\nTudo bem?")
    carry()

    taken = answer.json()
    # What the field cannot hold is said in the answer, and left out.
    assert taken["changed"] == ["emoji are left out: Kommo cuts the text of a field at them"]
    assert [message["text"] for message in chat(account, lead)] == ["Oi , Maria!\n\nTudo bem?"]
    assert state_of(answer, agent)["state"] == "sent"

    tell(account, lead, chat(account, lead))
    carry()

    now = state_of(answer, agent)
    assert (now["state"], now["reason"]) == ("delivered", None)
    assert AgentEvent.objects.filter(type="message.delivered").count() == 1
    lead.refresh_from_db()
    assert lead.last_outbound_at and not lead.in_handoff


@pytest.mark.parametrize("text", ["👍", "👨‍👩‍👧‍👦", "🇧🇷 🇧🇷", "👍\n\n👍"])
def test_where_a_bot_can_say_nothing_of_it_the_next_way_does(
    agent, account, kommo, lead, salesbot, way, messengers, text
):
    refused = say(agent, lead, text, channel="bot")
    assert (refused.status_code, refused.json()["reason"]) == (422, "bot: nothing of this text can leave by it")
    assert say(agent, lead, text).status_code == 422

    way("evolution")
    answer = say(agent, lead, text)
    carry()

    assert answer.json()["channel"] == "evolution"
    assert messengers.spoken == [text]
    assert chat(account, lead) == []


def test_nothing_is_left_of_an_emoji_that_is_left_out():
    written, notes = kommo_salesbot.changed("❤️‍🔥 ok 👨‍👩‍👧‍👦!\r\n1️⃣ um")
    assert written == "❤️ ok !\n1️⃣ um"
    assert notes == [kommo_salesbot.NO_EMOJI]


@pytest.mark.django_db(transaction=True)
def test_what_the_chat_shows_is_noted_at_once_or_not_at_all(agent, account, kommo, lead, salesbot):
    """Rows are locked for it, which PostgreSQL refuses outside of a transaction; most tests run within one."""
    within = []

    def note(**_):
        within.append(connection.in_atomic_block)

    answer = say(agent, lead, "Oi Maria")
    carry()
    announcements.messages_told_of.connect(note)
    try:
        tell(account, lead, chat(account, lead))
    finally:
        announcements.messages_told_of.disconnect(note)

    assert within == [True]
    assert state_of(answer, agent)["parts"][0]["state"] == "delivered"


def test_a_long_text_leaves_in_parts_each_after_the_proof_of_the_one_before(
    agent, account, kommo, lead, salesbot, monkeypatch
):
    monkeypatch.setitem(kommo_salesbot.HOLDS, "textarea", 12)
    answer = say(agent, lead, "primeira.\n\nsegunda.\n\nterceira.")
    for known in (1, 2, 3):
        carry()
        messages = chat(account, lead)
        assert len(messages) == known
        # Doubled, as Kommo may send them.
        tell(account, lead, messages)
        tell(account, lead, messages)
    carry()

    assert [message["text"] for message in chat(account, lead)] == ["primeira.", "segunda.", "terceira."]
    assert state_of(answer, agent)["state"] == "delivered"


def test_a_silent_bot_is_not_delivered_and_the_next_channel_says_it(
    agent, account, kommo, lead, salesbot, way, messengers
):
    way("evolution")
    kommo.post("options", {"bots_run": False})
    answer = say(agent, lead)
    carry()
    assert messengers.spoken == []
    carry(seconds=14)
    assert messengers.spoken == []

    carry(seconds=16)

    assert messengers.spoken == ["Oi Maria, tudo bem?"]
    now = state_of(answer, agent)
    assert (now["state"], now["channel"]) == ("sent", "evolution")
    assert "said nothing" in Outgoing.objects.get().tried[0]["reason"]
    assert "said nothing" in Channel.objects.get(slug="bot").failure


@pytest.mark.parametrize(
    ("options", "closes", "reason"),
    [({"bots_run": False}, False, "said nothing"), ({"bots_need_open_talk": True}, True, "chat in Kommo is closed")],
)
def test_without_another_channel_the_likeliest_reason_is_told(
    agent, account, kommo, lead, salesbot, options, closes, reason
):
    if closes:
        client = client_for(account)
        talk = client.talks(lead.card.kommo_contact_id)[0]
        client.ask("POST", f"/api/v4/talks/{talk.id}/close", body={"force_close": True})
    kommo.post("options", options)
    answer = say(agent, lead)
    carry()
    carry(seconds=16)

    now = state_of(answer, agent)
    assert now["state"] == "not_delivered" and reason in now["reason"]
    assert reason in AgentEvent.objects.get(type="message.not_delivered").data["reason"]


def test_another_bot_in_the_conversation_is_named(agent, account, kommo, lead, salesbot):
    kommo.post("options", {"bots_run": False})
    answer = say(agent, lead)
    carry()
    tell(account, lead, [{"created_at": int(timezone.now().timestamp()), "text": "Sou a IA do Kommo", "id": "x1"}])
    carry(seconds=16)

    assert state_of(answer, agent)["reason"] == "another bot has the conversation"


def test_a_lost_webhook_is_made_good_by_the_feed(agent, account, kommo, lead, salesbot, way, messengers):
    way("evolution")
    answer = say(agent, lead)
    carry()
    # No webhook has told of it; the events feed does.
    carry(seconds=16)

    assert state_of(answer, agent)["state"] == "delivered"
    assert messengers.spoken == []


@pytest.mark.parametrize("others", [1, 3])
@pytest.mark.parametrize("ours_speaks", [True, False])
def test_another_bot_that_spoke_is_no_proof_that_ours_was_silent(
    agent, account, kommo, lead, salesbot, way, messengers, others, ours_speaks
):
    way("evolution")
    kommo.post("options", {"bots_run": ours_speaks})
    answer = say(agent, lead)
    carry()
    for number in range(others):
        text = f"Sou a IA do Kommo, {number}"
        kommo.post(f"leads/{lead.card.kommo_lead_id}/message", {"direction": "outgoing", "user_id": 0, "text": text})
    # Webhooks tell of theirs; the one about ours is lost.
    tell(account, lead, [message for message in chat(account, lead) if message["text"].startswith("Sou a IA")])
    carry(seconds=16)

    state = state_of(answer, agent)["state"]
    assert (state, messengers.spoken) == (("delivered", []) if ours_speaks else ("sent", ["Oi Maria, tudo bem?"]))


def test_what_was_said_just_before_proves_nothing_of_what_comes_after_it(agent, account, kommo, lead, salesbot):
    heard = say(agent, lead, "Pelo bot")
    carry()
    tell(account, lead, chat(account, lead))
    carry()
    kommo.post("options", {"bots_run": False})
    silent = say(agent, lead, "Ninguém ouve")
    carry()
    carry(seconds=16)

    assert state_of(heard, agent)["state"] == "delivered"
    assert state_of(silent, agent)["state"] == "not_delivered"


def test_a_webhook_that_comes_late_takes_nothing_back(agent, account, kommo, lead, salesbot):
    answer = say(agent, lead)
    carry()
    carry(seconds=16)
    tell(account, lead, chat(account, lead))
    carry()

    assert state_of(answer, agent)["state"] == "delivered"
    assert AgentEvent.objects.filter(type__startswith="message.").count() == 1


def test_links_in_kommos_short_form_are_known(agent, account, kommo, lead, salesbot):
    kommo.post("options", {"bots_shorten_links": True})
    answer = say(agent, lead, "Veja https://acme.example/proposta?x=1 hoje")
    carry()
    tell(account, lead, chat(account, lead))
    carry()

    assert "kommo.cc" in chat(account, lead)[0]["text"]
    assert state_of(answer, agent)["state"] == "delivered"


def test_a_run_whose_answer_was_lost_is_known_by_its_proof(agent, account, kommo, lead, salesbot):
    kommo.fault("drop_after", count=1, path="/api/v4/bots/run")
    answer = say(agent, lead)
    carry()
    tell(account, lead, chat(account, lead))
    carry()

    assert state_of(answer, agent)["state"] == "delivered"
    assert len([call for call in kommo.journal() if call["path"] == "/api/v4/bots/run"]) == 1


def test_a_field_that_was_made_since_is_found(agent, account, kommo, lead):
    client_for(account).create_custom_fields("leads", [{"name": "Fala do bot", "type": "textarea"}])
    kommo.post("options", {"bots_say_field": "Fala do bot"})
    Catalogue.objects.update(fetched_at=timezone.now() - timedelta(minutes=5))
    managing_channels.establish("kommo_salesbot", "bot", settings={"bot_id": "565", "field": "fala do bot"})
    say(agent, lead, "Achei")
    carry()

    assert [message["text"] for message in chat(account, lead)] == ["Achei"]


def test_the_chats_add_on_says_it_in_the_open_chat(agent, account, kommo, lead, chats):
    answer = say(agent, lead, "Oi 👋 Maria")
    carry()

    assert [message["text"] for message in chat(account, lead)] == ["Oi 👋 Maria"]
    assert state_of(answer, agent)["state"] == "sent"
    tell(account, lead, chat(account, lead))
    carry()
    assert state_of(answer, agent)["state"] == "delivered"


@pytest.mark.parametrize("by", ["chats", "salesbot"])
def test_where_conversations_are_kommos_its_chat_is_the_proof_too(agent, account, kommo, lead, by, pipeline, request):
    """The same webhook comes as a message of the conversation: known as ours, it is told once and has arrived."""
    request.getfixturevalue(by)
    answer = say(agent, lead, "Oi Maria")
    carry()
    [shown] = chat(account, lead)
    message = Message(Direction.BOT, id=shown["id"], text=shown["text"], sent_at=timezone.now())
    pipeline.refresh_from_db()
    interaction = Interaction(
        phone=parse(lead.phone, region="BR"), occurred_at=timezone.now(), message=message, via=message_parts.KOMMO
    )
    record_told(interaction, pipeline=pipeline, now=timezone.now())
    carry()

    assert state_of(answer, agent)["state"] == "delivered"
    assert Row.objects.exclude(direction="inbound").count() == 1


def test_a_used_up_quota_rests_the_way_and_the_next_one_says_it(agent, account, kommo, lead, chats, way, messengers):
    way("waha")
    kommo.post("options", {"messages_quota": 1})
    for text in ("um", "dois", "três"):
        say(agent, lead, text)
    carry()

    assert [message["text"] for message in chat(account, lead)] == ["um"]
    assert messengers.spoken == ["dois", "três"]
    way_out = Channel.objects.get(slug="chats")
    assert way_out.rests_until and "quota" in way_out.failure
    # While it rests it is not asked again.
    assert len([call for call in kommo.journal() if call["path"].endswith("/send_message")]) == 2


@pytest.mark.parametrize("is_another_there", [True, False])
def test_a_quota_that_ends_in_the_middle_of_an_answer_loses_and_doubles_nothing(
    agent, account, kommo, lead, chats, way, messengers, monkeypatch, is_another_there
):
    monkeypatch.setattr(kommo_chats, "LIMIT", 9)
    if is_another_there:
        way("waha")
    kommo.post("options", {"messages_quota": 1})
    answer = say(agent, lead, "primeira\n\nsegunda\n\nterceira")
    carry()

    assert [message["text"] for message in chat(account, lead)] == ["primeira"]
    now = state_of(answer, agent)
    if is_another_there:
        assert messengers.spoken == ["segunda", "terceira"]
        assert (now["state"], now["channel"]) == ("sent", "waha")
    else:
        assert [part["state"] for part in now["parts"]] == ["sent", "not_delivered", "refused"]
        assert (now["state"], now["reason"]) == ("not_delivered", "the quota of Kommo's chats add-on is used up")


def test_what_is_left_for_a_bot_after_another_way_is_no_empty_part(agent, account, kommo, lead, way, messengers):
    way("zapi")
    managing_channels.establish("kommo_salesbot", "bot", settings={"bot_id": "565", "field": FIELD})
    messengers.answers += [None, (400, {"message": "no"})]
    answer = say(agent, lead, f"{'a' * 4090}\n\n{'👍' * 4096} fim")
    assert len(answer.json()["parts"]) == 3
    carry()

    assert [message["text"] for message in chat(account, lead)] == ["fim"]
    state_now = state_of(answer, agent)
    assert [part["text"] for part in state_now["parts"]][1:] == ["fim"]
    assert state_now["changed"] == [kommo_salesbot.NO_EMOJI]


def test_a_closed_chat_is_told(agent, account, kommo, lead, chats):
    client = client_for(account)
    talk = client.talks(lead.card.kommo_contact_id)[0]
    client.ask("POST", f"/api/v4/talks/{talk.id}/close", body={"force_close": True})
    answer = say(agent, lead)
    carry()

    assert "chat in Kommo is closed" in state_of(answer, agent)["reason"]


def test_in_shadow_nothing_of_ours_reaches_anybody(agent, account, kommo, lead, salesbot):
    answer = say(agent, lead)
    type(account).objects.filter(pk=account.pk).update(state="shadow")
    carry()

    assert chat(account, lead) == []
    assert state_of(answer, agent)["state"] == "refused"
    # Whoever speaks by a connection of their own may: nothing leaves by us, and that is another answer.
    refused = say(agent, lead)
    assert (refused.status_code, refused.json()["code"]) == (422, "no_channel")
    assert "shadow" in refused.json()["reason"]
    assert agent.get("agent/may-reply/", phone=lead.phone).json()["may_reply"] is True


def test_words_are_compared_after_what_messengers_do_to_them():
    assert message_parts.plainly("Veja  https://a.example/b 👋🏽\n ok") == message_parts.plainly(
        "Veja https://kommo.cc/x  ok"
    )
    assert message_parts.plainly("sim") != message_parts.plainly("não")
    assert WAYS["kommo_salesbot"].proves == timedelta(seconds=15)
