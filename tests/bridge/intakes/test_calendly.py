from __future__ import annotations

import hmac
from datetime import UTC, datetime

import pytest

from bridge.intakes import calendly
from bridge.intakes.source_news import Booking, Call, Ignored
from tests.bridge.intakes.bodies import body, raw

EVENTS = "https://api.calendly.com/scheduled_events"
OLD = f"{EVENTS}/c0ffee01-0000-4000-8000-000000000001/invitees/c0ffee03-0000-4000-8000-000000000003"
NEW = f"{EVENTS}/c0ffee02-0000-4000-8000-000000000002/invitees/c0ffee04-0000-4000-8000-000000000004"


def read_one(name: str = "calendly/01", **changes):
    [booking] = calendly.read(body(name, **changes))
    return booking


def test_a_booking_with_the_links_mark():
    assert read_one() == Booking(
        status="scheduled",
        id=OLD,
        at=datetime(2026, 11, 24, 11, 59, 0, 524860, tzinfo=UTC),
        mark="0f9c1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b",
        emails=("maria@example.com",),
        name="Maria Souza",
        starts_at=datetime(2026, 12, 2, 14, tzinfo=UTC),
        link="https://meet.google.com/abc-defg-hij",
    )


def test_a_move_is_two_events():
    away, here = read_one("calendly/02"), read_one("calendly/03")
    assert (away.status, away.id, away.is_moved_away) == ("cancelled", OLD, True)
    assert (here.status, here.id, here.replaces) == ("rescheduled", NEW, OLD)


def test_cancelled_and_missed():
    cancelled, missed = read_one("calendly/04"), read_one("calendly/05")
    assert (cancelled.status, cancelled.is_moved_away, cancelled.phones) == ("cancelled", False, ("+55 81 99123-4567",))
    assert (missed.status, missed.id, missed.is_taken_back) == ("no_show", NEW, False)
    assert read_one("calendly/05", event="invitee_no_show.deleted").is_taken_back


@pytest.mark.parametrize("event", ["routing_form_submission.created", "", None, 5])
def test_other_events_book_nothing(event):
    assert isinstance(read_one(event=event), Ignored)


def test_answers_that_are_phones():
    answers = [
        {"question": "WhatsApp", "answer": "(81) 99123-4567"},
        {"question": "Conta", "answer": "R$ 450"},
        {"question": "Quando", "answer": "amanhã, ligue 81991234567 cedo"},
    ]
    assert read_one(payload__questions_and_answers=answers).phones == ("(81) 99123-4567",)


def test_the_signature_is_over_time_and_bytes():
    right = hmac.new(b"s", b"1795521600." + raw("calendly/01"), "sha256").hexdigest()
    for header, counts in (
        (f"t=1795521600,v1={right}", True),
        (f"t=1795521601,v1={right}", False),
        (f"v1={right}", False),
        ("t=1795521600", False),
        ("", False),
    ):
        call = Call(raw("calendly/01"), {"calendly-webhook-signature": header}, datetime.fromtimestamp(1795521600, UTC))
        assert calendly.is_signed(call, {"secret": "s"}) is counts
