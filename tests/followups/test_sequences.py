"""The sequence of the seed and the reminders, from the conversation to the message."""

from __future__ import annotations

from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from followups import claiming
from followups.models import Attempt, Enrollment, Sequence, Step
from followups.selectors import outcomes
from leads import handoff, interaction_values, interactions, optout, stage_moves
from leads.interaction_values import Direction, Message
from leads.models import Event, Lead, Stage
from leads.phone import parse
from tests.followups.conftest import MARIA, TUESDAY

DAY = timedelta(days=1)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def steps_told(agent):
    return [
        (body["data"]["sequence"], body["data"]["step"]) for body in agent.bodies() if body["type"] == "followup.due"
    ]


def switch(slug, on):
    sequence = Sequence.objects.get(slug=slug)
    sequence.is_active = on
    sequence.save()


def stage_of(lead):
    return Lead.objects.select_related("stage").get(pk=lead.pk).stage.key


def test_a_silent_lead_gets_every_step_in_order_and_is_given_up_on(conversation, agent, enrollment_of):
    lead = conversation.agent_writes()
    conversation.run(timedelta(days=10))

    assert steps_told(agent) == [("reengagement", 1), ("reengagement", 2), ("reengagement", 3)]
    assert stage_of(lead) == "not_interested"
    enrollment = enrollment_of(lead)
    assert (enrollment.state, enrollment.reason) == ("finished", "no answer to 3 messages, the last 1 day ago")
    moved = Event.objects.get(lead=lead, kind=Event.Kind.STAGE_CHANGED)
    assert (moved.actor, moved.reason) == ("bridge", enrollment.reason)


def test_the_times_are_those_of_the_seed(conversation, enrollment_of):
    lead = conversation.agent_writes()
    assert enrollment_of(lead).next_at == TUESDAY + timedelta(minutes=30)
    conversation.run(timedelta(hours=1))
    first = Attempt.objects.get()
    assert first.ended_at == TUESDAY + timedelta(minutes=30)
    assert enrollment_of(lead).next_at == first.ended_at + timedelta(hours=24)


def test_the_message_is_signed_and_speaks_to_the_lead_by_name(conversation, agent):
    conversation.agent_writes(facts={"name": "Maria Souza"})
    conversation.run(timedelta(hours=1))

    [(headers, raw)] = agent.requests
    signature = Webhook(SECRET).sign(headers["webhook-id"], TUESDAY + timedelta(minutes=30), raw.decode())
    assert headers["webhook-signature"] == signature
    [body] = agent.bodies()
    assert body["type"] == "followup.due"
    assert body["data"]["text"].startswith("Oi, Maria!")
    assert body["data"]["lead"]["phone"] == MARIA
    assert body["data"]["attempt_id"] == headers["webhook-id"] == str(Attempt.objects.get().pk)


class TestN14:
    """Six messages in four minutes; the same follow-up every minute."""

    def test_a_step_goes_out_once_however_often_the_tick_runs(self, conversation, agent):
        conversation.agent_writes()
        conversation.wait(minutes=30)
        for _ in range(6):
            conversation.tick()
            conversation.wait(minutes=1)
        assert steps_told(agent) == [("reengagement", 1)]

    def test_the_attempt_is_stored_before_anything_leaves_and_tried_again_under_its_id(self, conversation, agent):
        agent.answers = [(500, {}), (503, {}), (200, {})]
        conversation.agent_writes()
        conversation.wait(minutes=30)
        for _ in range(4):
            conversation.tick()
            conversation.wait(minutes=2)
        assert len(agent.ids()) == 3
        assert len(set(agent.ids())) == 1
        assert Attempt.objects.get().state == "sent"

    def test_a_worker_that_died_while_sending_leaves_the_same_message_to_the_next(self, conversation, agent):
        conversation.agent_writes()
        conversation.wait(minutes=30)
        [attempt] = claiming.claim("host:1:dead", conversation.now) or []
        assert claiming.holders() == ["host:1:dead"]

        claiming.free(["host:1:dead"], now=conversation.now)
        conversation.tick()

        assert agent.ids() == [str(attempt.pk)]

    def test_two_messages_of_ours_in_a_row_are_one_silence(self, conversation, enrollment_of):
        lead = conversation.agent_writes()
        conversation.wait(minutes=10)
        conversation.agent_writes()
        assert Enrollment.objects.count() == 1
        assert enrollment_of(lead).next_at == conversation.now + timedelta(minutes=30)


