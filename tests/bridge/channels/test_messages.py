"""A message of the agent's: taken, cut, asked for at the gate, sent by a channel, and what became of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.channels import claiming_messages, managing_channels, sending_messages
from bridge.models import AgentEvent, Channel, Outgoing
from leads import handoff, message_parts, optout, same_message
from leads.interaction_values import Direction
from leads.interaction_values import Message as Said
from leads.models import Lead, Message, MessagePart, Pipeline
from tests.bridge.channels.conftest import carry

KINDS = ["evolution", "waha", "zapi", "whatsapp_cloud", "chatwoot"]


def say(agent, lead, text="Oi Maria, tudo bem?", **more):
    return agent.post(f"leads/{lead.pk}/messages/", {"text": text, **more})


def state_of(answer, agent):
    return agent.get(f"messages/{answer.json()['id']}/").json()


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_leaves_by_the_pipelines_channel(agent, lead, way, messengers, kind):
    way(kind)

    answer = say(agent, lead, "Oi 👋🏽\n\nVeja https://acme.example/a?b=c")
    carry()

    assert answer.status_code == 202, answer.content
    taken = answer.json()
    assert set(taken) == {"id", "lead", "direction", "text", "parts", "channel", "state", "reason", "changed", "at"}
    assert (taken["state"], taken["channel"], taken["direction"]) == ("queued", kind.replace("_", "-"), "outbound")
    # An emoji, a line break and a link leave as they were written.
    assert messengers.spoken == ["Oi 👋🏽\n\nVeja https://acme.example/a?b=c"]
    assert taken["changed"] == []
    now = state_of(answer, agent)
    assert now["state"] == "sent" and now["at"]["sent"] and not now["at"]["delivered"]
    assert Channel.objects.get().sent_at
    # The conversation knows it as the agent's, once.
    lead.refresh_from_db()
    assert lead.last_outbound_at
    assert agent.get(f"leads/{lead.pk}/messages/").json()["results"][-1]["id"] == taken["id"]
    assert [row["direction"] for row in agent.get(f"leads/{lead.pk}/messages/").json()["results"]] == [
        "inbound",
        "outbound",
    ]


def test_what_the_lead_wrote_has_arrived_and_says_when(agent, lead):
    [heard] = agent.get(f"leads/{lead.pk}/messages/").json()["results"]
    wrote_at = Message.objects.get().at.isoformat()
    assert (heard["direction"], heard["state"]) == ("inbound", "delivered")
    assert heard["at"] == {"queued": None, "sent": wrote_at, "delivered": wrote_at}


def test_each_messenger_is_called_as_its_documentation_has_it(agent, lead, way, messengers):
    for kind in KINDS:
        channel = way(kind)
        say(agent, lead, channel=channel.slug)
    carry()

    posts = [call for call in messengers.calls if call["method"] == "POST"]
    assert {post["path"] for post in posts} == {
        "/message/sendText/loja%201",
        "/api/sendText",
        "/instances/inst/token/zapi-key/send-text",
        "/555/messages",
        "/api/v1/accounts/3/conversations/41/messages",
    }
    by_path = {post["path"]: post for post in posts}
    evolution = by_path["/message/sendText/loja%201"]
    assert evolution["headers"]["apikey"] == "evo-key"
    assert evolution["body"] == {"number": "5581999990000", "text": "Oi Maria, tudo bem?"}
    waha = by_path["/api/sendText"]
    assert waha["headers"]["x-api-key"] == "waha-key"
    assert waha["body"] == {"session": "default", "chatId": "5581999990000@c.us", "text": "Oi Maria, tudo bem?"}
    zapi = by_path["/instances/inst/token/zapi-key/send-text"]
    assert zapi["headers"]["client-token"] == "ct"
    assert zapi["body"] == {"phone": "5581999990000", "message": "Oi Maria, tudo bem?"}
    cloud = by_path["/555/messages"]
    assert cloud["headers"]["authorization"] == "Bearer cloud-token"
    assert (cloud["body"]["to"], cloud["body"]["text"]["body"]) == ("5581999990000", "Oi Maria, tudo bem?")
    chatwoot = by_path["/api/v1/accounts/3/conversations/41/messages"]
    assert chatwoot["headers"]["api_access_token"] == "cw-token"
    assert chatwoot["body"] == {"content": "Oi Maria, tudo bem?", "message_type": "outgoing", "private": False}


def test_no_channel_is_422_and_a_person_who_has_the_lead_409(agent, lead, way):
    refused = say(agent, lead)
    assert (refused.status_code, refused["content-type"]) == (422, "application/problem+json")
    way("evolution")
    assert say(agent, lead, channel="other").status_code == 422
    assert say(agent, lead, "   ").status_code == 400
    assert say(agent, lead, colour="red").status_code == 400

    now = timezone.now()
    handoff.pause(lead, source=Lead.HandoffSource.CHAT, by=Lead.Actor.STAFF, reason="Ana took over", now=now)
    refused = say(agent, lead)

    assert refused.status_code == 409
    assert (refused.json()["code"], refused.json()["reason"]) == ("may_not_reply", "Ana took over")
    assert not Outgoing.objects.exists()


@pytest.mark.parametrize("body", [[], ["a"], "a", 5, None, {}], ids=str)
@pytest.mark.parametrize("call", ["messages", "handoff"])
def test_a_body_that_is_no_object_is_refused_as_every_other_bad_one(agent, lead, way, call, body):
    way("evolution")
    answer = agent.post(f"leads/{lead.pk}/{call}/", body)
    if call == "handoff" and not body and body != []:
        assert answer.status_code == 200
    else:
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


def test_no_way_of_another_pipeline_can_be_named(agent, lead, way, messengers, pipeline):
    way("evolution")
    way("waha")
    other = Pipeline.objects.create(slug="other", name="Other", channel="waha")
    Lead.objects.filter(pk=lead.pk).update(pipeline=other, stage=None)
    answer = agent.post(f"leads/{lead.pk}/messages/", {"text": "oi", "channel": "evolution"})
    assert (answer.status_code, answer.json()["code"]) == (422, "no_channel")
    # The one its own pipeline names is its own, whosesoever it is besides.
    assert agent.post(f"leads/{lead.pk}/messages/", {"text": "oi", "channel": "waha"}).status_code == 202


def test_who_opted_out_is_spoken_to_no_more(agent, lead, way, messengers):
    way("evolution")
    say(agent, lead)
    optout.opt_out(lead, by=Lead.Actor.LEAD, reason="pare", now=timezone.now())

    carry()

    assert messengers.spoken == []
    assert Message.objects.get(direction="outbound").state == "refused"
    assert say(agent, lead).json()["code"] == "may_not_reply"


def test_the_same_key_says_it_once(agent, lead, way, messengers):
    way("waha")
    key = {"Idempotency-Key": "k1"}
    first = agent.post(f"leads/{lead.pk}/messages/", {"text": "um"}, **key)
    again = agent.post(f"leads/{lead.pk}/messages/", {"text": "um"}, **key)
    other = agent.post(f"leads/{lead.pk}/messages/", {"text": "dois"}, **key)

    carry()

    assert (first.json(), again.status_code, other.status_code) == (again.json(), 202, 409)
    assert messengers.spoken == ["um"]


def test_three_parts_leave_in_order_and_the_third_not_after_a_person_wrote(agent, lead, way, messengers, monkeypatch):
    way("evolution")
    monkeypatch.setattr("bridge.channels.evolution.LIMIT", 10)
    say_part = sending_messages.say

    def and_then(task, clock):
        came = say_part(task, clock)
        if task.part.position == 2:
            now = timezone.now()
            handoff.pause(lead, source=Lead.HandoffSource.CHAT, by=Lead.Actor.STAFF, reason="Ana wrote", now=now)
        return came

    monkeypatch.setattr(sending_messages, "say", and_then)
    answer = say(agent, lead, "primeira.\n\nsegunda.\n\nterceira.")
    carry()

    assert messengers.spoken == ["primeira.", "segunda."]
    now = state_of(answer, agent)
    assert (now["state"], now["reason"]) == ("refused", "Ana wrote")
    assert [part["state"] for part in now["parts"]] == ["sent", "sent", "refused"]
    # Handed back, it goes on with what is said next; what was meant for before is not said into another conversation.
    monkeypatch.setattr(sending_messages, "say", say_part)
    lead.refresh_from_db()
    handoff.resume(lead, by=Lead.Actor.STAFF, reason="given back", now=timezone.now())
    say(agent, lead, "Voltei")
    carry()
    assert messengers.spoken == ["primeira.", "segunda.", "Voltei"]


def test_a_lost_answer_is_not_confirmed_and_not_said_again(agent, lead, way, messengers, settings):
    settings.AGENT_WEBHOOK_URL = "http://127.0.0.1:9/agent"
    way("evolution")
    way("waha")
    messengers.lose()

    answer = say(agent, lead)
    carry()
    carry(seconds=60)

    assert messengers.spoken == ["Oi Maria, tudo bem?"]
    now = state_of(answer, agent)
    assert now["state"] == "not_delivered"
    assert now["reason"].startswith("unconfirmed")
    event_data = AgentEvent.objects.get(type="message.not_delivered").data
    assert (event_data["message"]["id"], event_data["reason"]) == (now["id"], now["reason"])


def test_what_one_channel_cannot_the_next_one_says(agent, lead, way, messengers):
    way("evolution")
    way("waha")
    messengers.fail(400, {"response": {"message": ["instance is closed"]}})

    answer = say(agent, lead)
    carry()

    now = state_of(answer, agent)
    assert (now["channel"], now["state"]) == ("waha", "sent")
    assert messengers.spoken == ["Oi Maria, tudo bem?"]
    first = Channel.objects.get(slug="evolution")
    assert first.failed_at and "instance is closed" in first.failure
    assert Outgoing.objects.get().tried[0]["channel"] == "evolution"


def test_a_number_without_whatsapp_ends_as_not_delivered(agent, lead, way, messengers):
    way("evolution")
    messengers.fail(400, {"response": {"message": [{"exists": False, "number": "5581999990000"}]}})

    answer = say(agent, lead)
    carry()

    now = state_of(answer, agent)
    assert (now["state"], now["reason"]) == ("not_delivered", "no such number: it has no WhatsApp")
    assert lead.events.filter(kind="message").get().reason == now["reason"]


def test_trouble_that_passes_is_waited_for(agent, lead, way, messengers):
    way("zapi")
    messengers.fail(503)

    answer = say(agent, lead)
    carry()
    waiting = state_of(answer, agent)
    assert (waiting["state"], waiting["reason"]) == ("queued", "Z-API answered 503: no")
    carry(seconds=5)

    assert state_of(answer, agent)["state"] == "sent"
    assert messengers.spoken == ["Oi Maria, tudo bem?"]


def test_a_status_tells_that_it_arrived_and_the_agent_hears(agent, lead, way, messengers, settings):
    settings.AGENT_WEBHOOK_URL = "http://127.0.0.1:9/agent"
    way("whatsapp_cloud")
    answer = say(agent, lead)
    carry()

    same_message.note_news([message_parts.News(("wamid.1",), "delivered", timezone.now())])
    carry()

    now = state_of(answer, agent)
    assert now["state"] == "delivered" and now["at"]["delivered"]
    event_data = AgentEvent.objects.get(type="message.delivered").data
    assert event_data["message"]["state"] == "delivered" and event_data["lead"]["pipeline"] == "solar"
    # Told again, late or twice, it tells nothing new.
    same_message.note_news([message_parts.News(("wamid.1",), "sent", timezone.now())])
    same_message.note_news([message_parts.News(("wamid.1",), "delivered", timezone.now())])
    carry()
    assert AgentEvent.objects.filter(type__startswith="message.").count() == 1


def test_a_status_that_it_failed_lets_the_next_channel_try(agent, lead, way, messengers):
    way("whatsapp_cloud")
    way("evolution")
    answer = say(agent, lead)
    carry()

    same_message.note_news([message_parts.News(("wamid.1",), "not_delivered", timezone.now(), reason="131026")])
    carry()

    now = state_of(answer, agent)
    assert (now["state"], now["channel"]) == ("sent", "evolution")
    assert len(messengers.spoken) == 2


def test_what_the_next_channel_has_not_said_yet_is_not_sent(agent, lead, way, messengers):
    way("whatsapp_cloud")
    way("evolution")
    answer = say(agent, lead)
    carry()
    assert state_of(answer, agent)["state"] == "sent"

    same_message.note_news([same_message.News(("wamid.1",), "not_delivered", timezone.now(), reason="131026")])
    messengers.fail(503)
    carry()

    between = state_of(answer, agent)
    assert (between["state"], between["channel"], between["at"]["sent"]) == ("queued", "evolution", None)
    assert between["parts"][0]["state"] == "queued"
    carry(seconds=5)
    after = state_of(answer, agent)
    assert (after["state"], after["channel"]) == ("sent", "evolution")


def test_outside_24_hours_only_a_template_leaves(agent, lead, way, messengers):
    way("whatsapp_cloud")
    Lead.objects.filter(pk=lead.pk).update(last_inbound_at=timezone.now() - timedelta(hours=25))

    plain = say(agent, lead)
    template = say(agent, lead, template_id="oi/en_US")
    carry()

    assert state_of(plain, agent)["state"] == "not_delivered"
    assert "24 hours" in state_of(plain, agent)["reason"]
    assert state_of(template, agent)["state"] == "sent"
    sent = messengers.calls[-1]["body"]["template"]
    assert sent == {"name": "oi", "language": {"code": "en_US"}}


def test_within_24_hours_the_words_leave_though_a_template_is_at_hand(agent, lead, way, messengers):
    way("whatsapp_cloud")
    say(agent, lead, "Oi Maria", template_id="oi")
    carry()

    assert messengers.spoken == ["Oi Maria"]


def test_with_typing_pauses_the_next_part_waits_as_long_as_it_takes_to_type(
    agent, lead, way, messengers, pipeline, monkeypatch
):
    way("waha")
    monkeypatch.setattr("bridge.channels.waha.LIMIT", 60)
    pipeline.typing_pauses = True
    pipeline.save()
    # Forty signs and more: between two and three seconds.
    say(agent, lead, "Bom dia, Maria, aqui é da Solar Prime mesmo.\n\nPodemos falar da sua conta de energia hoje?")
    carry()
    assert len(messengers.spoken) == 1
    carry(seconds=1.5)
    assert len(messengers.spoken) == 1
    carry(seconds=4)
    assert len(messengers.spoken) == 2


def test_the_log_sends_nothing_and_nothing_counts_as_sent(agent, lead, way):
    way("log")
    answer = say(agent, lead)
    carry()

    now = state_of(answer, agent)
    assert now["state"] == "not_delivered" and now["at"]["sent"] is None
    lead.refresh_from_db()
    assert lead.last_outbound_at is None


def test_a_process_that_died_at_a_part_has_perhaps_said_it(agent, lead, way, messengers):
    way("evolution")
    answer = say(agent, lead)
    # Claimed and stored as leaving; then the process is killed.
    [task] = claiming_messages.claim("test:9", timezone.now(), limit=8)
    assert task.part.state == MessagePart.State.SENDING
    claiming_messages.free(["test:9"])

    carry()

    assert messengers.spoken == []
    now = state_of(answer, agent)
    assert now["state"] == "not_delivered" and now["reason"].startswith("unconfirmed")


def test_messages_of_a_lead_leave_one_after_the_other(agent, lead, way, messengers):
    way("waha")
    for text in ("um", "dois", "três"):
        say(agent, lead, text)
    messengers.fail(500)

    carry()
    assert messengers.spoken == []
    carry(seconds=5)

    assert messengers.spoken == ["um", "dois", "três"]


def test_of_an_erased_person_nothing_is_said_and_nothing_kept(agent, lead, way, messengers):
    way("waha")
    answer = say(agent, lead)
    agent.delete(f"leads/{lead.pk}/personal-data/")

    carry()

    assert messengers.spoken == []
    assert not MessagePart.objects.exclude(text="").exists()
    now = state_of(answer, agent)
    assert (now["text"], now["state"]) == ("", "refused")
    assert say(agent, lead).status_code == 409


@pytest.mark.parametrize("names_it", [True, False])
def test_an_agent_that_reports_what_it_had_said_makes_no_second_message(agent, lead, way, messengers, names_it):
    way("waha")
    answer = say(agent, lead, "Oi Maria")
    carry()
    message = {"direction": "outbound", "text": "Oi Maria"} | ({"id": answer.json()["id"]} if names_it else {})

    assert agent.says(lead.phone, message=message).status_code == 200

    assert Message.objects.filter(direction="outbound").count() == 1
    assert lead.events.filter(kind="interaction", data__message__direction="outbound").count() == 1


def test_a_way_in_that_shows_what_we_sent_takes_it_for_ours(agent, lead, way, messengers, pipeline):
    """WAHA tells of our own send as written by hand: nobody has taken over, and nothing is counted twice."""
    way("waha")
    answer = say(agent, lead, "Oi Maria")
    carry()
    message = Said(Direction.STAFF, id="true_5581999990000@c.us_WAHA1", text="Oi Maria", sent_at=timezone.now())
    recorded = record_interaction(pipeline, lead, message)

    assert not recorded.in_handoff
    assert Message.objects.exclude(direction="inbound").count() == 1
    # Before its answer with the id has come, the words tell.
    say(agent, lead, "Tudo bem?")
    [task] = claiming_messages.claim("test:9", timezone.now(), limit=8)
    sending_messages.say(task, timezone.now)
    other = Said(Direction.STAFF, id="false_5581999990000@c.us_OTHER", text="Tudo  bem?", sent_at=timezone.now())
    assert not record_interaction(pipeline, lead, other).in_handoff
    # Its process dies before it could note the answer: the echo has shown that it left.
    claiming_messages.free(["test:9"])
    carry()
    assert {message.state for message in Message.objects.filter(queued_at__isnull=False)} == {"sent"}
    assert len(messengers.spoken) == 2
    assert answer.status_code == 202


def record_interaction(pipeline, lead, message):
    from leads.interaction_values import Interaction
    from leads.interactions import record
    from leads.phone import parse

    pipeline.refresh_from_db()
    interaction = Interaction(
        phone=parse(lead.phone, region="BR"), occurred_at=timezone.now(), message=message, via="zap"
    )
    return record(interaction, pipeline=pipeline, now=timezone.now()).lead


def test_settings_are_checked_and_secrets_are_not_stored_in_the_clear(pipeline, way):
    from django.db import connection

    from bridge.errors import ConfigurationError

    channel = way("evolution")
    with connection.cursor() as cursor:
        cursor.execute("SELECT settings FROM bridge_channel")
        assert "evo-key" not in cursor.fetchone()[0]
    assert managing_channels.settings_of(channel)["api_key"] == "evo-key"
    for kind, settings in (
        ("evolution", {}),
        ("kommo_salesbot", {}),
        ("pigeon", {}),
        ("waha", {"url": "ftp://x", "instance": "a"}),
        ("waha", {"url": "https://a:b@c.example", "instance": "a"}),
        ("log", {"url": "https://a.example"}),
    ):
        with pytest.raises(ConfigurationError):
            managing_channels.establish(kind, "other", settings=settings)
    for url in ("http://127.0.0.1:1", "https://localhost", "https://10.0.0.8", "https://[::1]/x", "https://0x7f.1"):
        with pytest.raises(ConfigurationError):
            managing_channels.establish("waha", "other", settings={"url": url, "instance": "a"}, by_staff=True)
