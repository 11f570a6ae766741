"""Follow-ups by the pipeline's own channel: delivered or not, and nobody is given up on by what did not arrive."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.channels import managing_channels, queueing_messages, sending_messages
from followups.models import Attempt, Enrollment, Sequence
from leads import message_parts, same_message
from leads.models import Event, Lead, Message
from tests.bridge.channels.conftest import messengers

__all__ = ["messengers"]
DAY = timedelta(days=1)


@pytest.fixture
def way(conversation, messengers):
    def make(kind, slug=""):
        settings = {"url": messengers.url, "instance": "loja", "api_key": "k"}
        return managing_channels.establish(kind, slug or kind, settings=settings if kind != "log" else {})

    return make


def carry(conversation):
    sending_messages.carry(
        holder="test:1",
        until=conversation.now + timedelta(seconds=20),
        pool=sending_messages.Inline(),
        clock=lambda: conversation.now,
        stay=timedelta(0),
    )


def run(conversation, span):
    """Let time pass; what falls due is sent, and what was handed over carried."""
    end = conversation.now + span
    while due := Enrollment.objects.filter(state="waiting", next_at__lte=end).order_by("next_at").first():
        conversation.now = max(conversation.now, due.next_at)
        conversation.tick()
        carry(conversation)
    conversation.now = end


def due_followups(agent):
    return [body["data"] for body in agent.bodies() if body["type"] == "followup.due"]


def test_a_follow_up_leaves_by_the_pipelines_channel(conversation, agent, way, messengers):
    way("evolution")
    lead = conversation.agent_writes(facts={"name": "Maria Souza"})
    conversation.wait(minutes=31)
    conversation.tick()
    assert Attempt.objects.get().state == "handed_over"

    carry(conversation)

    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.text) == ("sent", messengers.spoken[0])
    assert due_followups(agent) == []
    event = Event.objects.get(kind="followup", lead=lead)
    assert (event.data["text"], event.data["outcome"]) == (attempt.text, "sent")
    message = Message.objects.get(lead=lead, text=attempt.text)
    assert (message.state, message.channel) == ("sent", "evolution")
    enrollment = Enrollment.objects.get()
    assert (enrollment.step, enrollment.complete) == (2, True)


def test_handed_over_twice_it_is_said_once(conversation, way, messengers):
    way("waha")
    conversation.agent_writes()
    conversation.wait(minutes=31)
    conversation.tick()
    # Its process died before it could note that it had handed it over.
    Attempt.objects.update(state="sending", retry_at=conversation.now, holder="")
    conversation.tick()
    carry(conversation)

    assert len(messengers.spoken) == 1
    assert Attempt.objects.get().state == "sent"


def test_the_whole_sequence_by_a_channel_ends_in_giving_up(conversation, way, messengers):
    way("waha")
    lead = conversation.agent_writes()
    run(conversation, 10 * DAY)

    assert len(messengers.spoken) == 3
    assert Lead.objects.select_related("stage").get(pk=lead.pk).stage.key == "not_interested"


def test_what_was_not_delivered_gives_nobody_up(conversation, way, messengers):
    way("evolution")
    messengers.fail(400, {"message": "instance is closed"})
    lead = conversation.agent_writes()
    run(conversation, 10 * DAY)

    assert list(Attempt.objects.order_by("step").values_list("state", flat=True)) == ["not_delivered", "sent", "sent"]
    assert "instance is closed" in Attempt.objects.get(step=1).reason
    assert Lead.objects.select_related("stage").get(pk=lead.pk).stage.key == "new"
    assert lead.events.filter(kind="message").exists()


def test_what_one_channel_cannot_the_next_one_says(conversation, way, messengers):
    way("evolution")
    way("waha")
    messengers.fail(400, {"message": "instance is closed"})
    conversation.agent_writes()
    conversation.wait(minutes=31)
    conversation.tick()
    carry(conversation)

    assert Attempt.objects.get().state == "sent"
    assert Message.objects.get(queued_at__isnull=False).channel == "waha"


def test_a_messenger_that_says_later_that_it_did_not_arrive(conversation, way, messengers):
    way("waha")
    lead = conversation.agent_writes()
    conversation.wait(minutes=31)
    conversation.tick()
    carry(conversation)

    same_message.note_news([message_parts.News(("WAHA1",), "not_delivered", conversation.now, reason="blocked")])
    carry(conversation)

    assert (Attempt.objects.get().state, Attempt.objects.get().reason) == ("not_delivered", "blocked")
    assert Enrollment.objects.get().complete is False
    run(conversation, 10 * DAY)
    assert Lead.objects.select_related("stage").get(pk=lead.pk).stage.key == "new"


@pytest.mark.parametrize("what", ["answers", "person", "opts out"])
def test_what_ended_while_it_waited_is_not_said(conversation, way, messengers, what):
    way("waha")
    conversation.agent_writes()
    conversation.wait(minutes=31)
    conversation.tick()
    if what == "answers":
        conversation.lead_writes("Quero sim")
    elif what == "person":
        conversation.person_writes()
    else:
        conversation.lead_writes("pare")

    carry(conversation)

    assert messengers.spoken == []
    assert Attempt.objects.get().state == "dropped"


def test_the_log_counts_nothing_as_sent(conversation, way):
    way("log")
    lead = conversation.agent_writes()
    run(conversation, 10 * DAY)

    assert set(Attempt.objects.values_list("state", flat=True)) == {"not_sent"}
    assert Lead.objects.select_related("stage").get(pk=lead.pk).stage.key == "new"


@pytest.fixture
def instruction(pipeline):
    step = Sequence.objects.get(slug="reengagement").steps.get(position=1)
    step.text, step.instruction = "", "ask {{ first_name }} about the roof"
    step.save()


def test_an_instruction_goes_to_the_agent_and_the_words_it_said_stay(conversation, agent, instruction):
    agent.answers = [(200, {"text": "Maria, e o telhado?"})]
    lead = conversation.agent_writes(facts={"name": "Maria Souza"})
    conversation.wait(minutes=31)
    conversation.tick()

    [asked] = due_followups(agent)
    assert (asked["instruction"], asked["text"]) == ("ask Maria about the roof", "")
    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.text) == ("sent", "Maria, e o telhado?")
    assert Event.objects.get(kind="followup", lead=lead).data["text"] == "Maria, e o telhado?"


def test_with_a_channel_the_agents_words_leave_by_it(conversation, agent, instruction, way, messengers):
    way("waha")
    agent.answers = [(200, {"text": "Maria, e o telhado?"})]
    lead = conversation.agent_writes(facts={"name": "Maria Souza"})
    conversation.wait(minutes=31)
    conversation.tick()
    carry(conversation)

    assert messengers.spoken == ["Maria, e o telhado?"]
    assert Attempt.objects.get().state == "sent"
    assert Event.objects.get(kind="followup", lead=lead).data["text"] == "Maria, e o telhado?"


def test_a_declined_instruction_is_no_contact(conversation, agent, instruction, way, messengers):
    way("waha")
    agent.answers = [(200, {"skip": True})]
    conversation.agent_writes()
    conversation.wait(minutes=31)
    conversation.tick()

    assert messengers.spoken == []
    assert Attempt.objects.get().state == "declined"


def test_the_agent_as_a_channel_gets_the_usual_event(conversation, agent, way, messengers):
    managing_channels.establish("agent", "agente")
    conversation.agent_writes()
    conversation.wait(minutes=31)
    conversation.tick()
    carry(conversation)

    [asked] = due_followups(agent)
    attempt = Attempt.objects.get()
    assert (asked["attempt_id"], asked["step"], asked["sequence"]) == (str(attempt.pk), 1, "reengagement")
    assert asked["text"] == attempt.text
    assert attempt.state == "sent"
    assert agent.ids() == [str(attempt.pk)]


def test_what_the_agent_is_to_say_itself_is_proved_by_its_answer(conversation, agent, pipeline):
    managing_channels.establish("agent", "agente")
    lead = conversation.lead_writes()
    queueing_messages.take(lead, "Oi Maria", pipeline=pipeline, card=None, now=conversation.now)
    agent.answers = [(500, {}), (200, {"text": "Oi, Maria!"})]
    carry(conversation)
    conversation.wait(seconds=5)
    carry(conversation)

    messages = [body for body in agent.bodies() if body["type"] == "message.due"]
    assert [each_message["data"]["text"] for each_message in messages] == ["Oi Maria"] * 2
    # One id for both tries: the agent acts once.
    due = [name for name, body in zip(agent.ids(), agent.bodies(), strict=True) if body["type"] == "message.due"]
    assert len(set(due)) == 1
    message = Message.objects.get(queued_at__isnull=False)
    assert (message.state, message.text) == ("delivered", "Oi, Maria!")