class TestN15:
    """NÃO INTERESSADO never reached, or reached without any contact."""

    def test_nobody_is_enrolled_to_whom_nobody_has_written(self, conversation):
        conversation.lead_writes()
        assert not Enrollment.objects.exists()

    def test_a_lead_who_was_never_reached_is_never_given_up_on(self, conversation, agent, enrollment_of):
        agent.answers = [(500, {})]
        lead = conversation.agent_writes()
        for _ in range(200):
            conversation.tick()
            conversation.wait(hours=1)
        assert enrollment_of(lead).state == "finished"
        assert enrollment_of(lead).reason == "no message was sent, so nobody gives the lead up"
        assert stage_of(lead) == "new"

    def test_nobody_is_given_up_on_by_what_the_agent_declined(self, conversation, agent, enrollment_of):
        agent.answers = [(200, {"skip": True})]
        lead = conversation.agent_writes()
        conversation.run(timedelta(days=10))
        assert list(Attempt.objects.values_list("state", flat=True)) == ["declined"] * 3
        assert stage_of(lead) == "new"
        assert enrollment_of(lead).state == "finished"
        assert enrollment_of(lead).reason == "no message was sent, so nobody gives the lead up"

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_one_that_was_declined_among_those_sent_is_no_contact_either(
        self, conversation, agent, enrollment_of, place
    ):
        agent.answers = [(200, {"skip": number == place}) for number in range(3)]
        lead = conversation.agent_writes()
        conversation.run(timedelta(days=10))
        assert sorted(Attempt.objects.values_list("state", flat=True)) == ["declined", "sent", "sent"]
        assert stage_of(lead) == "new"
        assert enrollment_of(lead).reason == "not every message was sent, so nobody gives the lead up"

    def test_the_chain_goes_on_after_an_outage_with_the_missed_step_on_record(self, conversation, agent, enrollment_of):
        lead = conversation.agent_writes()
        # Nobody looked for two days: the first step is stale, and the others keep their distance.
        conversation.wait(days=2)
        conversation.tick()
        assert steps_told(agent) == []
        assert Attempt.objects.get().state == "missed"
        assert enrollment_of(lead).next_at == conversation.now + timedelta(hours=24)
        conversation.run(timedelta(days=10))
        assert steps_told(agent) == [("reengagement", 2), ("reengagement", 3)]
        assert stage_of(lead) == "new"

    def test_a_lead_who_writes_afterwards_is_taken_up_again(self, conversation):
        lead = conversation.agent_writes()
        conversation.run(timedelta(days=10))
        conversation.lead_writes("Voltei")
        assert stage_of(lead) == "qualifying"
        assert Event.objects.filter(lead=lead, kind=Event.Kind.STAFF_TOLD).exists()


class TestN16:
    """Messages at night, on Sunday, three hours off."""

    def test_nothing_goes_out_at_night(self, conversation, agent):
        conversation.wait(hours=9, minutes=45)
        conversation.agent_writes()
        conversation.run(timedelta(hours=13))
        assert Attempt.objects.get().ended_at.isoformat() == "2026-11-25T11:00:00+00:00"

    def test_a_worker_that_is_late_does_not_send_at_night(self, conversation, agent, pipeline):
        conversation.wait(hours=9, minutes=25)
        conversation.agent_writes()
        conversation.wait(minutes=40)
        conversation.tick()
        assert steps_told(agent) == []
        conversation.run(timedelta(hours=12))
        assert steps_told(agent) == [("reengagement", 1)]

    def test_an_old_message_that_is_reported_late_starts_nothing(self, conversation):
        conversation.now -= timedelta(days=30)
        interaction_at = conversation.now
        conversation.now += timedelta(days=30)
        interactions.record(
            interaction_values.Interaction(
                phone=parse(MARIA, region="BR"),
                occurred_at=interaction_at,
                message=Message(Direction.OUTBOUND, sent_at=interaction_at, text="Olá"),
            ),
            pipeline=conversation.pipeline,
            now=conversation.now,
        )
        assert not Enrollment.objects.exists()


