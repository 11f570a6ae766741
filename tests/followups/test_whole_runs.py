"""Whole runs, whatever the zone, the hours, the holidays, the delays and a worker that comes late."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from followups.models import Attempt, Enrollment, Sequence, Step
from followups.next_step import hours_of
from followups.schedule import WEEKDAYS
from leads import interaction_values, interactions
from leads.interaction_values import Direction, Message
from leads.models import Lead, Pipeline
from leads.phone import parse
from tests.followups.simulation import Noted, Worker, forgotten, minutes
from tests.followups.wall_clock import on_the_wall

# A toll-free number lies nowhere, so the pipeline's zone decides.
NOWHERE = "+18005550100"
# Around the nights in which clocks were or will be changed, in both hemispheres.
STARTS = st.one_of(
    st.sampled_from(
        [
            datetime(2018, 11, 3, 20, tzinfo=UTC),
            datetime(2019, 2, 16, 20, tzinfo=UTC),
            datetime(2026, 3, 28, 20, tzinfo=UTC),
            datetime(2026, 10, 24, 20, tzinfo=UTC),
            datetime(2011, 12, 29, 8, tzinfo=UTC),
            datetime(2026, 12, 24, 12, tzinfo=UTC),
        ]
    ),
    st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
ZONES = st.sampled_from(
    ["America/Sao_Paulo", "Europe/Lisbon", "America/Havana", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo"]
)
QUIET = st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda hours: hours[0] != hours[1])
DAYS = st.sets(st.sampled_from(WEEKDAYS), min_size=2)
DELAYS = st.lists(st.timedeltas(timedelta(minutes=1), timedelta(days=3)), min_size=1, max_size=4)
# How long after something falls due the worker looks; mostly soon, at times an outage.
LATENESS = st.lists(st.sampled_from([0, 0, 0, 1, 20, 200, 900, 3000]), min_size=1, max_size=6)


@pytest.mark.django_db
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STARTS, ZONES, QUIET, DAYS, st.sampled_from(["", "BR", "PT", "US"]), DELAYS, LATENESS)
@example(
    datetime(2018, 11, 3, 20, tzinfo=UTC), "America/Sao_Paulo", (23, 1), set(WEEKDAYS), "BR", [minutes(240)] * 2, [0]
)
# A window of two hours, and a worker that looks only once it has closed: missed in the end, not put off for ever.
@example(datetime(2018, 11, 3, 20, tzinfo=UTC), "America/Sao_Paulo", (2, 0), set(WEEKDAYS), "", [minutes(1)], [200])
def test_steps_come_in_order_in_their_hours_none_skipped_and_none_doubled(
    start, zone, quiet, days, country, delays, lateness
):
    with forgotten():
        pipeline = _pipeline(zone, quiet, days, country, delays)
        enrollment = _enroll(pipeline, start)
        channel = Noted()
        _run(Worker(channel), enrollment, start, lateness)
        _check(enrollment, channel, pipeline, start, delays)


def _pipeline(zone, quiet, days, country, delays) -> Pipeline:
    pipeline = Pipeline.objects.get(slug="solar")
    pipeline.time_zone, pipeline.holidays_country, pipeline.holidays_subdivision = zone, country, ""
    pipeline.quiet_from, pipeline.quiet_to = time(quiet[0]), time(quiet[1])
    pipeline.sending_weekdays = sorted(days)
    pipeline.save()
    Sequence.objects.filter(slug="reengagement").update(give_up_after=timedelta(hours=5))
    sequence = Sequence.objects.get(slug="reengagement")
    sequence.steps.all().delete()
    Step.objects.bulk_create(
        Step(sequence=sequence, position=number, delay=delay, text=f"Passo {number}")
        for number, delay in enumerate(delays, 1)
    )
    return pipeline


def _enroll(pipeline: Pipeline, start: datetime) -> Enrollment:
    message = Message(Direction.OUTBOUND, text="Olá")
    interaction = interaction_values.Interaction(phone=parse(NOWHERE, region="US"), occurred_at=start, message=message)
    interactions.record(interaction, pipeline=pipeline, now=start)
    return Enrollment.objects.get()


def _run(worker: Worker, enrollment: Enrollment, start: datetime, lateness: list[int]) -> None:
    now, looks = start, 0
    while True:
        enrollment.refresh_from_db()
        if enrollment.next_at is None:
            return
        assert looks < 200, "it never ends"
        now = max(now, enrollment.next_at) + minutes(lateness[looks % len(lateness)])
        worker.look(now)
        looks += 1


def _check(enrollment: Enrollment, channel: Noted, pipeline: Pipeline, start: datetime, delays) -> None:
    attempts = list(Attempt.objects.filter(enrollment=enrollment).order_by("created_at", "step"))
    # None skipped, none doubled, in order: one row for each step, sent or missed.
    assert [attempt.step for attempt in attempts] == list(range(1, len(delays) + 1))
    assert {attempt.state for attempt in attempts} <= {"sent", "missed"}
    sent = [(message.step, at) for message, at in channel.given]
    assert sent == [(attempt.step, attempt.ended_at) for attempt in attempts if attempt.state == "sent"]
    for _step, at in sent:
        assert on_the_wall(at, hours_of(pipeline), pipeline.time_zone)
    before = start
    for attempt, delay in zip(attempts, delays, strict=True):
        # At or after its due time, which keeps its distance from whatever came before, late or not.
        assert attempt.ended_at >= attempt.due_at >= before + delay
        before = attempt.ended_at
    # Given up exactly when every message was given.
    given_up = Lead.objects.get(pk=enrollment.lead_id).stage.key == "not_interested"
    assert given_up is all(attempt.state == "sent" for attempt in attempts)
