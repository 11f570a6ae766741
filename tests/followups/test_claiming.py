"""What is asked once more at the last moment, and what happens to a message that could not leave at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest

from bridge.models import Account, Card
from followups import claiming, dispatch
from followups.channels import AgentWebhook, Outcome, Result
from followups.models import Attempt, Enrollment, Sequence, Step
from leads import handoff, stage_moves
from leads.models import Event, Lead, Pipeline, Stage
from tests.followups.conftest import TUESDAY
from tests.followups.simulation import Noted

DAY = timedelta(days=1)


def _local_hour(moment):
    return moment.astimezone(ZoneInfo("America/Sao_Paulo")).hour


def steps_told(agent):
    return [body["data"]["step"] for body in agent.bodies()]


class TestTryingAgain:
    def test_a_message_the_agent_did_not_take_in_the_evening_is_tried_again_in_the_morning(self, conversation, agent):
        # The agent is away from 19:55 on; quiet hours begin at 20:00.
        agent.answers = [(503, {})]
        conversation.wait(hours=9, minutes=25)
        conversation.agent_writes()
        conversation.wait(minutes=30)
        conversation.tick()
        conversation.wait(minutes=10)
        conversation.tick()
        assert len(agent.requests) == 1
        agent.answers = [(200, {})]
        conversation.wait(hours=11, minutes=55)
        conversation.tick()
        assert Attempt.objects.get().state == "sent"
        assert len(set(agent.ids())) == 1

    def test_a_message_nobody_takes_is_not_tried_for_ever(self, conversation, agent):
        agent.answers = [(503, {})]
        conversation.agent_writes()
        for _ in range(72):
            conversation.tick()
            conversation.wait(hours=1)
        assert Attempt.objects.get(step=1).state == "missed"

    def test_a_retry_asks_about_the_card_again(self, conversation, agent):
        agent.answers = [(503, {}), (200, {})]
        lead = conversation.agent_writes()
        conversation.wait(minutes=30)
        conversation.tick()
        Lead.objects.filter(pk=lead.pk).update(opted_out_at=conversation.now)
        conversation.wait(minutes=1)
        conversation.tick()
        assert len(agent.requests) == 1
        assert (Attempt.objects.get().state, Enrollment.objects.get().state) == ("dropped", "cancelled")

    def test_a_process_that_died_on_a_way_that_says_things_twice_leaves_the_message_unconfirmed(self, conversation):
        conversation.agent_writes()
        conversation.wait(minutes=30)
        claiming.claim("host:1:dead", conversation.now)
        claiming.free(["host:1:dead"], now=conversation.now)

        assert claiming.claim_retries("me", conversation.now, acts_once=False) == []

        attempt, enrollment = Attempt.objects.get(), Enrollment.objects.get()
        assert (attempt.state, enrollment.step, enrollment.complete) == ("unconfirmed", 2, False)

    def test_a_message_that_was_refused_is_tried_again_on_any_way(self, conversation, agent):
        agent.answers = [(503, {})]
        conversation.agent_writes()
        conversation.wait(minutes=30)
        conversation.tick()
        conversation.wait(minutes=1)
        assert len(claiming.claim_retries("me", conversation.now, acts_once=False)) == 1


class TestTheLastMoment:
    @pytest.mark.parametrize("state", [Card.State.GONE, Card.State.CLOSED])
    def test_nobody_is_written_to_whose_card_is_gone(self, conversation, agent, pipeline, state):
        lead = conversation.agent_writes()
        account = Account.objects.create(name="Acme", base_url="https://acme.kommo.com")
        Card.objects.filter(lead=lead).delete()
        Card.objects.create(lead=lead, account=account, state=state, waiting_reason="deleted in Kommo")
        conversation.wait(minutes=30)
        conversation.tick()
        assert agent.requests == []
        assert Enrollment.objects.get().reason == "deleted in Kommo"
        conversation.agent_writes()
        assert not Enrollment.objects.filter(state="waiting").exists()

    def test_a_lead_who_answers_while_a_slow_agent_takes_others_is_left_in_peace(self, conversation, agent):
        conversation.agent_writes()
        conversation.agent_writes(phone="+5511988887777")
        conversation.wait(minutes=30)
        attempts = claiming.claim("me", conversation.now)
        conversation.lead_writes("Oi")

        with ThreadPoolExecutor(2) as pool:
            dispatch.send(attempts, AgentWebhook(), pool, lambda: conversation.now)

        assert [body["data"]["lead"]["phone"] for body in agent.bodies()] == ["+5511988887777"]
        assert sorted(Attempt.objects.values_list("state", flat=True)) == ["dropped", "sent"]

    def test_what_a_process_that_slept_still_holds_is_left_to_others(self, conversation):
        conversation.agent_writes()
        conversation.wait(minutes=30)
        attempts = claiming.claim("me", conversation.now)
        channel = Noted()

        with ThreadPoolExecutor(1) as pool:
            dispatch.send(attempts, channel, pool, lambda: conversation.now + timedelta(hours=12))

        assert channel.given == []
        assert Attempt.objects.get().state == "sending"

    def test_when_the_night_begins_between_claim_and_send_it_waits_for_the_morning(self, conversation):
        # Claimed at 19:59.
        conversation.wait(hours=9, minutes=29)
        conversation.agent_writes()
        conversation.wait(minutes=30)
        attempts = claiming.claim("me", conversation.now)
        conversation.wait(minutes=2)
        channel = Noted()

        with ThreadPoolExecutor(1) as pool:
            dispatch.send(attempts, channel, pool, lambda: conversation.now)
        conversation.tick()

        assert channel.given == []
        attempt = Attempt.objects.get()
        assert (attempt.state, attempt.tries, _local_hour(attempt.retry_at)) == ("sending", 0, 8)

    def test_what_a_slow_agent_leaves_no_time_for_is_given_back_untried(self, conversation):
        for number in range(dispatch.THREADS + 3):
            conversation.agent_writes(phone=f"+55119888877{number:02}")
        conversation.wait(minutes=30)
        attempts = claiming.claim("me", conversation.now)
        clock = iter([conversation.now] + [conversation.now + timedelta(seconds=1)] * 17)
        late = conversation.now + timedelta(seconds=20)

        class Slow:
            acts_once = True

            def send(self, message, *, now):
                return Result(Outcome.SENT)

        with ThreadPoolExecutor(1) as pool:
            dispatch.send(attempts, Slow(), pool, lambda: next(clock, late))

        assert Attempt.objects.filter(state="sent").count() == dispatch.THREADS
        left = Attempt.objects.filter(state="sending")
        assert set(left.values_list("tries", "holder")) == {(0, "")}
        assert not any(attempt.is_in_doubt for attempt in left)
        assert len(claiming.claim_retries("me", late, acts_once=False)) == 3

    def test_one_lead_that_cannot_be_prepared_holds_up_nobody_else(self, conversation, agent):
        conversation.agent_writes()
        conversation.wait(minutes=1)
        odd = conversation.agent_writes(phone="+5511988887777")
        other = Pipeline.objects.create(slug="other", name="Outro", quiet_from=time(20), quiet_to=time(8))
        Pipeline.objects.filter(pk=other.pk).update(time_zone="Mars/Olympus")
        stage = Stage.objects.create(pipeline=other, key="new", name="NOVO", rank=1)
        Lead.objects.filter(pk=odd.pk).update(pipeline=other, stage=stage, phone="+18005550100")
        conversation.wait(minutes=30)
        conversation.tick()
        assert len(agent.requests) == 1
        enrollment = Enrollment.objects.get(lead=odd)
        assert (enrollment.state, enrollment.step) == ("waiting", 1)
        assert "could not be prepared" in enrollment.next_reason

    def test_a_text_that_has_nothing_to_say_to_this_lead_is_left_out(self, conversation, agent):
        Step.objects.filter(sequence__slug="reengagement", position=1).update(text="{% if name %}Oi{% endif %}")
        conversation.agent_writes()
        conversation.run(timedelta(hours=30))
        assert steps_told(agent) == [2]
        assert Attempt.objects.get(step=1).state == "skipped"

    def test_a_reminder_never_comes_once_the_meeting_has_begun(self, conversation, agent):
        Step.objects.filter(sequence__slug="meeting_reminders").update(max_lateness=timedelta(days=3))
        conversation.meeting("scheduled", TUESDAY + 2 * DAY)
        conversation.wait(days=2, minutes=1)
        conversation.tick()
        assert agent.requests == []
        assert Attempt.objects.get(step=1).reason == "the meeting had begun"

    def test_a_meeting_that_moved_unheard_takes_its_reminders_along(self, conversation, agent):
        lead = conversation.meeting("scheduled", TUESDAY + 2 * DAY)
        Lead.objects.filter(pk=lead.pk).update(meeting_starts_at=TUESDAY + 7 * DAY)
        conversation.run(3 * DAY)
        assert agent.requests == []
        conversation.run(5 * DAY)
        assert steps_told(agent) == [1, 2]


class TestOneSilenceOneSequence:
    def test_the_agents_own_report_of_the_last_message_begins_nothing_anew(self, conversation, agent):
        Sequence.objects.filter(slug="reengagement").update(give_up_after=None, give_up_stage=None)
        conversation.agent_writes()
        for _ in range(12):
            conversation.run(DAY)
            conversation.agent_writes()
        assert steps_told(agent) == sorted(steps_told(agent))
        assert Enrollment.objects.count() == 1

    def test_a_new_silence_has_a_sequence_of_its_own(self, conversation, agent):
        Sequence.objects.filter(slug="reengagement").update(give_up_after=None, give_up_stage=None)
        conversation.agent_writes()
        conversation.run(7 * DAY)
        conversation.lead_writes("Oi, desculpe a demora")
        conversation.wait(seconds=5)
        conversation.agent_writes()
        assert Enrollment.objects.filter(state="waiting").count() == 1

    def test_patience_counts_from_our_newest_message_too(self, conversation, agent, enrollment_of):
        lead = conversation.agent_writes()
        conversation.run(timedelta(hours=80))
        assert len(agent.requests) == 3
        conversation.agent_writes()
        assert enrollment_of(lead).next_at == conversation.now + timedelta(hours=24)

    def test_a_handoff_in_between_repeats_no_reminder(self, conversation, agent):
        lead = conversation.meeting("scheduled", TUESDAY + 2 * DAY + timedelta(hours=5))
        Enrollment.objects.update(next_at=conversation.now, sent_by_hand=True)
        conversation.tick()
        handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="asked", now=conversation.now)
        handoff.resume(lead, by=Lead.Actor.STAFF, reason="done", now=conversation.now)
        conversation.run(4 * DAY)
        assert steps_told(agent) == [1, 2]


def test_a_card_that_staff_put_where_meetings_stand_gets_no_nudges(conversation, agent, pipeline):
    lead = conversation.agent_writes()
    stage = Stage.objects.get(pipeline=pipeline, key="meeting_scheduled")
    stage_moves.move(lead, stage, by=Lead.Actor.STAFF, reason="booked by phone", now=conversation.now)
    conversation.run(2 * DAY)
    assert agent.requests == []
    assert "REUNIÃO AGENDADA" in Enrollment.objects.get().reason


def test_a_sequence_that_is_switched_off_for_long_lets_stale_messages_go(conversation, agent):
    sequence = Sequence.objects.get(slug="reengagement")
    conversation.agent_writes()
    sequence.is_active = False
    sequence.save()
    conversation.wait(days=3)
    conversation.tick()
    sequence.is_active = True
    sequence.save()
    conversation.run(timedelta(minutes=1))
    assert agent.requests == []
    assert Attempt.objects.get().state == "missed"


def test_a_message_on_its_way_waits_too_while_its_sequence_is_switched_off(conversation, agent):
    agent.answers = [(503, {}), (200, {})]
    sequence = Sequence.objects.get(slug="reengagement")
    conversation.agent_writes()
    conversation.wait(minutes=30)
    conversation.tick()
    sequence.is_active = False
    sequence.save()
    conversation.wait(hours=1)
    conversation.tick()
    assert len(agent.requests) == 1
    sequence.is_active = True
    sequence.save()
    # The receiver of that news reads the clock itself.
    Attempt.objects.update(retry_at=conversation.now)
    conversation.tick()
    assert len(agent.requests) == 2


def test_every_way_an_attempt_ends_is_on_the_timeline(conversation, agent):
    lead = conversation.agent_writes()
    conversation.wait(days=2)
    conversation.tick()
    [event] = Event.objects.filter(lead=lead, kind=Event.Kind.FOLLOW_UP)
    assert (event.data["step"], event.data["outcome"]) == (1, "missed")