class TestN17:
    """A follow-up sent after the lead had answered, or while a person was talking."""

    def stop_by_answer(self, conversation, lead):
        conversation.lead_writes("Sim, quero")

    def stop_by_person(self, conversation, lead):
        conversation.person_writes()

    def stop_by_handoff(self, conversation, lead):
        handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="asked", now=conversation.now)

    def stop_by_stage(self, conversation, lead):
        stage = Stage.objects.get(key="human_handoff")
        stage_moves.move(lead, stage, by=Lead.Actor.STAFF, reason="moved", now=conversation.now)

    def stop_by_won(self, conversation, lead):
        stage_moves.move(lead, Stage.objects.get(key="won"), by=Lead.Actor.STAFF, reason="won", now=conversation.now)

    def stop_by_disqualified(self, conversation, lead):
        conversation.agent_writes(facts={"bill_value": 10}, context={"conversation_stage": "qualificação"})

    def stop_by_elsewhere(self, conversation, lead):
        stage_moves.leave_our_stages(lead, name="Pós-venda", reason="moved", now=conversation.now)

    def stop_by_opt_out(self, conversation, lead):
        optout.opt_out(lead, by=Lead.Actor.AGENT, reason="asked", now=conversation.now)

    def stop_by_booking(self, conversation, lead):
        conversation.meeting("scheduled", conversation.now + 3 * DAY)

    @pytest.mark.parametrize(
        "what", ["answer", "person", "handoff", "stage", "won", "disqualified", "elsewhere", "opt_out", "booking"]
    )
    def test_the_sequence_stops_at_once(self, conversation, agent, enrollment_of, what):
        lead = conversation.agent_writes()
        conversation.wait(minutes=5)
        getattr(self, f"stop_by_{what}")(conversation, lead)
        assert enrollment_of(lead).state == "cancelled"
        assert enrollment_of(lead).reason
        conversation.run(timedelta(hours=20))
        assert steps_told(agent) == []

    def test_the_check_is_made_again_in_the_transaction_of_the_claim(self, conversation, agent, enrollment_of):
        lead = conversation.agent_writes()
        conversation.wait(minutes=30)
        # Changed behind everybody's back: no signal has cancelled anything.
        Lead.objects.filter(pk=lead.pk).update(handoff_source="admin", handoff_since=conversation.now)
        conversation.tick()
        assert steps_told(agent) == []
        assert enrollment_of(lead).reason == "a person has taken over"

    def test_a_retry_is_not_sent_once_the_lead_has_answered(self, conversation, agent):
        agent.answers = [(500, {}), (200, {})]
        conversation.agent_writes()
        conversation.wait(minutes=30)
        conversation.tick()
        conversation.lead_writes("Oi, estou aqui")
        conversation.wait(minutes=30)
        conversation.tick()
        assert len(agent.requests) == 1
        assert Attempt.objects.get().state == "dropped"

    def test_a_word_of_the_list_opts_out_and_a_sentence_with_it_does_not(self, conversation, pipeline):
        lead = conversation.lead_writes("Não vou sair de casa hoje")
        assert not Lead.objects.get(pk=lead.pk).opted_out_at
        conversation.lead_writes(" PARE! ")
        assert Lead.objects.get(pk=lead.pk).opted_out_at
        conversation.agent_writes()
        assert not Enrollment.objects.exists()

    def test_a_number_the_agent_calls_invalid_is_never_written_to_again(self, conversation, agent, enrollment_of):
        agent.answers = [(410, {})]
        lead = conversation.agent_writes()
        conversation.run(timedelta(days=10))
        assert len(agent.requests) == 1
        assert enrollment_of(lead).state == "cancelled"
        assert enrollment_of(lead).reason == "the agent says the number is invalid or the person opted out"
        # Which of the two it is nobody has said, so it is not told as a wish.
        assert not Lead.objects.get(pk=lead.pk).opted_out_at
        conversation.lead_writes()
        conversation.agent_writes()
        conversation.run(timedelta(days=2))
        assert len(agent.requests) == 1


