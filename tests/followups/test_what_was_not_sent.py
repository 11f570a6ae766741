"""Shown in shadow, logged, declined: what nobody heard is no contact, and nothing is concluded from it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from bridge import metrics, roles
from bridge.accounts import account_state
from bridge.accounts.leaving_shadow import leave as leave_shadow
from bridge.models import Account, AccountPipeline, AgentEvent, Card
from followups import staff_actions
from followups.followups_of_a_day import today
from followups.models import Attempt, Enrollment, Sequence
from followups.selectors import outcomes
from leads import erasure, handoff, optout
from leads.models import Event, Lead
from tests.bridge.admin.people import client_of
from tests.followups.conftest import MARIA, TUESDAY
from tests.saying import saying

DAY = timedelta(days=1)


@pytest.fixture
def account(pipeline):
    account = Account.objects.create(name="acme", base_url="https://acme.kommo.com")
    AccountPipeline.objects.create(account=account, pipeline=pipeline)
    return account


@pytest.fixture
def shadow(account):
    account_state.enter_shadow(account, now=TUESDAY)
    return account


@pytest.fixture
def mute(settings):
    def silence(is_mute: bool = True) -> None:
        settings.AGENT_WEBHOOK_URL = "" if is_mute else address

    address = settings.AGENT_WEBHOOK_URL
    return silence


def states():
    return list(Attempt.objects.order_by("created_at", "step").values_list("state", flat=True))


def due_followups(agent):
    return [body for body in agent.bodies() if body["type"] == "followup.due"]


def stage_of(lead):
    return Lead.objects.select_related("stage").get(pk=lead.pk).stage.key


class TestShadow:
    def test_nothing_leaves_and_what_would_have_is_kept_with_its_words(self, conversation, agent, shadow):
        conversation.agent_writes(facts={"name": "Maria Souza"})
        conversation.run(timedelta(hours=1))
        assert due_followups(agent) == []
        attempt = Attempt.objects.get()
        assert (attempt.state, attempt.reason) == ("would_send", "shadow: nothing is said to anybody")
        assert attempt.text.startswith("Oi, Maria!")
        event = Event.objects.get(kind=Event.Kind.FOLLOW_UP)
        assert event.data["outcome"] == "would_send"
        assert event.reason.startswith("step 1 of Retomada de contato would have been sent: shadow")

    def test_the_whole_sequence_is_shown_at_its_times_and_nobody_is_given_up_on(
        self, conversation, agent, shadow, enrollment_of
    ):
        lead = conversation.agent_writes()
        conversation.run(10 * DAY)
        assert due_followups(agent) == []
        assert states() == ["would_send"] * 3
        assert stage_of(lead) == "new"
        assert enrollment_of(lead).state == "finished"
        assert enrollment_of(lead).reason == "no message was sent, so nobody gives the lead up"

    def test_it_is_counted_apart(self, conversation, shadow, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            conversation.agent_writes()
            conversation.run(timedelta(hours=1))
        shown = today("UTC", now=conversation.now)
        assert (shown.sent, shown.answered, shown.not_sent, shown.would_send) == (0, 0, 0, 1)
        [row] = outcomes(Sequence.objects.get(slug="reengagement"))
        assert (row["sent"], row["would_send"], row["missed"]) == (0, 1, 0)
        metrics.add_now()
        [family] = [candidate for candidate in metrics.families() if candidate.name == "bridge_followups"]
        assert {sample.labels["outcome"] for sample in family.samples if sample.value} == {"would_send"}

    def test_an_answer_is_no_answer_to_what_nobody_said(self, conversation, shadow):
        conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        conversation.lead_writes("Quero")
        assert Attempt.objects.get().answered_at is None

    def test_a_person_who_presses_send_now_sends_nothing_either(self, conversation, agent, shadow, enrollment_of):
        lead = conversation.agent_writes()
        assert staff_actions.send_now(enrollment_of(lead), who="ana", now=conversation.now)
        conversation.tick()
        assert due_followups(agent) == []
        assert states() == ["would_send"]

    def test_when_it_ends_the_middle_of_a_story_nobody_heard_is_told_to_nobody(
        self, conversation, agent, shadow, enrollment_of
    ):
        lead = conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        leave_shadow(shadow, now=conversation.now)
        conversation.run(10 * DAY)
        assert due_followups(agent) == []
        assert enrollment_of(lead).reason == "it began while nothing was sent: nobody is written to out of the blue"
        assert stage_of(lead) == "new"

    def test_when_it_ends_what_has_yet_to_begin_goes_out_on_time(self, conversation, agent, shadow):
        lead = conversation.agent_writes()
        conversation.wait(minutes=10)
        leave_shadow(shadow, now=conversation.now)
        conversation.run(10 * DAY)
        assert [body["data"]["step"] for body in due_followups(agent)] == [1, 2, 3]
        assert stage_of(lead) == "not_interested"

    def test_when_it_ends_a_new_silence_has_its_sequence(self, conversation, agent, shadow):
        conversation.agent_writes()
        conversation.run(10 * DAY)
        leave_shadow(shadow, now=conversation.now)
        conversation.now = TUESDAY + 14 * DAY
        conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        assert [body["data"]["step"] for body in due_followups(agent)] == [1]

    def test_when_it_ends_reminders_that_are_still_to_come_come(self, conversation, agent, shadow):
        meeting = TUESDAY + 2 * DAY + timedelta(hours=5)
        conversation.meeting("scheduled", meeting)
        conversation.run(timedelta(hours=40))
        assert states() == ["would_send"]
        leave_shadow(shadow, now=conversation.now)
        conversation.run(2 * DAY)
        assert [body["data"]["step"] for body in due_followups(agent)] == [2]

    def test_an_account_that_was_paused_in_shadow_is_silent(self, conversation, agent, shadow):
        account_state.pause(shadow, reason="by hand", now=conversation.now)
        conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        assert due_followups(agent) == []

    def test_what_was_being_tried_when_it_began_may_have_gone_out(self, conversation, agent, account):
        agent.answers = [(503, {})]
        conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        assert states() == ["sending"]
        account_state.enter_shadow(account, now=conversation.now)
        conversation.tick()
        assert states() == ["dropped"]
        assert len(agent.requests) == 1

    def test_the_agent_is_still_told_when_a_person_takes_over(self, conversation, shadow):
        conversation.lead_writes()
        lead = Lead.objects.get()
        handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="asked", now=conversation.now)
        assert AgentEvent.objects.get().type == "agent.paused"


class TestWithoutAChannel:
    def test_nothing_counts_as_sent_and_nobody_is_given_up_on(self, conversation, agent, mute, enrollment_of):
        mute()
        lead = conversation.agent_writes()
        conversation.run(10 * DAY)
        assert agent.requests == []
        assert states() == ["not_sent"] * 3
        assert stage_of(lead) == "new"
        assert enrollment_of(lead).last_sent_at is None
        reasons = list(Event.objects.filter(kind=Event.Kind.FOLLOW_UP).values_list("reason", flat=True))
        assert all(reason.endswith("not sent: only logged: AGENT_WEBHOOK_URL is empty") for reason in reasons)

    def test_connecting_the_agent_sends_no_pile_of_what_is_stale(self, conversation, agent, mute, enrollment_of):
        mute()
        for number in range(10):
            conversation.agent_writes(phone=f"+551199999000{number}")
        conversation.run(DAY)
        mute(False)
        conversation.run(10 * DAY)
        assert due_followups(agent) == []
        assert set(Lead.objects.values_list("stage__key", flat=True)) == {"new"}

    def test_a_channel_that_goes_away_in_the_middle_gives_nobody_up(self, conversation, agent, mute, enrollment_of):
        lead = conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        mute()
        conversation.run(10 * DAY)
        assert states() == ["sent", "not_sent", "not_sent"]
        assert enrollment_of(lead).reason == "not every message was sent, so nobody gives the lead up"
        assert stage_of(lead) == "new"


class TestWhoIsNotReached:
    def test_a_number_that_is_invalid_is_told_as_such_and_stops_every_pipeline(self, conversation, agent, clinic):
        agent.answers = [(410, {"reason": "invalid_number"})]
        conversation.agent_writes()
        elsewhere = clinic.agent_writes()
        conversation.run(timedelta(hours=1))
        assert len(agent.requests) == 1
        assert {enrollment.reason for enrollment in Enrollment.objects.all()} == {
            "the agent says the number is invalid"
        }
        assert not Lead.objects.exclude(opted_out_at=None).exists()
        assert not Event.objects.filter(kind=Event.Kind.OPTED_OUT).exists()
        [figures] = outcomes(Sequence.objects.get(slug="reengagement", pipeline__slug="solar"))
        assert figures["opted_out"] == 0
        assert elsewhere.enrollments.get().state == "cancelled"
        # Nor does a later silence begin there.
        clinic.wait(hours=2)
        clinic.agent_writes()
        assert elsewhere.enrollments.count() == 1

    def test_whoever_writes_from_an_invalid_number_shows_that_it_works(self, conversation, agent):
        agent.answers = [(410, {"reason": "invalid_number"}), (200, {})]
        conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        conversation.lead_writes()
        conversation.wait(minutes=1)
        conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        assert states() == ["unreachable", "sent"]

    def test_who_is_said_to_have_opted_out_has(self, conversation, agent):
        agent.answers = [(410, {"reason": "opted_out"})]
        lead = conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        assert Lead.objects.get(pk=lead.pk).opted_out_at
        assert Event.objects.get(kind=Event.Kind.OPTED_OUT).reason == "the agent says the person opted out"

    def test_what_a_bare_410_has_ended_a_person_lifts_and_nothing_stopped_begins_again(self, conversation, agent):
        agent.answers = [(410, {}), (200, {})]
        lead = conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        conversation.lead_writes()
        conversation.wait(minutes=1)
        conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        # Whether it was a wish nobody knows, so that they write is not enough.
        assert states() == ["unreachable"]

        operator = client_of(roles.SELLER)
        page = reverse("admin:leads_lead_change", args=[lead.pk])
        assert "do-lift" in operator.get(page).content.decode()
        operator.post(reverse("admin:leads_lead_do", args=[lead.pk, "lift"]))
        assert "do-lift" not in operator.get(page).content.decode()
        assert saying(Event.objects, "again: lifted by seller", str.__contains__)
        conversation.run(timedelta(hours=1))
        assert states() == ["unreachable"]
        conversation.lead_writes()
        conversation.wait(minutes=1)
        conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        assert states() == ["unreachable", "sent"]

    def test_who_was_erased_after_a_bare_410_and_asks_for_it_is_written_to_again(self, conversation, agent):
        agent.answers = [(410, {}), (200, {})]
        lead = conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        erasure.erase(Lead.objects.get(pk=lead.pk), by=Lead.Actor.STAFF, now=conversation.now)
        conversation.wait(minutes=5)
        back = conversation.lead_writes()
        assert Lead.objects.get(pk=back.pk).opted_out_at
        client_of(roles.SELLER).post(reverse("admin:leads_lead_do", args=[back.pk, "take-back"]))
        conversation.wait(minutes=1)
        conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        assert Attempt.objects.filter(state="sent", enrollment__lead=back).count() == 1

    def test_another_number_of_the_person_is_another_number(self, conversation, agent):
        agent.answers = [(410, {}), (200, {})]
        lead = conversation.agent_writes()
        conversation.run(timedelta(hours=1))
        Lead.objects.filter(pk=lead.pk).update(phone="+5511988887777", phone_key="+5511988887777")
        conversation.agent_writes(phone="+5511988887777")
        conversation.run(timedelta(hours=1))
        assert states() == ["unreachable", "sent"]


def test_what_was_really_said_is_what_the_timeline_shows(conversation, agent):
    agent.answers = [(200, {"text": "Oi Maria, conseguiu olhar a proposta?"})]
    conversation.agent_writes()
    conversation.run(timedelta(hours=1))
    event = Event.objects.get(kind=Event.Kind.FOLLOW_UP)
    assert event.data["text"] == "Oi Maria, conseguiu olhar a proposta?" == Attempt.objects.get().text
    assert event.data["asked_to_say"].startswith("Oi! Ficou alguma dúvida")


@pytest.mark.parametrize("text", ["parar", " Pare! ", "STOP"])
def test_f15_a_farewell_is_no_reply(conversation, text):
    lead = conversation.agent_writes()
    conversation.run(10 * DAY)
    assert stage_of(lead) == "not_interested"
    conversation.lead_writes(text)
    assert stage_of(lead) == "not_interested"
    assert Lead.objects.get(pk=lead.pk).opted_out_at
    assert not Event.objects.filter(kind=Event.Kind.STAFF_TOLD).exists()
    # Who has opted out and then writes is a person who writes.
    conversation.lead_writes("Mudei de ideia, quero sim")
    assert stage_of(lead) == "qualifying"


def test_a_long_message_is_no_farewell(pipeline):
    assert not optout.asks_to_stop("parar " * 1000, pipeline)
    assert optout.asks_to_stop("(Parar...)", pipeline)


def test_the_event_says_all_that_an_agent_needs(conversation, agent, account):
    meeting = TUESDAY + 2 * DAY + timedelta(hours=5)
    lead = conversation.meeting("scheduled", meeting)
    conversation.lead_writes(phone="551188776655@s.whatsapp.net", facts={"email": "a@example.com"})
    conversation.meeting("scheduled", meeting, phone="551188776655@s.whatsapp.net")
    other = Lead.objects.get(whatsapp_id="551188776655@s.whatsapp.net")
    Card.objects.update_or_create(lead=other, defaults={"account": account, "kommo_lead_id": 77})
    conversation.run(3 * DAY)
    by_id = {body["data"]["lead"]["id"]: body["data"]["lead"] for body in due_followups(agent)}
    person = by_id[str(other.pk)]
    assert (person["email"], person["pipeline"], person["kommo_lead_id"]) == ("a@example.com", "solar", 77)
    assert person["meeting"]["starts_at"] == meeting.isoformat()
    assert person["addresses"] == [
        {"kind": "whatsapp", "value": "551188776655@s.whatsapp.net"},
        {"kind": "phone", "value": "+5511988776655"},
    ]
    assert by_id[str(lead.pk)]["addresses"] == [{"kind": "phone", "value": MARIA}]
    assert by_id[str(lead.pk)]["kommo_lead_id"] is None
