"""Every number of the results against a naive count of the same history, whatever happened and to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.selectors import results
from bridge.selectors.results import Period
from followups.models import Attempt, Enrollment, Sequence
from followups.sequence_versions import pin
from leads.models import Lead, Meeting, Message, Milestone, Objection, Pipeline, Stage, Stay

ZONE = ZoneInfo("America/Sao_Paulo")
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=ZONE)
PERIOD = Period(NOW.date() - timedelta(days=29), NOW.date(), "America/Sao_Paulo")
SAID_BY_NOBODY = ("queued", "not_delivered", "refused")

# How long ago, in minutes: about half of it in the time that is counted, and often at its very ends.
FIRST, LAST = ((NOW - at) // timedelta(minutes=1) for at in (PERIOD.begins_at, PERIOD.ends_at))
back = st.one_of(st.integers(LAST, 60 * 24 * 60), st.sampled_from([FIRST - 1, FIRST, FIRST + 1, LAST, LAST + 1]))


@dataclass(frozen=True)
class Life:
    """What happened to one lead: how many minutes ago, and what."""

    came: int
    is_of_another_pipeline: bool
    stays: list[tuple[int, int]]  # a stage by its place, entered
    meetings: list[tuple[int, str, str, int | None, bool | None]]  # first told, began as, is, starts, by the agent
    waits: list[tuple[int, str, int, str]]  # when, of which kind, seconds, why or who
    objections: list[tuple[int, str]]
    messages: list[tuple[int, str, str]]  # when, by whom, what became of it
    attempts: list[tuple[int, int, str, int | None, bool, bool]]  # sent, step, state, answered after, booked, out


lives = st.builds(
    Life,
    came=back,
    is_of_another_pipeline=st.booleans(),
    stays=st.lists(st.tuples(st.integers(0, 8), back), max_size=5),
    meetings=st.lists(
        st.tuples(
            back,
            st.sampled_from(["scheduled", "rescheduled", "cancelled"]),
            st.sampled_from(["scheduled", "completed", "cancelled"]),
            st.none() | back,
            st.sampled_from([True, False, None]),
        ),
        max_size=3,
    ),
    waits=st.lists(
        st.tuples(
            back,
            st.sampled_from(["first_reply", "handoff_wait", "disqualified"]),
            st.integers(0, 90_000),
            st.sampled_from(["bill_value < 400", "no decision maker", ""]),
        ),
        max_size=4,
    ),
    objections=st.lists(
        st.tuples(back, st.sampled_from(["preço", "prazo"])), max_size=2, unique_by=lambda objection: objection[1]
    ),
    messages=st.lists(
        st.tuples(
            back,
            st.sampled_from(["inbound", "outbound", "staff", "bot"]),
            st.sampled_from(["received", "sent", "delivered", *SAID_BY_NOBODY]),
        ),
        max_size=4,
    ),
    attempts=st.lists(
        st.tuples(
            back,
            st.integers(1, 3),
            st.sampled_from(["sent", "sent", "missed", "not_sent"]),
            st.none() | st.integers(1, 9 * 24 * 60),
            st.booleans(),
            st.booleans(),
        ),
        max_size=3,
    ),
)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def counts(minutes: float) -> bool:
    return PERIOD.begins_at <= ago(minutes) < PERIOD.ends_at


class Told:
    """The history as rows, put in past every service: what is counted are rows, however they came to be."""

    def __init__(self, pipeline: Pipeline, other: Pipeline, sequences: dict[int, Sequence]) -> None:
        self.pipeline, self.other, self.sequences = pipeline, other, sequences
        self.stages = {
            each_pipeline.pk: list(each_pipeline.stages.order_by("rank", "id")) for each_pipeline in (pipeline, other)
        }
        self.numbers = count()

    def write(self, life: Life) -> None:
        pipeline = self.other if life.is_of_another_pipeline else self.pipeline
        at = ago(life.came)
        lead = Lead.objects.create(
            pipeline=pipeline, phone_key=f"n{next(self.numbers)}", created_at=at, updated_at=at, stage_set_at=at
        )
        stages = self.stages[pipeline.pk]
        rows: list[Iterable[Any]] = [
            (
                Stay(lead=lead, stage=stages[place % len(stages)], entered_at=ago(when), left_at=ago(when))
                for place, when in life.stays
            ),
            (
                Meeting(
                    lead=lead, meeting_id=str(number), began_as=began_as, status=status, is_by_agent=is_by_agent,
                    first_told_at=ago(meeting), told_at=ago(meeting), starts_at=None if starts is None else ago(starts),
                )
                for number, (meeting, began_as, status, starts, is_by_agent) in enumerate(life.meetings)
            ),
            (
                Milestone(lead=lead, pipeline=pipeline, kind=kind, at=ago(when), seconds=seconds, detail=detail)
                for when, kind, seconds, detail in life.waits
            ),
            (Objection(lead=lead, name=name, key=name, raised_at=ago(when)) for when, name in life.objections),
            (
                Message(lead=lead, message_id=str(number), at=ago(when), direction=direction, state=state)
                for number, (when, direction, state) in enumerate(life.messages)
            ),
        ]  # fmt: skip
        for made in map(list, rows):
            if made:
                type(made[0])._default_manager.bulk_create(made)
        self._follow_up(life, lead, self.sequences[pipeline.pk])

    def _follow_up(self, life: Life, lead: Lead, sequence: Sequence) -> None:
        for sent, step, state, answered_after, booked, opted_out in life.attempts:
            at = ago(sent)
            enrollment = Enrollment.objects.create(
                lead=lead, sequence=sequence, version=pin(sequence), purpose=sequence.starts_on,
                state=Enrollment.State.FINISHED, anchor_at=at, started_at=at, ended_at=at,
            )  # fmt: skip
            answered = None if answered_after is None else at + timedelta(minutes=answered_after)
            Attempt.objects.create(
                enrollment=enrollment, step=step, state=state, due_at=at, created_at=at, ended_at=at,
                answered_at=answered, booked_at=at if booked else None, opted_out_at=at if opted_out else None,
            )  # fmt: skip


def by_hand(each_told: Told, history: list[Life]) -> dict[str, Any]:
    """Count a history as somebody would who reads it from beginning to end."""
    stages = each_told.stages[each_told.pipeline.pk]
    ours = [life for life in history if not life.is_of_another_pipeline]
    entered: Counter[str] = Counter()
    for life in ours:
        for key in {stages[place % len(stages)].key for place, when in life.stays if counts(when)}:
            entered[key] += 1
    meetings = [meeting for life in ours for meeting in life.meetings]
    booked = [meeting for meeting in meetings if meeting[1] == "scheduled" and counts(meeting[0])]
    spoken = [
        message
        for life in ours
        for message in life.messages
        if message[1] == "outbound" and message[2] not in SAID_BY_NOBODY
    ]
    messages = sum(counts(message[0]) for message in spoken)
    attempts = [attempt for life in ours for attempt in life.attempts if attempt[2] == "sent" and counts(attempt[0])]
    objections = Counter(name for life in ours for when, name in life.objections if counts(when))
    return {
        "leads": sum(counts(life.came) for life in ours),
        "qualified": entered["qualified"],
        "disqualified": entered["disqualified"],
        "won": entered["won"],
        "meetings_booked": len(booked),
        "meetings_booked_by_agent": sum(meeting[4] is True for meeting in booked),
        "meetings_held": sum(
            meeting[2] == "completed" and counts(meeting[0] if meeting[3] is None else meeting[3])
            for meeting in meetings
        ),
        "rescued": sum(was_rescued(life, stages) for life in ours),
        "messages_by_agent": messages,
        "hours_saved": int(10 * messages * 2 / 60 + 0.5) / 10,
        "entered": {stage.key: entered[stage.key] for stage in stages},
        "first_reply_seconds": half_and_most(ours, "first_reply"),
        "handoff_wait_seconds": half_and_most(ours, "handoff_wait"),
        "disqualified_because": Counter(
            why
            for life in ours
            for why in {detail for when, kind, _, detail in life.waits if kind == "disqualified" and counts(when)}
        ),
        "objections": objections,
        "followups": {
            step: (
                sum(attempt[1] == step for attempt in attempts),
                sum(attempt[1] == step and attempt[3] is not None for attempt in attempts),
                sum(attempt[1] == step and attempt[4] for attempt in attempts),
                sum(attempt[1] == step and attempt[5] for attempt in attempts),
            )
            for step in {attempt[1] for attempt in attempts}
        },
    }


def was_rescued(life: Life, stages: list[Stage]) -> bool:
    """Say whether a lead answered a follow-up, and then came further than ever before, or booked a meeting."""
    along = [
        (stages[place % len(stages)].rank, when)
        for place, when in life.stays
        if not stages[place % len(stages)].reachable_from_anywhere and stages[place % len(stages)].kind != "lost"
    ]
    for sent, _step, state, answered_after, _booked, _out in life.attempts:
        if state != "sent" or answered_after is None or answered_after > 7 * 24 * 60:
            continue
        answered = sent - answered_after
        reached = max((rank for rank, when in along if when > answered), default=-1)
        went_on = any(rank > reached for rank, when in along if when <= answered)
        booked = any(at <= answered and began_as in ("scheduled", "rescheduled") for at, began_as, *_ in life.meetings)
        if counts(answered) and (went_on or booked):
            return True
    return False


def half_and_most(ours: list[Life], kind: str) -> dict[str, int | None]:
    waits = sorted(seconds for life in ours for when, of, seconds, _ in life.waits if of == kind and counts(when))
    return {
        name: waits[ceil(share * len(waits)) - 1] if waits else None for name, share in (("p50", 0.5), ("p90", 0.9))
    }


@pytest.fixture
def history_rows(pipeline) -> Told:
    other = Pipeline.objects.create(slug="clinic", name="Clínica", time_zone="America/Sao_Paulo")
    Stage.objects.create(pipeline=other, key="qualified", name="Q", rank=0)
    Stage.objects.create(pipeline=other, key="won", name="W", rank=1, kind=Stage.Kind.WON)
    first = Sequence.objects.get(pipeline=pipeline, slug="reengagement")
    second = Sequence.objects.create(pipeline=other, slug="reengagement", starts_on=first.starts_on)
    return Told(pipeline, other, {pipeline.pk: first, other.pk: second})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lives, max_size=6))
def test_every_number_is_what_somebody_counts_who_reads_the_history(history_rows, history):
    Lead.objects.all().delete()
    for life in history:
        history_rows.write(life)

    found = results.results(history_rows.pipeline, PERIOD)
    funnel = found.pop("funnel")
    read = {name: value for name, value in found.items() if name not in ("from", "to")} | {
        "entered": {row["stage"]: row["entered"] for row in funnel},
        "disqualified_because": Counter({row["reason"]: row["count"] for row in found["disqualified_because"]}),
        "objections": Counter({row["name"]: row["count"] for row in found["objections"]}),
        "followups": {
            row["step"]: (row["sent"], row["answered"], row["booked"], row["opted_out"]) for row in found["followups"]
        },
    }

    assert read == by_hand(history_rows, history)
    assert {row["sequence"] for row in found["followups"]} <= {"reengagement"}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lives, max_size=5))
def test_behind_each_number_are_as_many_leads_as_it_says(history_rows, history):
    Lead.objects.all().delete()
    for life in history:
        history_rows.write(life)
    numbers = results.headline(history_rows.pipeline, PERIOD)

    for name in ("leads", "qualified", "disqualified", "won", "rescued"):
        assert results.leads_behind(name, history_rows.pipeline, PERIOD).count() == numbers[name], name
    for name in ("meetings_booked", "meetings_booked_by_agent", "meetings_held"):
        behind = results.leads_behind(name, history_rows.pipeline, PERIOD).count()
        assert (behind > 0) == (numbers[name] > 0), name
        assert behind <= numbers[name], name


@given(st.lists(st.integers(0, 50), min_size=9, max_size=9))
def test_a_share_is_of_the_stage_before_on_the_way_and_never_more_than_all(numbers):
    ends = {6: "won", 7: "lost"}
    stages = [
        Stage(
            pk=place, key=f"s{place}", name="", rank=place, kind=ends.get(place, "open"),
            reachable_from_anywhere=place == 3, pauses_agent=place == 4,
        )
        for place in range(9)
    ]  # fmt: skip
    rows = results.funnel(stages, dict(enumerate(numbers)))
    on_the_way = [place for place in range(9) if place not in (3, 4, 7)]

    for place, row in enumerate(rows):
        before = [passed for passed in on_the_way if passed < place]
        has_share = place in on_the_way and before and numbers[before[-1]]
        assert (row["share_of_previous"] is not None) == bool(has_share)
        if has_share:
            assert row["share_of_previous"] == pytest.approx(min(1, numbers[place] / numbers[before[-1]]), abs=0.0001)
