"""The pictures beside the results, each against a naive count of the same rows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.selectors import pictures, results
from bridge.selectors.results import Period
from leads import funnel
from leads.models import Lead, Meeting, Message, Milestone, Pipeline, Stay
from tests.conftest import record

ZONE = ZoneInfo("America/Sao_Paulo")
# A Wednesday.
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=ZONE)
PERIOD = Period(NOW.date() - timedelta(days=29), NOW.date(), "America/Sao_Paulo")
MINUTES_BACK = st.integers(0, 40 * 24 * 60)
slowly = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def lead(pipeline):
    found = record(pipeline).lead
    Lead.objects.filter(pk=found.pk).update(created_at=NOW)
    Message.objects.all().delete()
    return found


def back(minutes):
    return NOW - timedelta(minutes=minutes)


def exceeded_by_few(values, share):
    return sorted(values)[ceil(share * len(values)) - 1]


@slowly
@given(st.lists(st.tuples(st.integers(0, 2), MINUTES_BACK, st.integers(0, 90_000)), max_size=30))
def test_half_and_nine_tenths_of_those_that_left_a_stage_had_left_it_by_then(pipeline, lead, history):
    Stay.objects.filter(left_at__isnull=False).delete()
    stages = list(pipeline.stages.order_by("rank")[:3])
    naive: dict[int, list[timedelta]] = {}
    for place, minutes, seconds in history:
        left_at, spent = back(minutes), timedelta(seconds=seconds)
        Stay.objects.create(lead=lead, stage=stages[place], entered_at=left_at - spent, left_at=left_at)
        if PERIOD.begins_at <= left_at < PERIOD.ends_at:
            naive.setdefault(stages[place].pk, []).append(spent)
    assert pictures.stage_times(pipeline, PERIOD) == {
        pk: {"p50": exceeded_by_few(spans, 0.5), "p90": exceeded_by_few(spans, 0.9)} for pk, spans in naive.items()
    }


@slowly
@given(st.lists(st.tuples(st.sampled_from(["Ana", "Bia", ""]), MINUTES_BACK, st.integers(0, 90_000)), max_size=30))
def test_waits_are_told_by_who_ended_them(pipeline, lead, history):
    Milestone.objects.all().delete()
    naive: dict[str, list[int]] = {}
    for name, minutes, seconds in history:
        kind = Milestone.Kind.HANDOFF_WAIT
        Milestone.objects.create(
            lead=lead, pipeline=pipeline, kind=kind, at=back(minutes), seconds=seconds, detail=name
        )
        if PERIOD.begins_at <= back(minutes) < PERIOD.ends_at:
            naive.setdefault(name, []).append(seconds)
    found = pictures.waits_by_person(pipeline, PERIOD)
    assert {row["name"]: (row["count"], row["p50"].total_seconds(), row["p90"].total_seconds()) for row in found} == {
        name: (len(waits), exceeded_by_few(waits, 0.5), exceeded_by_few(waits, 0.9)) for name, waits in naive.items()
    }


@slowly
@given(st.lists(st.tuples(MINUTES_BACK, st.integers(0, 200_000)), max_size=30))
def test_first_replies_are_told_by_whether_people_were_at_work_when_the_lead_wrote(pipeline, lead, history):
    Milestone.objects.all().delete()
    naive, by_week = {True: [], False: []}, {}
    for minutes, seconds in history:
        at = back(minutes)
        Milestone.objects.create(lead=lead, pipeline=pipeline, kind="first_reply", at=at, seconds=seconds)
        if at >= PERIOD.begins_at:
            # What happened is counted in UTC: on a night when clocks change, an hour is an hour.
            wrote_at = (at.astimezone(UTC) - timedelta(seconds=seconds)).astimezone(ZONE)
            in_office = wrote_at.weekday() < 5 and 8 <= wrote_at.hour < 18
            naive[in_office].append(seconds)
            monday = at.date() - timedelta(days=at.weekday())
            by_week.setdefault(monday, {True: [], False: []})[in_office].append(seconds)

    assert pictures.first_replies(pipeline, PERIOD) == {
        in_office: {
            name: timedelta(seconds=exceeded_by_few(waits, share)) for name, share in (("p50", 0.5), ("p90", 0.9))
        }
        for in_office, waits in naive.items()
        if waits
    }
    assert pictures.first_replies_by_week(pipeline, PERIOD) == [
        {
            "week": monday,
            "in_office": timedelta(seconds=exceeded_by_few(waits[True], 0.5)) if waits[True] else None,
            "outside": timedelta(seconds=exceeded_by_few(waits[False], 0.5)) if waits[False] else None,
        }
        for monday, waits in sorted(by_week.items())
    ]


@slowly
@given(st.lists(st.tuples(MINUTES_BACK, st.sampled_from(["inbound", "outbound", "staff"])), max_size=30))
def test_messages_of_leads_are_counted_by_weekday_and_hour_of_the_pipelines_clock(pipeline, lead, history):
    Message.objects.all().delete()
    naive: Counter[tuple[int, int]] = Counter()
    for minutes, direction in history:
        Message.objects.create(lead=lead, direction=direction, at=back(minutes), state="received")
        local = back(minutes).astimezone(ZONE)
        if direction == "inbound" and PERIOD.begins_at <= back(minutes) < PERIOD.ends_at:
            naive[local.weekday(), local.hour] += 1
    table = pictures.arrivals(pipeline, PERIOD)
    assert {(day, hour): n for day, hours in enumerate(table) for hour, n in enumerate(hours) if n} == dict(naive)


# Days since arrival; whether they qualified, booked and were won.
LIVES = st.lists(st.tuples(st.integers(0, 100), st.booleans(), st.booleans(), st.booleans()), max_size=12)


@slowly
@given(LIVES)
def test_cohorts_say_what_became_of_those_that_came_in_a_week(pipeline, history):
    Lead.objects.all().delete()
    key = {"qualified": results.qualified_stages(pipeline)[0], "won": results.won_stages(pipeline)[0]}
    naive: Counter[tuple[object, str]] = Counter()
    for number, (days, *became) in enumerate(history):
        at = NOW - timedelta(days=days)
        lead = Lead.objects.create(
            pipeline=pipeline, phone_key=f"n{number}", created_at=at, updated_at=at, stage_set_at=at
        )
        monday = at.date() - timedelta(days=at.weekday())
        naive[monday, "leads"] += 1
        for name, is_so in zip(("qualified", "meetings_booked", "won"), became, strict=True):
            naive[monday, name] += is_so
            if is_so and name in key:
                Stay.objects.create(lead=lead, stage_id=key[name], entered_at=at, left_at=at)
                # Twice is once.
                Stay.objects.create(lead=lead, stage_id=key[name], entered_at=at, left_at=at)
            elif is_so:
                Meeting.objects.create(
                    lead=lead, meeting_id="a", status="scheduled", began_as="scheduled", first_told_at=at, told_at=at
                )
    weeks = pictures.cohorts(pipeline, today=NOW.date())
    assert len(weeks) == pictures.WEEKS
    assert [week["week"].weekday() for week in weeks] == [0] * pictures.WEEKS
    for week in weeks:
        for name in ("leads", "qualified", "meetings_booked", "won"):
            assert week[name] == naive[week["week"], name], (week["week"], name)


def test_what_is_at_stake_are_the_bills_of_those_a_sale_may_still_come_of(pipeline):
    for number, (key, bill) in enumerate([("new", 400), ("new", None), ("qualified", 900), ("disqualified", 5000)]):
        lead = record(pipeline, f"+55819999900{number:02}").lead
        Lead.objects.filter(pk=lead.pk).update(stage=pipeline.stages.get(key=key), bill_value=bill)
    found = {row["stage"].key: (row["leads"], row["value"]) for row in pictures.at_stake(pipeline) if row["leads"]}
    assert found == {"new": (2, Decimal(400)), "qualified": (1, Decimal(900))}


STANDING = st.lists(
    st.tuples(
        # Where they stand, a place of other people's among them, and whose they are.
        st.sampled_from(["new", "qualifying", "qualified", "meeting_scheduled", "human_handoff", "disqualified", None]),
        st.none() | st.decimals(0, 90_000, places=2),
        st.booleans(),
    ),
    max_size=20,
)


@slowly
@given(STANDING)
def test_what_is_at_stake_is_what_somebody_adds_up_who_looks_at_every_lead(pipeline, history):
    Lead.objects.all().delete()
    other = Pipeline.objects.get_or_create(slug="other", defaults={"name": "Outro"})[0]
    stages = {stage.key: stage for stage in pipeline.stages.all()}
    for number, (key, bill, is_ours) in enumerate(history):
        Lead.objects.create(
            pipeline=pipeline if is_ours else other,
            phone_key=f"s{number}",
            stage=stages.get(key) if is_ours else None,
            bill_value=bill,
            created_at=NOW,
            updated_at=NOW,
            stage_set_at=NOW,
        )
    alive = [stage for stage in stages.values() if stage.kind == "open" and not stage.reachable_from_anywhere]
    naive = {
        stage.key: (
            sum(1 for key, _bill, is_ours in history if is_ours and key == stage.key),
            sum((bill or 0 for key, bill, is_ours in history if is_ours and key == stage.key), Decimal(0)),
        )
        for stage in alive
    }
    found = pictures.at_stake(pipeline)
    assert {row["stage"].key: (row["leads"], row["value"]) for row in found} == naive
    assert [row["stage"].rank for row in found] == sorted(row["stage"].rank for row in found)
    # The overview adds up the same money from its own count.
    places = funnel.places(pipeline, funnel.lately(pipeline, now=NOW))
    assert sum(place.value for place in places if place.stage.is_alive) == sum(row["value"] for row in found)


def test_each_picture_costs_the_same_for_any_number_of_rows(pipeline):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            pictures.cohorts(pipeline, today=NOW.date())
            pictures.arrivals(pipeline, PERIOD)
            pictures.stage_times(pipeline, PERIOD)
            pictures.waits_by_person(pipeline, PERIOD)
            pictures.first_replies(pipeline, PERIOD)
            pictures.first_replies_by_week(pipeline, PERIOD)
            pictures.at_stake(pipeline)
        return len(queries)

    # By the second look this process has the rules in mind, whichever test ran before.
    for number in range(2):
        record(pipeline, f"+55819999800{number:02}", qualification_score=82)
        few = cost()
    for number in range(8):
        record(pipeline, f"+55819999900{number:02}", qualification_score=82)
    assert cost() == few
