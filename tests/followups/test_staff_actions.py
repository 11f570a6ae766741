"""What staff do by hand with what waits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from followups import claiming, staff_actions
from followups.models import Attempt
from leads.models import Event
from tests.saying import saying


def test_send_now_does_not_wait_for_the_hours(conversation, agent, enrollment_of):
    conversation.wait(hours=9, minutes=45)
    lead = conversation.agent_writes()
    conversation.wait(hours=4)

    assert staff_actions.send_now(enrollment_of(lead), who="ada", now=conversation.now)
    conversation.tick()

    assert len(agent.requests) == 1
    assert saying(Event.objects.filter(lead=lead, actor="staff"), "sent now by ada", str.__contains__)


def test_what_is_held_stays_until_it_is_let_go_on(conversation, agent, enrollment_of):
    lead = conversation.agent_writes()
    assert staff_actions.hold(enrollment_of(lead), who="ada", now=conversation.now)
    conversation.run(timedelta(days=1))
    assert agent.requests == []

    assert staff_actions.let_go_on(enrollment_of(lead), who="ada", now=conversation.now)
    conversation.run(timedelta(minutes=1))
    assert len(agent.requests) == 1


def test_a_skipped_step_is_left_out_and_the_next_one_comes(conversation, agent, enrollment_of):
    lead = conversation.agent_writes()
    assert staff_actions.skip(enrollment_of(lead), who="ada", now=conversation.now)
    conversation.run(timedelta(hours=26))
    assert [body["data"]["step"] for body in agent.bodies()] == [2]


def test_what_is_cancelled_stays_silent_and_cannot_be_cancelled_again(conversation, agent, enrollment_of):
    lead = conversation.agent_writes()
    enrollment = enrollment_of(lead)
    assert staff_actions.cancel(enrollment, who="ada", now=conversation.now)
    assert not staff_actions.cancel(enrollment, who="ada", now=conversation.now)
    assert not staff_actions.send_now(enrollment, who="ada", now=conversation.now)
    conversation.run(timedelta(days=5))
    assert agent.requests == []


@pytest.fixture
def put_off(conversation, agent, enrollment_of):
    """A first step the agent did not take: its attempt waits for another try."""
    agent.answers = [(503, {}), (200, {})]
    lead = conversation.agent_writes()
    conversation.wait(minutes=30)
    conversation.tick()
    return enrollment_of(lead)


def test_a_message_the_agent_did_not_take_can_be_hurried(conversation, agent, put_off):
    assert staff_actions.send_now(put_off, who="ada", now=conversation.now)
    conversation.tick()
    assert len(set(agent.ids())) == 1
    assert len(agent.ids()) == 2


def test_a_message_the_agent_did_not_take_can_be_held_and_let_go(conversation, agent, put_off):
    assert staff_actions.hold(put_off, who="ada", now=conversation.now)
    conversation.wait(hours=20)
    conversation.tick()
    assert len(agent.requests) == 1
    conversation.wait(hours=3)
    assert staff_actions.let_go_on(put_off, who="ada", now=conversation.now)
    conversation.tick()
    assert len(agent.requests) == 2


def test_a_message_the_agent_did_not_take_can_be_left_out(conversation, agent, put_off):
    assert staff_actions.skip(put_off, who="ada", now=conversation.now)
    conversation.run(timedelta(hours=26))
    assert [body["data"]["step"] for body in agent.bodies()] == [1, 2]
    assert Attempt.objects.get(step=1).state == "skipped"


def test_what_a_process_is_sending_this_very_moment_cannot_be_left_out(conversation, enrollment_of):
    lead = conversation.agent_writes()
    conversation.wait(minutes=30)
    claiming.claim("host:1", conversation.now)
    assert not staff_actions.skip(enrollment_of(lead), who="ada", now=conversation.now)
    assert not staff_actions.send_now(enrollment_of(lead), who="ada", now=conversation.now)


def test_whom_staff_let_off_is_not_taken_in_again_before_they_write(conversation, enrollment_of):
    lead = conversation.agent_writes()
    staff_actions.cancel(enrollment_of(lead), who="ada", now=conversation.now)
    conversation.wait(minutes=5)
    conversation.agent_writes()
    assert enrollment_of(lead).state == "cancelled"
    conversation.lead_writes("Oi")
    conversation.wait(minutes=5)
    conversation.agent_writes()
    assert enrollment_of(lead).state == "waiting"
