from __future__ import annotations

import hmac
from datetime import UTC, datetime

import pytest

from bridge.intakes import calcom
from bridge.intakes.source_news import Booking, Call, Ignored
from tests.bridge.intakes.bodies import body, raw


def read_one(name: str = "calcom/01", **changes):
    [booking] = calcom.read(body(name, **changes))
    return booking


def test_a_booking_with_the_links_mark():
    assert read_one() == Booking(
        status="scheduled",
        id="solBk1YxQm7Ruv3KpTn2Ws",
        at=datetime(2026, 11, 24, 11, 59, 0, 780000, tzinfo=UTC),
        mark="0f9c1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b",
        emails=("maria@example.com",),
        name="Maria Souza",
        starts_at=datetime(2026, 12, 2, 14, tzinfo=UTC),
        link="https://meet.google.com/abc-defg-hij",
    )


def test_a_moved_booking_names_the_one_it_was():
    booking = read_one("calcom/02")
    assert (booking.status, booking.id, booking.replaces, booking.mark) == (
        "rescheduled", "solBk2ZyRn8Svw4LqUo3Xt", "solBk1YxQm7Ruv3KpTn2Ws", "",
    )  # fmt: skip


def test_a_cancelled_booking_whose_time_is_spelled_otherwise():
    booking = read_one("calcom/03")
    assert (booking.status, booking.id, booking.starts_at) == (
        "cancelled", "solBk2ZyRn8Svw4LqUo3Xt", datetime(2026, 12, 3, 14, tzinfo=UTC),
    )  # fmt: skip


def test_a_no_show_and_one_that_is_taken_back():
    booking = read_one("calcom/04")
    assert (booking.status, booking.id, booking.emails, booking.is_taken_back) == (
        "no_show", "solBk2ZyRn8Svw4LqUo3Xt", ("maria@example.com",), False,
    )  # fmt: skip
    assert read_one("calcom/04", payload__attendees__0__noShow=False).is_taken_back


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("calcom/05", {}),
        ("calcom/05", {"triggerEvent": "MEETING_STARTED"}),
        ("calcom/01", {"triggerEvent": "BOOKING_REQUESTED"}),
        ("calcom/01", {"triggerEvent": "BOOKING_PAID"}),
        ("calcom/01", {"triggerEvent": "PING"}),
        ("calcom/01", {"triggerEvent": None}),
        ("calcom/01", {"payload__status": "PENDING"}),
        ("calcom/01", {"payload__uid": None}),
        ("calcom/01", {"payload": None}),
    ],
)
def test_what_books_nothing(name, changes):
    assert isinstance(read_one(name, **changes), Ignored)


@pytest.mark.parametrize(
    ("changes", "phones", "emails"),
    [
        ({"payload__responses__attendeePhoneNumber": {"value": "+5581991234567"}}, ("+5581991234567",),
         ("maria@example.com",)),
        ({"payload__attendees__0__phoneNumber": "+5581991234567"}, ("+5581991234567",), ("maria@example.com",)),
        ({"payload__attendees__0__email": "5581991234567@sms.cal.com",
          "payload__responses__email__value": "5581991234567@sms.cal.com"}, ("+5581991234567",), ()),
    ],
)  # fmt: skip
def test_by_what_the_lead_is_found(changes, phones, emails):
    booking = read_one(**changes)
    assert (booking.phones, booking.emails) == (phones, emails)


def test_further_attendees_are_guests_and_the_organizer_is_the_company():
    tree = body("calcom/01")
    tree["payload"]["attendees"].append(
        {"email": "outro@example.com", "name": "Outro", "phoneNumber": "+5511955554444"}
    )
    [booking] = calcom.read(tree)
    assert (booking.emails, booking.phones, booking.name) == (("maria@example.com",), (), "Maria Souza")


@pytest.mark.parametrize(
    ("changes", "link"),
    [
        ({"payload__metadata__videoCallUrl": None}, ""),
        (
            {"payload__metadata__videoCallUrl": None, "payload__location": "https://meet.example/x"},
            "https://meet.example/x",
        ),
        ({"payload__metadata__videoCallUrl": None, "payload__location": "Rua A, 1"}, ""),
        ({"payload__metadata__videoCallUrl": "javascript:alert(1)"}, ""),
    ],
)
def test_a_link_is_an_address_to_open(changes, link):
    assert read_one(**changes).link == link


def test_the_signature_is_over_the_bytes():
    right = hmac.new(b"s", raw("calcom/01"), "sha256").hexdigest()
    assert calcom.is_signed(Call(raw("calcom/01"), {"x-cal-signature-256": right}), {"secret": "s"})
    for headers in ({}, {"x-cal-signature-256": "no-secret-provided"}, {"x-cal-signature-256": f"sha256={right}"}):
        assert not calcom.is_signed(Call(raw("calcom/01"), headers), {"secret": "s"})
