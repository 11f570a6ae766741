"""One person in several pipelines: an answer is heard everywhere, and two messages to one phone keep a distance."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from followups import unreachable_numbers
from followups.models import Attempt, Enrollment, Sequence, Step
from leads import address_owners, interaction_values, interactions
from leads.interaction_values import Direction, Message
from leads.models import Event, FurtherAddress, Lead, Pipeline, Stage
from leads.phone import parse
from tests.followups.conftest import MARIA, TUESDAY
from tests.followups.simulation import Noted, Worker, forgotten, minutes
from tests.saying import saying

HOUR = timedelta(hours=1)


def sent():
    rows = Attempt.objects.filter(state="sent").order_by("ended_at")
    return [(row.enrollment.sequence.slug, row.ended_at) for row in rows.select_related("enrollment__sequence")]


def test_an_answer_in_one_pipeline_ends_the_silence_in_every_other(conversation, clinic, enrollment_of):
    here = conversation.agent_writes()
    there = clinic.agent_writes()
    conversation.wait(minutes=5)
    conversation.lead_writes("Oi")
    assert enrollment_of(here).reason == "the lead has answered"
    assert enrollment_of(there).reason == "the person has answered in another pipeline"
    assert saying(Event.objects.filter(lead=there), "the person has answered in another pipeline", str.endswith)


def test_who_is_new_to_a_pipeline_answers_what_another_has_said(conversation, clinic, enrollment_of):
    here = conversation.agent_writes()
    clinic.wait(minutes=5)
    clinic.lead_writes("Oi, quero marcar")
    assert enrollment_of(here).reason == "the person has answered in another pipeline"


def test_what_was_written_long_before_is_no_answer(conversation, clinic, enrollment_of):
    clinic.now -= timedelta(days=30)
    clinic.lead_writes("Oi")
    here = conversation.agent_writes()
    clinic.lead_writes("Alguém aí?")
    assert enrollment_of(here).state == "waiting"


def test_reminders_of_a_meeting_elsewhere_stay(conversation, clinic, enrollment_of):
    lead = conversation.meeting("scheduled", TUESDAY + timedelta(days=3))
    clinic.lead_writes("Oi")
    assert enrollment_of(lead, Sequence.StartsOn.MEETING_SCHEDULED).state == "waiting"


def test_somebody_elses_answer_is_not_this_persons(conversation, clinic, enrollment_of):
    here = conversation.agent_writes()
    clinic.lead_writes("Oi", phone="+5511988887777")
    assert enrollment_of(here).state == "waiting"


def test_what_is_claimed_when_the_answer_comes_does_not_leave(conversation, clinic, agent):
    from followups import claiming, dispatch

    conversation.agent_writes()
    conversation.wait(minutes=30)
    attempts = claiming.claim("test", conversation.now)
    clinic.wait(minutes=29)
    clinic.lead_writes("Oi")
    worker = Worker(Noted())
    worker.send(attempts, conversation.now)
    assert worker.channel.given == []
    assert Attempt.objects.get().state == "dropped"
    assert dispatch.has_work(conversation.now) is False


def test_two_pipelines_do_not_write_within_the_hour(conversation, clinic, agent, enrollment_of):
    conversation.agent_writes()
    there = clinic.agent_writes()
    conversation.run(2 * HOUR)
    assert sent()[:2] == [("reengagement", TUESDAY + HOUR / 2), ("retomada", TUESDAY + 1.5 * HOUR)]
    waited = enrollment_of(there)
    assert waited.complete
    pipelines = [body["data"]["lead"]["pipeline"] for body in agent.bodies() if body["type"] == "followup.due"]
    assert pipelines[:2] == ["solar", "clinica"]


@pytest.mark.parametrize(("distance", "apart"), [(timedelta(minutes=10), timedelta(minutes=10)), (None, timedelta(0))])
def test_the_distance_is_the_pipelines_own(conversation, clinic, distance, apart):
    Pipeline.objects.update(followup_distance=distance)
    conversation.agent_writes()
    clinic.agent_writes()
    conversation.run(HOUR)
    (_, first), (_, second), *_ = sent()
    assert second - first == apart


def test_the_steps_of_one_sequence_are_as_far_apart_as_it_says(clinic):
    clinic.agent_writes()
    clinic.run(2 * HOUR)
    assert [at - TUESDAY for _, at in sent()] == [HOUR / 2, HOUR]


def test_two_people_wait_for_nobody(conversation, clinic):
    conversation.agent_writes()
    clinic.agent_writes(phone="+5511988887777")
    conversation.run(HOUR / 2)
    assert len(sent()) == 2


def test_a_person_who_presses_send_now_waits_for_nobody(conversation, clinic, enrollment_of):
    from followups import staff_actions

    conversation.agent_writes()
    there = clinic.agent_writes()
    conversation.run(HOUR / 2)
    staff_actions.send_now(enrollment_of(there), who="ana", now=conversation.now)
    conversation.tick()
    assert len(sent()) == 2


def test_a_wait_for_another_pipeline_is_told_and_is_no_lateness(conversation, clinic, enrollment_of):
    conversation.agent_writes()
    there = clinic.agent_writes()
    conversation.run(HOUR / 2)
    assert enrollment_of(there).next_reason == "another pipeline has just written to this number"
    assert enrollment_of(there).late_so_far is None


@pytest.mark.django_db
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 240), st.lists(st.integers(1, 200), min_size=1, max_size=3)), min_size=2, max_size=4
    ),
    st.integers(1, 300).map(minutes),
    st.lists(st.sampled_from([0, 0, 1, 20, 130]), min_size=1, max_size=4),
    st.booleans(),
)
def test_whatever_the_pipelines_want_two_of_them_keep_the_distance(pipelines, distance, lateness, dies):
    with forgotten():
        Sequence.objects.all().delete()
        moments = []
        for number, (starts, delays) in enumerate(pipelines):
            pipeline = Pipeline.objects.create(slug=f"p{number}", name="P", followup_distance=distance)
            Stage.objects.create(pipeline=pipeline, key="novo", name="NOVO", rank=1)
            sequence = Sequence.objects.create(pipeline=pipeline, slug="s", starts_on="agent_unanswered")
            for position, delay in enumerate(delays, 1):
                Step.objects.create(sequence=sequence, position=position, delay=minutes(delay), text="Oi")
            moments.append((TUESDAY + minutes(starts), pipeline))
        channel, now = Noted(), TUESDAY
        worker = Worker(channel)
        for moment, pipeline in sorted(moments, key=lambda entry: entry[0]):
            message = Message(Direction.OUTBOUND, text="Olá")
            interaction = interaction_values.Interaction(
                phone=parse(MARIA, region="BR"), occurred_at=moment, message=message
            )
            interactions.record(interaction, pipeline=pipeline, now=moment)
        for number in range(200):
            due = Enrollment.objects.filter(state="waiting", next_at__isnull=False).order_by("next_at").first()
            if due is None:
                break
            now = max(now, due.next_at) + minutes(lateness[number % len(lateness)])
            if dies and number % 3 == 0 and (attempts := worker.claim(now)):
                worker.send(attempts, now, dies=True)
            worker.look(now)
        given_to = [(message.lead["pipeline"], at, message.attempt_id) for message, at in channel.given]
        for later, before in zip(given_to[1:], given_to, strict=False):
            if later[0] != before[0] and later[2] != before[2]:
                assert later[1] - before[1] >= distance
        assert Lead.objects.count() == len(pipelines)
        assert not Enrollment.objects.filter(state="waiting").exists()


# --- One person by several addresses


def known_by_both(lead: Lead, *others: Lead) -> None:
    """Let leads of several pipelines be known by one hidden id as well."""
    for person in (lead, *others):
        FurtherAddress.objects.create(
            lead=person, pipeline=person.pipeline, key="lid:99887766@lid", value="99887766@lid", seen_in="report",
            first_seen_at=TUESDAY,
        )  # fmt: skip


OTHER = "+5511977776666"


def test_an_answer_from_another_address_ends_the_silence_elsewhere(conversation, clinic, enrollment_of):
    here, there = conversation.agent_writes(), clinic.agent_writes(phone=OTHER)
    known_by_both(here, there)
    clinic.wait(minutes=5)
    clinic.lead_writes("Oi", phone=OTHER)
    assert enrollment_of(here).reason == "the person has answered in another pipeline"


def test_two_messages_keep_their_distance_whatever_addresses_they_go_to(conversation, clinic, enrollment_of):
    here, there = conversation.agent_writes(), clinic.agent_writes(phone=OTHER)
    known_by_both(here, there)
    conversation.run(2 * HOUR)
    assert [at - TUESDAY for _, at in sent()[:2]] == [HOUR / 2, 1.5 * HOUR]


def test_a_number_that_nothing_reaches_is_the_persons_by_every_address(conversation, clinic, agent, enrollment_of):
    here, there = conversation.agent_writes(), clinic.agent_writes(phone=OTHER)
    known_by_both(here, there)
    agent.answers = [(410, {"reason": "invalid"})]
    conversation.run(HOUR / 2)
    assert enrollment_of(here).state == enrollment_of(there).state == "cancelled"
    found = unreachable_numbers.reasons([Lead.objects.get(pk=here.pk), Lead.objects.get(pk=there.pk)])
    # By the address of which it was said; the other lead has it not.
    assert list(found) == [here.pk]


def test_a_person_is_whoever_is_reached_from_address_to_address(pipeline, django_assert_num_queries):
    rows = [("a", []), ("b", ["a"]), ("c", ["b"]), ("d", [])]
    leads = {}
    for key, further in rows:
        other = Pipeline.objects.create(slug=key, name=key)
        leads[key] = Lead.objects.create(
            pipeline=other, phone_key=f"external:{key}", stage_set_at=TUESDAY, created_at=TUESDAY, updated_at=TUESDAY
        )
        for external_id in further:
            known = f"external:{external_id}"
            FurtherAddress.objects.create(
                lead=leads[key], pipeline=other, key=known, value=external_id, seen_in="report", first_seen_at=TUESDAY
            )
    found = address_owners.of_same_people(list(leads.values()))
    one_person = {leads[key].pk for key in "abc"}
    assert {key: set(found[lead.pk]) == one_person for key, lead in leads.items()} == {
        "a": True, "b": True, "c": True, "d": False,
    }  # fmt: skip
    assert found[leads["d"].pk] == {leads["d"].pk}
    assert set(address_owners.of_same_people([leads["c"]])[leads["c"].pk]) == one_person
    with django_assert_num_queries(2):
        address_owners.of_same_people([leads["d"]])