class TestN18:
    """Meeting cancelled or moved, reminder sent all the same."""

    MEETING = TUESDAY + 2 * DAY + timedelta(hours=5)

    def test_reminders_come_before_the_meeting(self, conversation, agent):
        conversation.meeting("scheduled", self.MEETING)
        conversation.run(timedelta(days=4))
        assert steps_told(agent) == [("meeting_reminders", 1), ("meeting_reminders", 2)]
        times = list(Attempt.objects.order_by("step").values_list("ended_at", flat=True))
        assert times == [self.MEETING - timedelta(hours=24), self.MEETING - timedelta(hours=2)]
        assert "às 15:00" in agent.bodies()[0]["data"]["text"]

    @pytest.mark.parametrize("status", ["cancelled", "completed", "no_show"])
    def test_a_meeting_that_is_off_reminds_nobody(self, conversation, agent, status):
        conversation.meeting("scheduled", self.MEETING)
        conversation.wait(hours=1)
        conversation.meeting(status, self.MEETING)
        conversation.run(timedelta(days=4))
        assert steps_told(agent) == []

    def test_a_moved_meeting_moves_its_reminders(self, conversation, agent):
        conversation.meeting("scheduled", self.MEETING)
        conversation.run(timedelta(hours=30))
        conversation.meeting("rescheduled", self.MEETING + 5 * DAY)
        conversation.run(timedelta(days=10))
        times = [attempt.ended_at for attempt in Attempt.objects.order_by("ended_at")]
        moved = self.MEETING + 5 * DAY
        assert times == [self.MEETING - timedelta(hours=24), moved - timedelta(hours=24), moved - timedelta(hours=2)]

    def test_a_reminder_whose_time_had_passed_at_the_booking_is_left_out(self, conversation, agent):
        conversation.meeting("scheduled", TUESDAY + timedelta(hours=6))
        conversation.run(timedelta(days=2))
        assert steps_told(agent) == [("meeting_reminders", 2)]

    def test_an_answer_does_not_stop_reminders(self, conversation, agent):
        conversation.meeting("scheduled", self.MEETING)
        conversation.lead_writes("Combinado")
        conversation.run(timedelta(days=4))
        assert len(steps_told(agent)) == 2


def test_an_edit_does_not_disturb_leads_on_their_way(conversation, agent):
    conversation.agent_writes()
    Step.objects.filter(sequence__slug="reengagement", position=1).update(text="Outro texto", delay=timedelta(hours=5))
    conversation.agent_writes(phone="+5511988887777")
    conversation.run(timedelta(hours=1))
    assert len(agent.requests) == 1
    assert agent.bodies()[0]["data"]["text"].startswith("Oi!")


@pytest.mark.parametrize("is_of_before", [False, True])
def test_a_sequence_that_is_switched_off_keeps_everybodys_place(conversation, agent, enrollment_of, is_of_before):
    lead = conversation.agent_writes()
    switch("reengagement", False)
    conversation.wait(minutes=30)
    conversation.tick()
    assert steps_told(agent) == []
    assert enrollment_of(lead).next_reason == "the sequence is switched off"
    if is_of_before:
        Enrollment.objects.update(next_reason="the sequence is switched off")
    switch("reengagement", True)
    conversation.run(timedelta(hours=1))
    assert steps_told(agent) == [("reengagement", 1)]


def test_what_came_of_a_message_is_counted_for_its_step(conversation):
    conversation.agent_writes()
    conversation.run(timedelta(hours=1))
    conversation.lead_writes("Quero sim")
    reengagement = Sequence.objects.get(slug="reengagement")
    counts = {"sent": 1, "answered": 1, "booked": 0, "opted_out": 0, "missed": 0, "declined": 0}
    counts |= {"not_sent": 0, "would_send": 0}
    assert outcomes(reengagement) == [{"step": 1} | counts]
    assert outcomes(reengagement, since=conversation.now) == []
