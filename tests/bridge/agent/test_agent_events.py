"""What the agent is told of handoffs and moves (contract §5), over real HTTP."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from bridge import process_identity, worker
from bridge.agent import agent_events
from bridge.models import AgentEvent
from leads import erasure, handoff
from leads.models import Lead
from tests.conftest import record
from tests.followups.conftest import agent, receiver  # noqa: F401  (fixtures)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def lead(agent, pipeline):  # noqa: F811
    return record(pipeline, name="Maria").lead


def deliver(**later):
    now = timezone.now() + timedelta(**later)
    clock = iter([now] * 1000)
    agent_events.deliver_due(until=now + timedelta(seconds=1), clock=lambda: next(clock))


def tell_and_die(lead, monkeypatch, holder):
    """Let a process take what is due and end before it has noted what came of it."""
    pause(lead)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(process_identity, "process", lambda: holder)
        patched.setattr(agent_events, "_ask", Mock(side_effect=KeyboardInterrupt))
        deliver()


def pause(lead):
    handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="asked for Ana", now=timezone.now())


def test_the_agent_is_told_of_pause_and_resume_in_signed_calls(agent, lead):  # noqa: F811
    pause(lead)
    handoff.resume(lead, by=Lead.Actor.STAFF, reason="done", now=timezone.now())
    deliver()
    assert [body["type"] for body in agent.bodies()] == ["agent.paused", "agent.resumed"]
    assert agent.bodies()[0]["data"]["reason"] == "asked for Ana"
    assert agent.bodies()[0]["data"]["lead"]["id"] == str(lead.pk)
    for headers, body in agent.requests:
        Webhook(SECRET).verify(body, headers)


def test_the_agent_is_told_of_a_move_with_its_reason(agent, lead, pipeline):  # noqa: F811
    record(pipeline, qualification_score=82, context={"conversation_stage": "qualificação"})
    deliver()
    [body] = agent.bodies()
    assert body["type"] == "lead.stage_changed"
    assert (body["data"]["previous"], body["data"]["stage"]) == ("new", "qualified")
    assert body["data"]["reason"] == "qualification_score 82 >= 70"


def test_an_agent_that_is_away_is_told_later_under_the_same_id(agent, lead):  # noqa: F811
    agent.answers = [(500, {}), (200, {})]
    pause(lead)
    deliver()
    deliver(minutes=1)
    assert len(agent.ids()) == 2
    assert len(set(agent.ids())) == 1
    event = AgentEvent.objects.get()
    assert event.state == "delivered"
    assert [(attempt["status"], attempt["error"]) for attempt in event.tries] == [
        (500, "the agent answered 500"),
        (200, ""),
    ]


def test_of_many_tries_the_newest_are_kept(agent, lead, monkeypatch):  # noqa: F811
    monkeypatch.setattr(agent_events, "TRIES_KEPT", 2)
    agent.answers = [(500, {}), (502, {}), (503, {})]
    pause(lead)
    for minutes in (0, 1, 2):
        deliver(minutes=minutes)
    event = AgentEvent.objects.get()
    assert (event.attempts, [attempt["status"] for attempt in event.tries]) == (3, [502, 503])


def test_old_news_is_given_up_and_can_be_replayed(agent, lead):  # noqa: F811
    agent.answers = [(500, {})]
    pause(lead)
    deliver(days=4)
    event = AgentEvent.objects.get()
    assert (event.state, event.status_code) == ("dead", 500)
    agent.answers = [(200, {})]
    agent_events.replay(AgentEvent.objects.all(), now=timezone.now())
    deliver()
    assert AgentEvent.objects.get().state == "delivered"


def test_without_an_address_nothing_is_stored(pipeline, settings):
    settings.AGENT_WEBHOOK_URL = ""
    pause(record(pipeline).lead)
    assert not AgentEvent.objects.exists()


def test_a_pause_the_agent_did_not_take_is_told_before_the_resume_that_followed(agent, lead):  # noqa: F811
    agent.answers = [(500, {}), (200, {})]
    pause(lead)
    deliver()
    handoff.resume(lead, by=Lead.Actor.STAFF, reason="done", now=timezone.now())
    deliver(seconds=1)
    assert [body["type"] for body in agent.bodies()] == ["agent.paused"]
    assert not agent_events.has_work(timezone.now() + timedelta(seconds=1))
    deliver(minutes=1)
    assert [body["type"] for body in agent.bodies()] == ["agent.paused", "agent.paused", "agent.resumed"]


def test_news_of_another_subject_does_not_wait_for_what_the_agent_refuses(agent, lead, pipeline):  # noqa: F811
    agent.answers = [(400, {}), (200, {})]
    record(pipeline, qualification_score=82, context={"conversation_stage": "qualificação"})
    deliver()
    pause(lead)
    deliver(seconds=1)
    assert [body["type"] for body in agent.bodies()] == ["lead.stage_changed", "agent.paused"]


def test_an_agent_that_hangs_keeps_nobody_longer_than_the_time_given(agent, pipeline):  # noqa: F811
    agent.answers = [(500, {})]
    for number in range(20):
        pause(record(pipeline, phone=f"+55819999900{number:02}").lead)
    looks = iter(range(10_000))
    start = timezone.now()
    more = agent_events.deliver_due(
        until=start + timedelta(seconds=15), clock=lambda: start + timedelta(seconds=next(looks))
    )
    assert more
    assert 0 < len(agent.requests) <= 2 * agent_events.AT_ONCE


def test_of_a_forgotten_person_nothing_more_is_told(agent, lead):  # noqa: F811
    pause(lead)
    deliver()
    handoff.resume(lead, by=Lead.Actor.STAFF, reason="done", now=timezone.now())
    erasure.erase(lead, by=Lead.Actor.STAFF, now=timezone.now())
    count = len(agent.requests)
    assert agent_events.replay(AgentEvent.objects.all(), now=timezone.now()) == 0
    deliver()
    assert len(agent.requests) == count


def test_what_a_dead_process_was_telling_is_told_at_once_by_the_next(agent, lead, monkeypatch):  # noqa: F811
    tell_and_die(lead, monkeypatch, f"{process_identity.machine()}:99999999")
    deliver(seconds=1)
    assert agent.requests == []

    worker.free_dead_leases(timezone.now())
    deliver(seconds=1)

    assert [body["type"] for body in agent.bodies()] == ["agent.paused"]
    assert (AgentEvent.objects.get().state, AgentEvent.objects.get().holder) == (AgentEvent.State.DELIVERED, "")


@pytest.mark.parametrize("holder", ["alive", "elsewhere/1:99999999"])
def test_what_may_still_be_told_by_another_process_is_left_to_it(agent, lead, monkeypatch, holder):  # noqa: F811
    tell_and_die(lead, monkeypatch, process_identity.process() if holder == "alive" else holder)

    worker.free_dead_leases(timezone.now())
    deliver(seconds=1)
    assert agent.requests == []

    deliver(seconds=61)
    assert len(agent.requests) == 1
