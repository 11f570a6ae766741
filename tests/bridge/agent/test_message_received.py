"""What leads wrote is told to the agent once, in order, a pause together; and not while a person has them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from bridge.agent import agent_events, message_received
from bridge.models import AgentEvent, WebhookEvent
from leads import emergency_stop, handoff, optout
from leads.addresses import parse
from leads.interaction_values import Direction, Interaction, Message
from leads.interactions import record
from leads.models import Lead
from leads.models import Message as Row
from tests.conftest import MARIA
from tests.followups.conftest import agent, receiver  # noqa: F401  (fixtures)

pytestmark = pytest.mark.usefixtures("agent")


@pytest.fixture
def clock():
    with time_machine.travel("2026-11-24T12:00:00Z", tick=False) as traveller:
        yield traveller


def hear(pipeline, text, *, id="", direction=Direction.INBOUND, via="whats", at=None, address=MARIA, **more):
    now = timezone.now()
    message = Message(direction, id=id or f"{direction}-{text}", sent_at=at or now, text=text, **more)
    kind = "phone" if address.startswith("+") else "instagram"
    interaction = Interaction(
        phone=None,
        addresses=(parse(kind, address, region="BR"),),
        occurred_at=at or now,
        message=message,
        via=via,
        heard_at=now if via else None,
    )
    return record(interaction, pipeline=pipeline, now=now).lead


def deliver(agent):  # noqa: F811
    """Let the worker tell what is due at this moment; return what was told of messages."""
    before = len(agent.bodies())
    now = timezone.now()
    message_received.gather(now)
    while rows := agent_events._claim(now):
        for row in rows:
            agent_events._settle(row, agent_events._ask(row, now), now, now)
    return [body for body in agent.bodies()[before:] if body["type"] == "message.received"]


def texts(events):
    return [[message["text"] for message in event["data"]["messages"]] for event in events]


def pause(lead):
    handoff.pause(lead, source=Lead.HandoffSource.ADMIN, by=Lead.Actor.STAFF, reason="a person", now=timezone.now())


def resume(lead):
    handoff.resume(lead, by=Lead.Actor.STAFF, reason="done", now=timezone.now())


def test_bubbles_of_one_pause_are_one_call_in_the_order_in_which_they_were_written(pipeline, agent, clock):  # noqa: F811
    for text in ("oi", "tudo bem?", "quero", "energia", "solar"):
        hear(pipeline, text)
        assert deliver(agent) == []
        clock.shift(2)
    clock.shift(4)

    [event] = deliver(agent)

    assert texts([event]) == [["oi", "tudo bem?", "quero", "energia", "solar"]]
    assert event["data"]["channel"] == "whats"
    assert event["data"]["may_reply"] is True
    assert event["data"]["lead"]["pipeline"] == "solar"
    assert event["data"]["messages"][0] == {
        "id": "inbound-oi",
        "text": "oi",
        "at": "2026-11-24T12:00:00+00:00",
        "kind": "text",
        "attachment": None,
    }
    clock.shift(60)
    assert deliver(agent) == []


def test_without_a_pause_each_is_told_at_once(pipeline, agent, clock, settings):  # noqa: F811
    settings.AGENT_DEBOUNCE_SECONDS = 0
    hear(pipeline, "oi")
    assert texts(deliver(agent)) == [["oi"]]
    hear(pipeline, "alô")
    assert texts(deliver(agent)) == [["alô"]]


def test_whoever_never_pauses_is_told_of_all_the_same(pipeline, agent, clock, settings):  # noqa: F811
    for number in range(20):
        hear(pipeline, f"{number}")
        clock.shift(5)
        if events := deliver(agent):
            break
    assert len(events[0]["data"]["messages"]) == 12


def test_a_message_told_twice_by_its_way_in_is_told_once(pipeline, agent, clock):  # noqa: F811
    hear(pipeline, "oi", id="A1")
    hear(pipeline, "oi", id="A1")
    clock.shift(7)
    assert texts(deliver(agent)) == [["oi"]]
    hear(pipeline, "oi", id="A1")
    clock.shift(7)
    assert deliver(agent) == []


def test_what_the_agent_reports_itself_it_is_not_told(pipeline, agent, clock):  # noqa: F811
    hear(pipeline, "oi", id="A1")
    hear(pipeline, "oi", id="A1", via="")
    hear(pipeline, "tudo", id="A2", via="")
    hear(pipeline, "tudo", id="A2")
    clock.shift(7)
    assert deliver(agent) == []


def test_messages_of_the_same_second_keep_the_order_in_which_they_were_heard(pipeline, agent, clock):  # noqa: F811
    at = timezone.now()
    for text in "abcdefg":
        clock.shift(0.01)
        hear(pipeline, text, at=at)
    hear(pipeline, "before", at=at - timedelta(seconds=1))
    clock.shift(7)
    assert texts(deliver(agent)) == [["before", *"abcdefg"]]


def test_two_channels_are_two_calls_and_the_second_waits_for_the_first(pipeline, agent, clock):  # noqa: F811
    hear(pipeline, "oi")
    clock.shift(1)
    hear(pipeline, "e aqui", via="insta")
    clock.shift(7)
    agent.answers = [(500, {}), (200, {}), (200, {})]
    assert texts(deliver(agent)) == [["oi"]]
    clock.shift(10)
    assert texts(deliver(agent)) == [["oi"], ["e aqui"]]


def test_an_agent_that_is_away_is_told_again_under_the_same_id_and_of_what_came_meanwhile_after_it(
    pipeline,
    agent,  # noqa: F811
    clock,
):
    agent.answers = [(503, {}), (200, {}), (200, {})]
    hear(pipeline, "oi")
    clock.shift(7)
    deliver(agent)
    hear(pipeline, "alô?")
    clock.shift(1)
    hear(pipeline, "tem alguém?")
    clock.shift(20)
    events = deliver(agent)
    assert texts(events) == [["oi"]]
    assert len(set(agent.ids())) == 1
    assert texts(deliver(agent)) == [["alô?", "tem alguém?"]]


def test_nothing_is_told_while_a_person_has_the_lead_and_after_it_what_they_left_unanswered(
    pipeline,
    agent,  # noqa: F811
    clock,
):
    lead = hear(pipeline, "oi")
    pause(lead)
    clock.shift(7)
    assert deliver(agent) == []
    hear(pipeline, "aqui é a Ana", direction=Direction.STAFF)
    clock.shift(7)
    hear(pipeline, "e o preço?")
    clock.shift(7)
    assert deliver(agent) == []

    resume(lead)

    clock.shift(7)
    assert texts(deliver(agent)) == [["e o preço?"]]
    assert set(Row.objects.filter(text="oi").values_list("telling", flat=True)) == {"left"}


def test_what_was_being_told_when_a_person_came_waits_and_is_left_to_them_once_they_answered(
    pipeline,
    agent,  # noqa: F811
    clock,
):
    agent.answers = [(500, {}), (200, {})]
    lead = hear(pipeline, "oi")
    clock.shift(7)
    deliver(agent)
    hear(pipeline, "oi, aqui é a Ana", direction=Direction.STAFF)
    clock.shift(60)
    assert deliver(agent) == []
    resume(Lead.objects.get(pk=lead.pk))
    clock.shift(60)
    assert deliver(agent) == []
    assert AgentEvent.objects.get(type="message.received").state == AgentEvent.State.DROPPED


def test_what_nobody_answered_for_a_day_is_not_answered_out_of_the_blue(pipeline, agent, clock):  # noqa: F811
    lead = hear(pipeline, "oi")
    pause(lead)
    clock.shift(7)
    deliver(agent)
    clock.shift(timedelta(hours=25))
    resume(lead)
    clock.shift(7)
    assert deliver(agent) == []


def test_a_silenced_pipeline_holds_everything_back_until_it_may_speak(pipeline, agent, clock):  # noqa: F811
    hear(pipeline, "oi")
    emergency_stop.silence(pipeline, by="ana", reason="nonsense", now=timezone.now())
    clock.shift(7)
    assert deliver(agent) == []
    emergency_stop.let_speak(pipeline, by="ana", now=timezone.now())
    clock.shift(7)
    assert texts(deliver(agent)) == [["oi"]]


def test_what_leads_write_that_the_agent_does_not_serve_is_left_to_people(pipeline, agent, clock):  # noqa: F811
    pipeline.serves_only_with_tag = "ia"
    pipeline.save()
    hear(pipeline, "oi")
    clock.shift(7)
    assert deliver(agent) == []
    assert Row.objects.get().telling == "left"


def test_without_an_agent_nothing_waits(pipeline, clock, settings):
    settings.AGENT_WEBHOOK_URL = ""
    hear(pipeline, "oi")
    assert Row.objects.get().telling == ""
    assert not message_received.has_work(timezone.now() + timedelta(hours=1))


def test_a_lead_erased_while_it_waits_is_not_told_of(pipeline, agent, clock):  # noqa: F811
    from leads import erasure

    lead = hear(pipeline, "oi")
    erasure.erase(lead, by=Lead.Actor.STAFF, now=timezone.now())
    clock.shift(7)
    assert deliver(agent) == []


def test_how_many_statements_gathering_takes_does_not_depend_on_how_many_write(
    pipeline, clock, django_assert_num_queries
):
    for people in (1, 12):
        for number in range(people):
            hear(pipeline, "oi", id=f"{people}-{number}", address=f"+55819999{people:02d}{number:03d}")
        clock.shift(7)
        with django_assert_num_queries(13, exact=False):
            assert message_received.gather(timezone.now()) == people


class TestWhatIsReadLate:
    """After a restart what was received meanwhile is read in no fixed order with telling of what was read before."""

    def unread(self, account, *, seconds):
        at = timezone.now() - timedelta(seconds=seconds)
        return WebhookEvent.objects.create(account=account, received_at=at, body=b"x")

    @pytest.mark.parametrize("seconds", [4, 20, 59])
    def test_the_next_bubble_may_lie_unread_and_is_waited_for(self, pipeline, agent, clock, account, seconds):  # noqa: F811
        hear(pipeline, "um")
        clock.shift(7)
        event = self.unread(account, seconds=seconds)
        assert deliver(agent) == []
        hear(pipeline, "dois")
        event.delete()
        clock.shift(7)
        assert texts(deliver(agent)) == [["um", "dois"]]

    @pytest.mark.parametrize("seconds", [0, 2, 61, 4000])
    def test_what_was_just_received_or_stays_unread_keeps_nobody_waiting(
        self,
        pipeline,
        agent,  # noqa: F811
        clock,
        account,
        seconds,
    ):
        hear(pipeline, "um")
        clock.shift(7)
        self.unread(account, seconds=seconds)
        assert texts(deliver(agent)) == [["um"]]

    def test_nobody_waits_longer_than_a_while(self, pipeline, agent, clock, account):  # noqa: F811
        hear(pipeline, "um")
        clock.shift(6 + 15)
        self.unread(account, seconds=5)
        assert texts(deliver(agent)) == [["um"]]


def test_what_another_bot_said_since_goes_along(pipeline, agent, clock):  # noqa: F811
    hear(pipeline, "oi")
    clock.shift(1)
    hear(pipeline, "Olá! Já respondemos.", direction=Direction.BOT, author="Salesbot")
    clock.shift(7)
    [event] = deliver(agent)
    assert event["data"]["answered_by_bot"] == {
        "text": "Olá! Já respondemos.",
        "at": "2026-11-24T12:00:01+00:00",
        "name": "Salesbot",
    }


def test_where_the_pipeline_yields_another_bot_silences_the_agent_and_its_messages_are_left_to_it(
    pipeline,
    agent,  # noqa: F811
    clock,
):
    pipeline.yields_to_bots = True
    pipeline.save()
    lead = hear(pipeline, "oi")
    clock.shift(1)
    hear(pipeline, "Olá! Já respondemos.", direction=Direction.BOT)
    clock.shift(7)
    assert deliver(agent) == []
    lead.refresh_from_db()
    assert lead.handoff_source == "guard"
    assert "another bot answers" in lead.handoff_reason
    hear(pipeline, "e agora?")
    resume(lead)
    clock.shift(7)
    assert texts(deliver(agent)) == [["e agora?"]]


def test_two_bots_that_talk_to_each_other_are_stopped_with_a_reason(pipeline, agent, clock):  # noqa: F811
    for number in range(40):
        lead = hear(pipeline, f"q{number}")
        if lead.in_handoff:
            break
        clock.shift(7)
        assert deliver(agent)
        hear(pipeline, f"a{number}", direction=Direction.OUTBOUND, via="")
        clock.shift(3)
    assert (number, lead.handoff_source) == (20, "guard")
    assert "two bots" in lead.handoff_reason
    clock.shift(7)
    assert deliver(agent) == []


def test_who_opted_out_is_heard_and_the_agent_told_that_it_may_not_reply(pipeline, agent, clock):  # noqa: F811
    lead = hear(pipeline, "oi")
    optout.opt_out(lead, by=Lead.Actor.LEAD, reason="pare", now=timezone.now())
    clock.shift(6)

    [event] = deliver(agent)

    # As POST messages would answer it.
    assert event["data"]["may_reply"] is False
