"""Several meetings of one lead, as calendars tell of them: the next one that stands decides."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bridge import due_work, tasks
from followups.models import Enrollment
from leads import erasure, meetings
from leads.models import Event, Lead, Meeting, Stage
from tests.conftest import record

A, B = {"id": "uid_a"}, {"id": "uid_b"}


def ahead(**time: float) -> str:
    return (timezone.now() + timedelta(**time)).replace(microsecond=0).isoformat()


SOON, LATER, LAST = ahead(days=2), ahead(days=4), ahead(days=6)


def lead_of() -> Lead:
    return Lead.objects.select_related("stage", "pipeline").get()


def reminds_of() -> datetime | None:
    return (
        Enrollment.objects.filter(purpose="meeting_scheduled", state="waiting")
        .values_list("meeting_starts_at", flat=True)
        .first()
    )


@pytest.fixture
def tell(agent):
    """Report what a calendar says of one meeting; the answer's body."""

    def tell(
        status: str, meeting: dict[str, Any], starts_at: str | None = None, at: str | None = None, **lead: Any
    ) -> Any:
        news = meeting | {"status": status} | ({"starts_at": starts_at} if starts_at else {})
        body = {"lead": {"phone": "+5581999990000", **lead}, "context": {"meeting": news}}
        answer = agent.post("interactions/", body | ({"occurred_at": at} if at else {}))
        assert answer.status_code in (200, 201), answer.content
        return answer.json()

    return tell


def stands(at: str) -> None:
    """The card, the lead's row and the reminders all go by this meeting."""
    lead, moment = lead_of(), datetime.fromisoformat(at)
    assert lead.stage and lead.stage.key == "meeting_scheduled"
    assert (lead.has_standing_meeting, lead.meeting_starts_at, reminds_of()) == (True, moment, moment)


def nothing_stands() -> None:
    lead = lead_of()
    assert lead.stage and lead.stage.key != "meeting_scheduled"
    assert (lead.has_standing_meeting, reminds_of()) == (False, None)


@pytest.mark.parametrize("order", ["old cancelled afterwards", "old cancelled before", "old never cancelled"])
def test_a_move_that_brings_a_new_id_ends_with_the_new_one(tell, agent, order):
    tell("scheduled", A, SOON)
    if order == "old cancelled before":
        tell("cancelled", A)
    tell("rescheduled", B, LATER)
    if order == "old cancelled afterwards":
        tell("cancelled", A)
    stands(LATER)
    body = agent.get(f"leads/{lead_of().pk}/").json()
    assert (body["meeting"]["id"], body["meeting"]["status"]) == ("uid_b", "rescheduled")


def test_a_move_to_an_earlier_time_with_a_new_id(tell):
    tell("scheduled", A, LATER)
    tell("rescheduled", B, SOON)
    tell("cancelled", A)
    stands(SOON)
    tell("cancelled", B)
    nothing_stands()


def test_of_two_meetings_the_next_decides_and_the_other_one_stays(tell):
    tell("scheduled", A, LATER)
    tell("scheduled", B, SOON)
    stands(SOON)
    tell("cancelled", B)
    stands(LATER)
    tell("cancelled", A)
    nothing_stands()


def test_one_of_two_is_moved_to_a_new_id_and_the_other_one_stays(tell):
    tell("scheduled", A, SOON)
    tell("scheduled", B, LATER)
    tell("rescheduled", {"id": "uid_c"}, LAST)
    stands(SOON)
    tell("cancelled", B)
    stands(SOON)
    tell("completed", A)
    stands(LAST)


@pytest.mark.parametrize("status", ["cancelled", "completed", "no_show"])
@pytest.mark.parametrize("other", ["never heard of", "known, and later"])
def test_the_end_of_another_meeting_touches_that_one_alone(tell, status, other):
    tell("scheduled", A, SOON)
    if other == "known, and later":
        tell("scheduled", B, LATER)
    before = Lead.objects.values("stage", "meeting_id", "meeting_status", "meeting_starts_at", "meeting_link").get()
    body = tell(status, B)
    stands(SOON)
    after = Lead.objects.values("stage", "meeting_id", "meeting_status", "meeting_starts_at", "meeting_link").get()
    assert (before, body["decision"]["changed"]) == (after, False)
    assert Meeting.objects.get(meeting_id="uid_b").status == status
    assert Event.objects.filter(kind="interaction", data__changed__meeting__status=status).count() == 1
    if other == "never heard of":
        assert body["ignored"] == [
            {"field": "context.meeting", "reason": "meeting uid_b does not stand: nothing else changes by it"}
        ]


