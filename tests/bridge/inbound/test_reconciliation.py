"""What a poll costs where nothing is new, and where it stops when there is too much."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bridge.accounts import catalogue as catalogues
from bridge.accounts.connection import client_for
from bridge.inbound import reconciliation
from bridge.models import Account, Card
from tests.conftest import drain, lead_of, record

PHONES = [f"+55819999{number:05d}" for number in range(30)]


def poll(account, **limits):
    account.refresh_from_db()
    comparison = reconciliation.Comparison(account, client_for(account), catalogues.stored(account), "poll")
    return comparison.changed_since(**limits)


def carded(account, pipeline, phones):
    for phone in phones:
        record(pipeline, phone, name="Ana")
    drain(account)
    # What Kommo adds to a new lead by itself is known once it has been read.
    poll(account)


def test_a_poll_over_our_own_writes_costs_the_same_for_any_number_of_them(account, pipeline, kommo):
    costs = []
    for phones in (PHONES[:3], PHONES):
        carded(account, pipeline, phones)
        with CaptureQueriesContext(connection) as asked:
            report = poll(account)
        assert (report.read, report.is_clean) == (len(phones), True)
        costs.append(len(asked))
    assert costs[0] == costs[1]


def test_a_poll_that_runs_out_of_time_goes_on_where_it_stopped(account, pipeline, kommo, monkeypatch):
    monkeypatch.setattr(reconciliation, "PAGE", 10)
    carded(account, pipeline, PHONES)
    Account.objects.update(polled_at=None, polled_until=None)
    for phone in PHONES:
        kommo.post(f"leads/{lead_of(phone).card.kommo_lead_id}/edit", {"price": 7})

    now = timezone.now()
    assert poll(account, until=now).read == 0
    account.refresh_from_db()
    assert account.polled_at is None

    report = poll(account, until=now + timedelta(seconds=60))
    assert len(report.drifted) == len(PHONES)
    assert {card.observed["price"] for card in Card.objects.all()} == {7}
    account.refresh_from_db()
    assert account.polled_at is not None


def test_a_row_that_nobody_can_read_ends_no_poll_before_its_time(account, pipeline, kommo, monkeypatch):
    monkeypatch.setattr(reconciliation, "PAGE", 10)
    carded(account, pipeline, PHONES)
    Account.objects.update(polled_at=None, polled_until=None)
    kommo.post("options", {"odd_rows": True, "ignored_filters": "updated_at"})
    for phone in PHONES:
        kommo.post(f"leads/{lead_of(phone).card.kommo_lead_id}/edit", {"price": 7})
    assert len(poll(account).drifted) == len(PHONES)
