"""Words that stay true when the time moves: hours move a reminder, and its words move along, or it is left out."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from followups import stopping
from followups.enrollment_story import story
from followups.models import Attempt, Enrollment, Sequence, Step
from followups.schedule import WEEKDAYS
from leads import interaction_values, interactions
from leads.interaction_values import Meeting
from leads.models import Lead, Pipeline
from leads.phone import parse
from tests.followups.conftest import TUESDAY
from tests.followups.simulation import Noted, Worker, forgotten, minutes

SAO_PAULO = ZoneInfo("America/Sao_Paulo")


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a time of November 2026 in São Paulo; the 24th is a Tuesday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=SAO_PAULO)


def reminder_texts(agent):
    return [body["data"]["text"].removeprefix("Oi! ") for body in agent.bodies() if body["type"] == "followup.due"]


def times():
    rows = Attempt.objects.filter(state="sent").order_by("ended_at").values_list("ended_at", flat=True)
    return [f"{at.astimezone(SAO_PAULO):%a %H:%M}" for at in rows]


def test_the_shipped_texts_say_the_day_as_it_is(conversation, agent):
    conversation.meeting("scheduled", local(27, 15))
    conversation.run(timedelta(days=5))
    assert reminder_texts(agent) == ["Lembrando da nossa reunião: amanhã às 15:00.", "Nossa reunião é hoje às 15:00."]


def test_a_reminder_that_would_leave_the_evening_before_is_left_out_where_one_was_given(conversation, agent):
    conversation.meeting("scheduled", local(27, 8))
    conversation.run(timedelta(days=5))
    assert reminder_texts(agent) == ["Lembrando da nossa reunião: amanhã às 08:00."]
    assert times() == ["Thu 08:00"]


def test_the_only_reminder_there_is_comes_the_evening_before_in_words_that_are_true(conversation, agent):
    conversation.now = local(26, 18)
    conversation.meeting("scheduled", local(27, 8))
    conversation.run(timedelta(days=3))
    assert reminder_texts(agent) == ["Nossa reunião é amanhã às 08:00."]
    assert times() == ["Thu 19:59"]


@pytest.mark.parametrize("hour", [(9, 0), (10, 0), (8, 30)])
def test_two_reminders_that_a_closed_day_moves_to_one_moment_are_one(conversation, agent, hour):
    conversation.meeting("scheduled", local(30, *hour))
    conversation.run(timedelta(days=8))
    assert reminder_texts(agent) == [f"Lembrando da nossa reunião: hoje às {hour[0]:02}:{hour[1]:02}."]
    assert times() == ["Mon 08:00"]


def test_a_closed_day_before_moves_the_first_and_leaves_the_second(conversation, agent):
    conversation.meeting("scheduled", local(30, 15))
    conversation.run(timedelta(days=8))
    assert times() == ["Mon 08:00", "Mon 13:00"]


def test_a_sunday_meeting_is_not_called_todays_on_saturday(conversation, agent):
    conversation.meeting("scheduled", local(29, 15))
    conversation.run(timedelta(days=8))
    assert reminder_texts(agent) == ["Lembrando da nossa reunião: amanhã às 15:00."]


def test_one_that_did_not_reach_anybody_covers_nothing(conversation, agent):
    agent.answers = [(200, {"skip": True}), (200, {})]
    conversation.meeting("scheduled", local(27, 8))
    conversation.run(timedelta(days=5))
    assert times() == ["Thu 19:59"]
    assert reminder_texts(agent)[-1] == "Nossa reunião é amanhã às 08:00."


def test_one_that_must_be_on_time_is_left_out_where_the_hours_move_it(conversation, agent):
    Step.objects.filter(sequence__slug="meeting_reminders").update(only_on_time=True)
    conversation.now = local(26, 18)
    lead = conversation.meeting("scheduled", local(27, 8))
    conversation.run(timedelta(days=3))
    assert reminder_texts(agent) == []
    assert not Enrollment.objects.filter(lead=lead).exists()


def test_one_that_must_be_on_time_comes_where_it_can(conversation, agent):
    Step.objects.filter(sequence__slug="meeting_reminders").update(only_on_time=True)
    conversation.meeting("scheduled", local(27, 15))
    conversation.run(timedelta(days=5))
    assert times() == ["Thu 15:00", "Fri 13:00"]


def test_a_message_after_silence_may_have_to_be_on_time_as_well(conversation, agent, enrollment_of):
    Step.objects.filter(sequence__slug="reengagement", position=1).update(only_on_time=True)
    conversation.now = local(24, 19, 45)
    lead = conversation.agent_writes()
    assert enrollment_of(lead).step == 2


def test_what_is_to_come_shows_what_is_left_out_and_why(conversation, enrollment_of):
    lead = conversation.meeting("scheduled", local(27, 8))
    lines = story(enrollment_of(lead, "meeting_scheduled"))
    assert lines[0].text.endswith("amanhã às 08:00.")
    assert (lines[1].at, lines[1].why) == (
        None,
        "an earlier one has reminded, and this one would come on another day than meant",
    )


class TestWhoseClock:
    MEETING = local(27, 11, 50)

    def texts_of(self, conversation, agent, phone, **facts):
        conversation.lead_writes(phone=phone, **facts)
        conversation.meeting("scheduled", self.MEETING, phone=phone)
        conversation.run(timedelta(days=2, hours=12))
        return reminder_texts(agent)

    def test_a_guess_from_the_area_code_does_not_change_the_hour_but_has_the_clock_named(self, conversation, agent):
        texts = self.texts_of(conversation, agent, "+5592999990000")
        assert texts == ["Lembrando da nossa reunião: amanhã às 11:50 (horário de São Paulo)."]

    def test_a_stated_zone_is_theirs_and_is_named(self, conversation, agent):
        texts = self.texts_of(conversation, agent, "+5511999990001", custom={"time_zone": "America/Manaus"})
        assert texts == ["Lembrando da nossa reunião: amanhã às 10:50 (horário de Manaus)."]

    def test_who_says_they_are_here_is_here_whatever_the_area_code(self, conversation, agent):
        texts = self.texts_of(conversation, agent, "+5592999990000", custom={"time_zone": "America/Sao_Paulo"})
        assert texts == ["Lembrando da nossa reunião: amanhã às 11:50."]

    def test_another_name_of_the_same_hour_is_not_named(self, conversation, agent):
        assert self.texts_of(conversation, agent, "+5581999990000") == ["Lembrando da nossa reunião: amanhã às 11:50."]

    @pytest.mark.parametrize(("locale", "wording"), [("en_US", "tomorrow at 11:50"), ("es", "mañana a las 11:50")])
    def test_the_pipelines_language_is_spoken(self, conversation, agent, pipeline, locale, wording):
        Pipeline.objects.update(locale=locale)
        [text] = self.texts_of(conversation, agent, "+5511999990001")
        assert wording in text


def test_what_is_tried_again_on_another_day_is_said_in_the_words_of_that_day(conversation, agent, pipeline):
    Pipeline.objects.update(quiet_from=None, quiet_to=None)
    conversation.now = local(25, 23, 0)
    conversation.meeting("scheduled", local(26, 1, 30))
    conversation.now = local(25, 23, 50)
    agent.answers = [(503, {}), (200, {})]
    conversation.tick()
    conversation.now = local(26, 0, 10)
    conversation.tick()
    assert reminder_texts(agent) == ["Nossa reunião é amanhã à 01:30.", "Nossa reunião é hoje à 01:30."]
    assert len(set(agent.ids())) == 1
    assert Attempt.objects.get(state="sent").text.endswith("hoje à 01:30.")


HOURS = st.one_of(st.none(), st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda two: two[0] != two[1]))
BEFORES = st.lists(st.integers(5, 60 * 60).map(minutes), min_size=1, max_size=3, unique=True).map(
    lambda found: sorted(found, reverse=True)
)


@pytest.mark.django_db
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 14 * 24 * 60).map(minutes),
    HOURS,
    st.sets(st.sampled_from(WEEKDAYS), min_size=2),
    BEFORES,
    st.lists(st.sampled_from([0, 0, 1, 7, 90, 700]), min_size=1, max_size=4),
    st.sampled_from(["America/Sao_Paulo", "Pacific/Apia", "America/Havana"]),
)
def test_a_reminders_words_always_match_the_day_on_which_it_leaves(ahead, hours, days, befores, lateness, zone):
    with forgotten():
        Pipeline.objects.update(
            quiet_from=time(hours[0]) if hours else None,
            quiet_to=time(hours[1]) if hours else None,
            sending_weekdays=sorted(days),
            time_zone=zone,
        )
        sequence = Sequence.objects.get(slug="meeting_reminders")
        sequence.steps.all().delete()
        for number, before in enumerate(befores, 1):
            Step.objects.create(sequence=sequence, position=number, before=before, text="{{ meeting.when }}")
        start, meeting = TUESDAY, TUESDAY + ahead
        interaction = interaction_values.Interaction(
            phone=parse("+18005550100", region="US"),
            occurred_at=start,
            context={"meeting": Meeting(status="scheduled", id="evt", starts_at=meeting)},
        )
        interactions.record(interaction, pipeline=Pipeline.objects.get(slug="solar"), now=start)
        given_at = []

        def look(message, now):
            there = meeting.astimezone(ZoneInfo(zone))
            days_ahead = (there.date() - now.astimezone(ZoneInfo(zone)).date()).days
            assert now < meeting
            assert message.text.startswith("hoje ") is (days_ahead == 0)
            assert message.text.startswith("amanhã ") is (days_ahead == 1)
            meant = (meeting - befores[message.step - 1]).astimezone(ZoneInfo(zone)).date()
            # Only the first one may come on a day for which it was not meant.
            assert not given_at or now.astimezone(ZoneInfo(zone)).date() == meant
            given_at.append(now)

        channel = Noted(look)
        worker, now = Worker(channel), start
        for number in range(50):
            enrollment = Enrollment.objects.first()
            if enrollment is None or enrollment.next_at is None:
                break
            now = max(now, enrollment.next_at) + minutes(lateness[number % len(lateness)])
            worker.look(now)
        assert channel.complaints == []
        assert stopping.live(Lead.objects.get()) == []
