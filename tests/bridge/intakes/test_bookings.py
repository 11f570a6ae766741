from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from bridge.intakes import reading_calls
from bridge.models import IntakeCall, IntakeItem
from leads import erasure
from leads.models import Event, Lead, Meeting
from tests.bridge.intakes.bodies import body
from tests.conftest import lead_of, record

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND, THIRD = datetime(2026, 12, 2, 14, tzinfo=UTC), datetime(2026, 12, 3, 14, tzinfo=UTC)
PHONE = "+5581991234567"
Result = IntakeItem.Result


@pytest.fixture(autouse=True)
def noon(time_machine):
    time_machine.move_to(NOW, tick=False)


@pytest.fixture
def maria(pipeline) -> Lead:
    return record(pipeline, PHONE, name="Maria Souza", email="maria@example.com").lead


def marked(name: str, lead: Lead | None, **changes):
    path = "payload__metadata__lead" if name.startswith("calcom") else "payload__tracking__utm_content"
    return body(name, **{path: str(lead.pk)} if lead else {}, **changes)


def shown() -> tuple[str, datetime | None, str]:
    lead = lead_of(PHONE)
    return lead.meeting_status, lead.meeting_starts_at, lead.stage.key


def results() -> list[str]:
    return [item.result for item in IntakeItem.objects.order_by("id")]


@pytest.mark.parametrize("kind", ["calcom", "calendly"])
def test_a_booking_moves_the_lead_that_the_link_names(way_in, maria, kind):
    way_in(kind).tell(marked(f"{kind}/01", maria, payload__email="other@example.com"))
    assert shown() == ("scheduled", SECOND, "meeting_scheduled")
    assert lead_of(PHONE).meeting_link == "https://meet.google.com/abc-defg-hij"
    events = [event for event in maria.events.filter(kind=Event.Kind.INTERACTION) if "channel" in event.data]
    assert [(event.actor, event.data["channel"]) for event in events] == [("lead", f"{kind}-1")]


@pytest.mark.parametrize("mark", [None, "", "no uuid", "0f9c1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b"])
def test_without_a_mark_by_phone_and_then_by_email(way_in, pipeline, maria, mark):
    other = record(pipeline, "+5581988887777", email="fone@example.com").lead
    way = way_in("calcom")
    way.tell(
        body("calcom/01", payload__metadata__lead=mark, payload__uid="by-phone",
             payload__attendees__0__phoneNumber="+55 81 98888-7777"),
        body("calcom/01", payload__metadata__lead=mark, payload__uid="by-email",
             payload__attendees__0__email="MARIA@example.com"),
    )  # fmt: skip
    assert Meeting.objects.get(meeting_id="by-phone").lead == other
    assert Meeting.objects.get(meeting_id="by-email").lead == maria
    assert Lead.objects.count() == 2


def test_the_mark_counts_before_the_phone_of_somebody_else(way_in, pipeline, maria):
    record(pipeline, "+5581988887777")
    way_in("calcom").tell(marked("calcom/01", maria, payload__attendees__0__phoneNumber="+5581988887777"))
    assert Meeting.objects.get().lead == maria


STORIES = {
    "calcom": (["calcom/01", "calcom/02"], "solBk2ZyRn8Svw4LqUo3Xt"),
    "calendly": (["calendly/01", "calendly/02", "calendly/03"], "invitees/c0ffee04-0000-4000-8000-000000000004"),
}


@pytest.mark.parametrize(
    ("kind", "order"), [(kind, order) for kind in STORIES for order in itertools.permutations(STORIES[kind][0])]
)
def test_a_moved_meeting_is_one_meeting_in_any_order(way_in, maria, kind, order):
    way = way_in(kind)
    for name in (*order, *order):
        way.tell(marked(name, maria))
    assert shown() == ("rescheduled", THIRD, "meeting_scheduled")
    standing = [meeting for meeting in Meeting.objects.all() if meeting.is_booked]
    assert len(standing) == 1 and standing[0].meeting_id.endswith(STORIES[kind][1])


@pytest.mark.parametrize("kind", ["calcom", "calendly"])
def test_a_cancelled_meeting_takes_the_lead_back(way_in, maria, kind):
    before = lead_of(PHONE).stage.key
    cancelled = marked("calcom/03", None) if kind == "calcom" else marked("calendly/04", maria)
    way_in(kind).tell(*(marked(name, maria) for name in STORIES[kind][0]), cancelled)
    assert shown()[0] == "cancelled"
    assert lead_of(PHONE).stage.key == before


@pytest.mark.parametrize("kind", ["calcom", "calendly"])
def test_a_cancellation_that_overtakes_its_booking(way_in, maria, kind):
    way = way_in(kind)
    moved = STORIES[kind][0][-1]
    way.tell(marked("calcom/03", None) if kind == "calcom" else marked("calendly/04", maria))
    way.tell(marked(moved, maria))
    assert not [meeting for meeting in Meeting.objects.all() if meeting.is_booked]