def test_a_cancellation_that_comes_before_its_booking_books_nothing(tell):
    now = timezone.now()
    tell("scheduled", A, SOON, at=(now - timedelta(hours=2)).isoformat())
    tell("cancelled", B, at=(now - timedelta(minutes=5)).isoformat())
    body = tell("scheduled", B, LATER, at=(now - timedelta(minutes=9)).isoformat())
    assert "older than what is known of it" in body["ignored"][0]["reason"]
    stands(SOON)
    tell("cancelled", A)
    nothing_stands()


def test_one_that_was_moved_to_an_id_whose_end_was_heard_before_stands_no_more(tell):
    tell("scheduled", A, SOON, at=ahead(minutes=-50))
    tell("cancelled", B, at=ahead(minutes=-10))
    stands(SOON)
    tell("rescheduled", B, LATER, at=ahead(minutes=-30))
    lead = lead_of()
    assert not lead.has_standing_meeting
    assert lead.stage and lead.stage.key == "new"
    assert reminds_of() is None
    # It had been booked by itself, as it turns out: the other one was not moved.
    tell("scheduled", B, LAST, at=ahead(minutes=-40))
    stands(SOON)


def test_a_meeting_of_the_past_that_lies_ahead_is_reminded_of_once_it_is_told_live(tell, agent):
    past = {"lead": {"phone": "+5581999990000"}, "occurred_at": ahead(days=-3)}
    past["context"] = {"meeting": A | {"status": "scheduled", "starts_at": SOON}}
    agent.post("interactions/batch/?history=true", [past])
    assert reminds_of() is None
    tell("scheduled", A, SOON)
    stands(SOON)
    # What staff have ended is not begun anew by the same news.
    Enrollment.objects.update(state="cancelled")
    tell("scheduled", A, SOON)
    assert reminds_of() is None


