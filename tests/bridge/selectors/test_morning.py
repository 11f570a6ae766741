"""What the overview tells of the day: who waits with their words, today beside yesterday, meetings by the day."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from bridge.selectors import morning
from leads import handoff, stage_moves
from leads.interaction_values import Direction, Meeting, Message
from leads.models import Lead, Pipeline
from leads.models import Meeting as MeetingRow
from tests.conftest import record

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=ZoneInfo("America/Sao_Paulo"))
QUALIFIED = {"qualification_score": 82, "context": {"conversation_stage": "qualificação"}}


@pytest.fixture(autouse=True)
def noon(time_machine):
    time_machine.move_to(NOON, tick=False)


def hand_over(lead, minutes_ago):
    now = NOON - timedelta(minutes=minutes_ago)
    handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="quer um vendedor", now=now)


def says(text, minutes_ago=0, direction=Direction.INBOUND):
    return {"message": Message(direction, text=text), "occurred_at": NOON - timedelta(minutes=minutes_ago)}


def test_who_waits_longest_is_first_with_what_they_said_last(pipeline):
    for number, minutes in enumerate((5, 90)):
        lead = record(pipeline, f"+55819999900{number:02}", name=f"Lead {number}").lead
        hand_over(lead, minutes)
        record(pipeline, f"+55819999900{number:02}", **says(f"alguém aí? {number}"))
    found = morning.people(now=NOON)
    assert [(waiting_lead.name, waiting_lead.said, waiting_lead.is_late) for waiting_lead in found.waiting] == [
        ("Lead 1", "alguém aí? 1", True),
        ("Lead 0", "alguém aí? 0", False),
    ]
    assert (found.waiting_count, found.served, found.served_count) == (2, [], 0)


def test_who_is_served_stands_apart_with_who_serves_them(pipeline):
    lead = record(pipeline, name="João", **says("quero fechar", 30)).lead
    hand_over(lead, 20)
    Lead.objects.filter(pk=lead.pk).update(last_staff_at=NOON - timedelta(minutes=5))
    lead.messages.create(direction="staff", author="Ana Ribeiro", text="Oi!", at=NOON, state="sent")
    found = morning.people(now=NOON)
    assert (found.waiting, found.waiting_count, found.served_count) == ([], 0, 1)
    assert [(served_lead.name, served_lead.served_by) for served_lead in found.served] == [("João", "Ana Ribeiro")]


def test_only_the_first_few_are_shown_and_all_are_counted(pipeline):
    for number in range(morning.PEOPLE_SHOWN + 2):
        hand_over(record(pipeline, f"+55819999900{number:02}").lead, number)
    found = morning.people(now=NOON)
    assert (len(found.waiting), found.waiting_count) == (morning.PEOPLE_SHOWN, morning.PEOPLE_SHOWN + 2)


def test_today_stands_beside_yesterday_in_the_pipelines_days(pipeline):
    for number in range(3):
        record(pipeline, f"+55819999900{number:02}", **QUALIFIED)
    # A quarter to midnight in São Paulo, which is today in UTC.
    Lead.objects.filter(phone="+5581999990000").update(created_at=NOON.replace(day=23, hour=23, minute=45))
    counted = morning.fortnight(pipeline, now=NOON)
    assert counted["leads"][-2:] == [1, 2]
    assert counted["qualified"][-2:] == [0, 3]
    assert {len(days) for days in counted.values()} == {morning.DAYS_SHOWN}


def test_meetings_are_those_of_today_and_tomorrow_by_the_clock(pipeline):
    begins = {
        "yesterday": NOON - timedelta(days=1),
        "today": NOON.replace(hour=15),
        "late today": NOON.replace(hour=23, minute=30),
        "tomorrow": NOON + timedelta(days=1),
        "after that": NOON + timedelta(days=2),
        "cancelled": NOON.replace(hour=16),
    }
    for number, (name, starts_at) in enumerate(begins.items()):
        phone, status = f"+55819999900{number:02}", "cancelled" if name == "cancelled" else "scheduled"
        meeting = Meeting(id=f"evt{number}", status=status, starts_at=starts_at)
        record(pipeline, phone, name=name, context={"meeting": meeting})
    today, tomorrow = morning.meetings(pipeline, now=NOON)
    assert [str(shown_meeting.lead) for shown_meeting in today.shown] == ["today", "late today"]
    assert [str(shown_meeting.lead) for shown_meeting in tomorrow.shown] == ["tomorrow"]
    assert (today.count, tomorrow.count) == (2, 1)


def test_a_day_full_of_meetings_hides_none_of_the_next(pipeline):
    for number in range(morning.MEETINGS_SHOWN + 2):
        meeting = Meeting(id=f"evt{number}", status="scheduled", starts_at=NOON + timedelta(minutes=1 + number))
        record(pipeline, f"+55819999900{number:02}", name="today", context={"meeting": meeting})
    meeting = Meeting(id="evt", status="scheduled", starts_at=NOON + timedelta(days=1))
    record(pipeline, "+5581999990099", name="tomorrow", context={"meeting": meeting})
    today, tomorrow = morning.meetings(pipeline, now=NOON)
    assert (len(today.shown), today.count) == (morning.MEETINGS_SHOWN, morning.MEETINGS_SHOWN + 2)
    assert [str(shown_meeting.lead) for shown_meeting in tomorrow.shown] == ["tomorrow"]


def test_meetings_of_other_pipelines_are_theirs(pipeline):
    other = Pipeline.objects.create(slug="other", name="Outro")
    lead = record(
        pipeline, context={"meeting": Meeting(id="evt", status="scheduled", starts_at=NOON + timedelta(hours=1))}
    ).lead
    assert MeetingRow.objects.filter(lead=lead).exists()
    assert morning.meetings(other, now=timezone.now()) == (morning.Day([], 0), morning.Day([], 0))


def test_a_month_is_what_has_been_since_its_first_day(pipeline):
    """The clock stands at the 24th; what was won on the last of the month before belongs to that month."""
    for number, (name, days) in enumerate({"won": 2, "won as well": 23, "won before": 24}.items()):
        lead = record(pipeline, f"+55819999900{number:02}", name=name, bill_value=400 + number).lead
        stage_moves.move(lead, pipeline.stages.get(kind="won"), by="staff", reason="", now=NOON - timedelta(days=days))
    meeting = Meeting(id="evt", status="scheduled", starts_at=NOON + timedelta(days=9))
    record(pipeline, "+5581999990050", context={"meeting": meeting})
    found = morning.month(pipeline, now=NOON)
    assert (found["from"], found["to"]) == ("2026-11-01", "2026-11-24")
    assert (found["won"], Decimal(found["won_value"])) == (2, Decimal(801))
    assert (found["meetings_booked_by_agent"], found["rescued"]) == (1, 0)