@pytest.mark.parametrize("kind", ["calcom", "calendly"])
def test_who_does_not_come_is_told_of_and_one_who_did_is_not(way_in, maria, kind, time_machine):
    way = way_in(kind)
    way.tell(*(marked(name, maria) for name in STORIES[kind][0]))
    time_machine.move_to(THIRD + timedelta(minutes=45), tick=False)
    missed = {"calcom": "calcom/04", "calendly": "calendly/05"}[kind]
    way.tell(body(missed))
    assert shown()[0] == "no_show"
    back = {"payload__attendees__0__noShow": False} if kind == "calcom" else {"event": "invitee_no_show.deleted"}
    moment = {"createdAt" if kind == "calcom" else "created_at": "2026-12-03T14:42:00Z"}
    way.tell(body(missed, **back, **moment))
    assert shown()[0] == "completed"


def test_that_the_clock_ended_a_meeting_says_nothing(way_in, maria):
    way = way_in("calcom")
    way.tell(marked("calcom/01", maria), body("calcom/05"))
    assert shown()[0] == "scheduled"


def test_a_move_whose_other_half_never_comes_is_a_cancellation(way_in, maria, time_machine):
    way = way_in("calendly")
    way.tell(marked("calendly/01", maria), marked("calendly/02", maria))
    assert shown()[0] == "scheduled"
    time_machine.shift(timedelta(seconds=61))
    reading_calls.read_all()
    assert shown()[0] == "cancelled"


def test_who_books_by_phone_and_is_nobodys_lead_becomes_one(way_in, pipeline):
    way_in("calcom").tell(body("calcom/01", payload__attendees__0__phoneNumber=PHONE))
    lead = lead_of(PHONE)
    assert (lead.name, lead.email, lead.stage.key) == ("Maria Souza", "maria@example.com", "meeting_scheduled")


def test_the_end_of_a_booking_nobody_knows_waits_and_is_let_go(way_in, pipeline, time_machine):
    way = way_in("calcom")
    way.tell(body("calcom/03"))
    assert IntakeCall.objects.get().state == "received"
    time_machine.shift(timedelta(seconds=61))
    reading_calls.read_all()
    assert (IntakeCall.objects.get().state, results()) == ("processed", [Result.NOT_FOUND])
    assert not Lead.objects.exists()


def test_a_booking_for_a_moment_that_has_passed_books_nothing(way_in, maria):
    way_in("calcom").tell(marked("calcom/01", maria, payload__startTime="2026-11-20T14:00:00Z"))
    assert lead_of(PHONE).meeting_status == ""
    assert "lies in the past" in IntakeItem.objects.get().reason


def test_the_same_booking_twice_stands_once_on_the_timeline(way_in, maria):
    way = way_in("calcom")
    way.tell(marked("calcom/01", maria))
    count = maria.events.count()
    way.tell(marked("calcom/01", maria), marked("calcom/01", maria))
    assert (maria.events.count(), results()[-1]) == (count, Result.KNOWN)


def test_an_instagram_lead_books_by_the_link_and_tells_the_number_by_it(way_in, pipeline):
    way_in("chatwoot").tell(
        body("chatwoot/01", sender__phone_number=None, conversation__channel="Channel::Instagram",
             conversation__contact_inbox__source_id="17841400")
    )  # fmt: skip
    lead = Lead.objects.get()
    way_in("calcom").tell(marked("calcom/01", lead, payload__attendees__0__phoneNumber=PHONE))
    lead = Lead.objects.get()
    assert (lead.phone, lead.meeting_status, lead.stage.key) == (PHONE, "scheduled", "meeting_scheduled")


def test_who_books_by_email_alone_becomes_a_lead(way_in, pipeline):
    way = way_in("calcom")
    way.tell(body("calcom/01"), body("calcom/02"))
    assert (Lead.objects.get().email, Lead.objects.get().meeting_status) == ("maria@example.com", "rescheduled")


def test_a_booking_of_a_person_who_was_erased_is_kept_by_nothing(way_in, maria, time_machine):
    way = way_in("calcom")
    erasure.erase(maria, by=Lead.Actor.STAFF, now=NOW + timedelta(days=30))
    for late in (
        body("calcom/01", payload__metadata__lead=None, payload__uid="made-before"),
        body("calcom/03", payload__uid="never-heard-of"),
        body("calcom/01", triggerEvent="MEETING_STARTED"),
    ):
        late["payload"]["attendees"] = [{"name": "Maria Souza", "email": "Maria@Example.com"}]
        way.tell(late)
    time_machine.shift(timedelta(minutes=2))
    reading_calls.read_all()
    assert set(results()) == {Result.FORGOTTEN}
    assert not IntakeCall.objects.exclude(body=b"").exists() and not Lead.objects.filter(erased_at=None).exists()
