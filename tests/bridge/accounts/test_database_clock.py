"""Hosts whose clocks differ agree by the database's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from bridge.accounts import database_clock, work_leases
from bridge.cards import account_lease
from bridge.doctor import examine

HALF_A_MINUTE = timedelta(seconds=30)
measure = database_clock.measure


@pytest.fixture
def behind(monkeypatch):
    """This host's clock is half a minute behind the database's, as far as anybody can tell."""
    monkeypatch.setattr(database_clock, "skew", lambda: HALF_A_MINUTE)


def test_a_clock_that_is_right_is_left_alone(db):
    if connection.vendor == "postgresql":
        assert measure() == timedelta(0)
    assert database_clock.skew() == timedelta(0)


def test_a_lease_lasts_as_long_as_it_should_whoever_looks(db, monkeypatch):
    now = timezone.now()
    with work_leases.alone("compare", now=now, longest=timedelta(seconds=20)) as mine:
        assert mine
        # Another host, half a minute ahead by its own clock, which it knows.
        with monkeypatch.context() as patch:
            patch.setattr(database_clock, "skew", lambda: -HALF_A_MINUTE)
            with work_leases.alone("compare", now=now + HALF_A_MINUTE, longest=timedelta(seconds=20)) as too:
                assert not too


def test_an_account_that_is_drained_stays_so_for_a_host_whose_clock_is_ahead(account, monkeypatch):
    lease = account_lease.lease(account.pk, now=database_clock.now())
    assert lease
    monkeypatch.setattr(database_clock, "skew", lambda: -HALF_A_MINUTE)
    monkeypatch.setattr(database_clock.timezone, "now", lambda now=timezone.now: now() + HALF_A_MINUTE)
    assert account_lease.lease(account.pk, now=database_clock.now()) is None


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_doctor_says_when_clocks_differ(db, monkeypatch):
    monkeypatch.setattr(database_clock, "measure", lambda: HALF_A_MINUTE)
    assert [finding.message for finding in examine(timezone.now(), ask_kommo=False) if finding.check == "clock"] == [
        "this host's clock and the database's differ by 30 s"
    ]