def seconds_ago(seconds: float) -> str:
    return (timezone.now() - timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("apart", [0.2, 30, 90, 118])
@pytest.mark.parametrize("status", ["cancelled", "completed", "no_show"])
def test_an_end_by_a_clock_that_is_behind_ends_what_was_booked_before(tell, apart, status):
    booked_at = seconds_ago(1)
    tell("scheduled", A, SOON, at=booked_at)
    assert tell(status, A, at=seconds_ago(1 + apart))["ignored"] == []
    assert not lead_of().has_standing_meeting
    tell("scheduled", A, SOON, at=booked_at)
    assert not lead_of().has_standing_meeting


@pytest.mark.parametrize("apart", [0.2, 30, 118])
def test_a_move_by_a_clock_that_is_behind_moves(tell, apart):
    tell("scheduled", A, SOON, at=seconds_ago(1))
    tell("rescheduled", A, LATER, at=seconds_ago(1 + apart))
    stands(LATER)


@pytest.mark.parametrize("apart", [0.2, 30, 118])
def test_a_move_to_a_new_id_by_a_clock_that_is_behind_ends_the_old_one(tell, apart):
    tell("scheduled", A, SOON, at=seconds_ago(1))
    tell("rescheduled", B, LATER, at=seconds_ago(1 + apart))
    stands(LATER)


@pytest.mark.parametrize("apart", [0.2, 30, 118])
@pytest.mark.parametrize("status", ["cancelled", "no_show"])
def test_a_booking_that_its_end_has_overtaken_books_nothing_whatever_its_clock_says(tell, apart, status):
    tell(status, A, at=seconds_ago(121))
    for _ in range(2):
        assert tell("scheduled", A, SOON, at=seconds_ago(121 - apart))["ignored"]
        assert not lead_of().has_standing_meeting


def test_what_nobody_timed_dates_from_its_report_though_the_known_time_lies_ahead(tell):
    tell("scheduled", A, SOON, at=seconds_ago(-100))
    tell("cancelled", A)
    assert not lead_of().has_standing_meeting
    tell("scheduled", A, LATER)
    stands(LATER)


def test_what_is_older_than_clocks_differ_stays_older(tell):
    tell("scheduled", A, SOON, at=seconds_ago(1))
    assert tell("cancelled", A, at=seconds_ago(130))["ignored"]
    stands(SOON)
    tell("cancelled", B, at=seconds_ago(600))
    tell("scheduled", B, LATER, at=seconds_ago(400))
    assert Meeting.objects.get(meeting_id="uid_b").is_booked


def test_a_booking_behind_the_next_one_is_news_to_whoever_moved_the_card(tell, pipeline):
    tell("scheduled", A, SOON)
    stage = Stage.objects.get(pipeline=pipeline, key="qualified")
    Lead.objects.update(stage=stage, stage_set_by="staff", concluded_when_moved=lead_of().concluded)
    assert tell("scheduled", A, SOON)["decision"]["changed"] is False
    assert tell("scheduled", B, LATER)["decision"]["stage"] == "meeting_scheduled"


def test_the_one_without_an_id_is_the_one_that_is_shown(tell):
    tell("scheduled", {}, SOON)
    tell("rescheduled", {}, LATER)
    stands(LATER)
    # Now it has one.
    tell("rescheduled", A, LAST)
    stands(LAST)
    assert Meeting.objects.count() == 1
    tell("cancelled", {})
    nothing_stands()


def test_null_forgets_all_that_was_told_until_then(tell, agent):
    tell("scheduled", A, SOON)
    tell("scheduled", B, LATER)
    old = (timezone.now() - timedelta(hours=1)).isoformat()
    agent.says(context={"meeting": None})
    assert (Meeting.objects.count(), lead_of().has_standing_meeting, reminds_of()) == (0, False, None)
    tell("scheduled", A, SOON, at=old)
    assert lead_of().has_standing_meeting is False
    tell("scheduled", A, SOON)
    stands(SOON)


# --- Times


@pytest.mark.parametrize("past", ["2024-03-12T14:00:00-03:00", "2025-11-28T09:00:00-03:00", "2026-01-02 10:00"])
@pytest.mark.parametrize("status", ["scheduled", "rescheduled"])
def test_a_meeting_in_the_past_books_nothing_and_says_so(tell, agent, past, status):
    agent.says(context={"conversation_stage": "qualificação"}, qualification_score=82)
    body = tell(status, A, past)
    [ignored] = body["ignored"]
    assert ignored["field"] == "context.meeting"
    assert ignored["reason"].endswith("lies in the past: nothing is booked by it")
    assert (body["lead"]["stage"], Meeting.objects.count()) == ("qualified", 0)
    event = Event.objects.filter(kind="interaction").order_by("-pk").first()
    assert event and event.data["ignored"] == body["ignored"]


def test_a_move_into_the_past_leaves_what_stands(tell):
    tell("scheduled", A, SOON)
    assert tell("rescheduled", A, "2024-03-12T14:00:00-03:00")["ignored"]
    stands(SOON)


@pytest.mark.parametrize("starts_at", ["2030-03-12", " 2030-03-12 ", "2030-3-12", "20300312", "amanhã"])
def test_a_meeting_needs_a_time_of_day(agent, starts_at):
    answer = agent.says(context={"meeting": A | {"status": "scheduled", "starts_at": starts_at}})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["context.meeting.starts_at"]
    assert Lead.objects.count() == 0


@pytest.mark.parametrize("starts_at", ["2030-03-12T14:00", "2030-03-12 14:00", "2030-03-12T00:00:00Z"])
def test_a_time_of_day_may_be_written_as_times_are(tell, starts_at):
    tell("scheduled", A, starts_at)
    assert lead_of().has_standing_meeting


def gone_by(**time: float) -> None:
    """Let the time of the first meeting come, without anybody having seen it yet."""
    first = Meeting.objects.order_by("starts_at")[0]
    at = timezone.now() - timedelta(**time)
    Lead.objects.filter(meeting_id=first.meeting_id).update(meeting_starts_at=at, stage_set_at=at - timedelta(hours=1))
    Meeting.objects.filter(pk=first.pk).update(starts_at=at)


def test_the_clock_lets_a_meeting_go_by_and_staff_are_asked(tell, agent):
    tell("scheduled", A, SOON)
    gone_by(minutes=5)
    assert ("bridge.tasks.end_waits", ()) in list(due_work._waits(timezone.now()))
    tasks.end_waits()
    lead = lead_of()
    assert (lead.stage.key if lead.stage else None, lead.has_standing_meeting) == ("meeting_scheduled", False)
    assert [meeting.meeting_id for meeting in meetings.without_result(timezone.now())] == ["uid_a"]
    [reason] = Event.objects.filter(kind="staff_told").values_list("reason", flat=True)
    assert reason.endswith("has gone by and nobody has said how it went")
    # And only once.
    assert list(due_work._waits(timezone.now())) == []
    tell("completed", A)
    assert not meetings.without_result(timezone.now()).exists()


def test_silence_after_a_meeting_that_has_gone_by_is_silence(tell, agent):
    tell("scheduled", A, SOON)
    gone_by(minutes=5)
    answer = agent.says(message={"id": "m1", "direction": "outbound", "text": "Como foi?"})
    assert answer.json()["followup"]["state"] == "waiting"


def test_a_meeting_that_has_gone_by_holds_the_lead_no_more(tell, agent):
    tell("scheduled", A, SOON)
    agent.says(context={"conversation_stage": "qualificação"}, qualification_score=40)
    assert lead_of().stage.key == "meeting_scheduled"
    gone_by(minutes=5)
    answer = agent.says(qualification_score=40)
    assert answer.json()["decision"]["stage"] == "disqualified"


def test_the_next_one_takes_the_place_of_one_that_has_gone_by(tell):
    tell("scheduled", A, SOON)
    tell("scheduled", B, LATER)
    gone_by(minutes=5)
    tasks.end_waits()
    stands(LATER)
    # What becomes of the first is its own affair.
    tell("no_show", A)
    stands(LATER)


def test_who_was_placed_after_the_meeting_needs_nobody(tell, pipeline):
    tell("scheduled", A, SOON)
    gone_by(minutes=5)
    tasks.end_waits()
    Lead.objects.update(stage_set_at=timezone.now())
    assert not meetings.without_result(timezone.now()).exists()


def test_a_meeting_said_again_once_it_is_over_is_no_mistake(tell):
    tell("scheduled", A, SOON)
    gone_by(minutes=5)
    tasks.end_waits()
    at = Meeting.objects.get().starts_at
    assert at is not None
    assert tell("scheduled", A, at.isoformat())["ignored"] == []


def test_without_an_id_a_new_time_after_one_is_over_is_a_new_meeting(tell):
    tell("scheduled", {}, SOON)
    gone_by(minutes=5)
    tasks.end_waits()
    tell("scheduled", {}, LATER)
    stands(LATER)


# --- Around


def test_a_meeting_that_has_no_row_yet_is_a_meeting(tell):
    """Of a process from before, which still runs while the new one has started."""
    tell("scheduled", A, SOON)
    Meeting.objects.all().delete()
    tell("scheduled", B, LATER)
    stands(SOON)
    Meeting.objects.all().delete()
    gone_by_at = timezone.now() - timedelta(minutes=1)
    Lead.objects.update(meeting_starts_at=gone_by_at)
    tasks.end_waits()
    assert (lead_of().meeting_id, lead_of().meeting_gone_by) == ("uid_a", True)
    assert not meetings.passing(timezone.now()).exists()


def test_of_an_erased_persons_meetings_only_that_there_were_some_is_left(tell):
    tell("scheduled", A | {"link": "https://meet.example/maria"}, SOON)
    tell("scheduled", B, LATER)
    erasure.erase(lead_of(), by=Lead.Actor.STAFF, now=timezone.now())
    kept = Meeting.objects.order_by("pk")
    assert [(row.meeting_id, row.link, row.awaits_result) for row in kept] == [
        (f"erased-{row.pk}", "", False) for row in kept
    ]
    assert len(kept) == 2
    assert not meetings.passing(LATER).exists()


def test_a_report_without_a_meeting_reads_none(pipeline):
    record(pipeline, name="Maria")
    with CaptureQueriesContext(connection) as queries:
        record(pipeline, name="Maria Souza")
    assert not [query["sql"] for query in queries if "leads_meeting" in query["sql"]]


def test_the_page_of_a_lead_lists_its_meetings(tell, client, admin_user):
    tell("scheduled", A, SOON)
    tell("scheduled", B, LATER)
    client.force_login(admin_user)
    page = client.get(f"/admin/leads/lead/{lead_of().pk}/change/", follow=True).content.decode()
    assert "(uid_a)" in page and "(uid_b)" in page


def test_the_overview_asks_for_the_result(tell, client, admin_user):
    tell("scheduled", A, SOON, name="Dora Lima")
    gone_by(minutes=5)
    tasks.end_waits()
    client.force_login(admin_user)
    titles = [concern.title for concern in client.get("/admin/").context["concerns"]]
    assert "1 meeting has gone by without a result" in titles
