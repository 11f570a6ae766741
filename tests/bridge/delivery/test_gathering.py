"""Cards that become due together leave together: a drain waits a moment while more are coming, and never for long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.cards import gathering
from bridge.delivery.draining import Drain
from bridge.models import Card
from tests.conftest import drain, record

# As it is outside tests (see tests/conftest.py).
GATHER_WHILE = gathering.GATHER_WHILE
ENOUGH = 3
NOW = timezone.now()


@pytest.fixture(autouse=True)
def others_are_writing(monkeypatch):
    monkeypatch.setattr(gathering, "GATHER_WHILE", GATHER_WHILE)


def due(account, pipeline, *ages):
    """Let cards be due for so many seconds each."""
    for number, seconds in enumerate(ages):
        phone = f"+55819555000{number:02d}"
        record(pipeline, phone)
        Card.objects.filter(lead__phone=phone).update(due_at=NOW - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("ages", "waits"),
    [
        ((), 0),
        # Until the newest has waited long enough …
        ((0.15,), 0.05),
        ((1.5, 0.05), 0.15),
        ((0.3,), 0),
        # … or the oldest, though the newest came just now.
        ((1.9, 0.05), 0.1),
        ((2.1, 0.1), 0),
        # A batch is full.
        ((0.1, 0.1, 0.1), 0),
        ((0.1, 0.1, 0.1, 0.1), 0),
        # Not due yet.
        ((-1,), 0),
        ((-1, 0.1), 0.1),
    ],
)
def test_a_moments_wait_while_more_are_coming(account, pipeline, ages, waits):
    due(account, pipeline, *ages)
    waits_for = gathering.gathers_for(account.pk, now=NOW, enough=ENOUGH)
    assert waits_for.total_seconds() == pytest.approx(waits)


def test_of_another_account_or_before_the_first_comparison_nothing_is_gathered(account, pipeline):
    due(account, pipeline, 0.1)
    assert not gathering.gathers_for(account.pk + 1, now=NOW, enough=ENOUGH)
    type(account).objects.update(compared_at=None)
    assert not gathering.gathers_for(account.pk, now=NOW, enough=ENOUGH)


def test_whoever_is_reported_while_a_drain_gathers_travels_with_it(account, pipeline, kommo, monkeypatch):
    # However slow the machine is: what just came is new until this test says otherwise.
    monkeypatch.setattr(gathering, "GATHER_WHILE", timedelta(hours=1))
    monkeypatch.setattr(gathering, "GATHER_FOR", timedelta(hours=1))
    waits = []

    def pause(self, seconds):
        waits.append(seconds)
        if len(waits) == 1:
            record(pipeline, "+5581955500002", name="Bia")
        else:
            monkeypatch.setattr(gathering, "GATHER_WHILE", timedelta(0))

    monkeypatch.setattr(Drain, "_pause", pause)
    record(pipeline, "+5581955500001", name="Ana")
    drain(account)

    assert len(waits) == 2
    assert len(kommo.writes()) == 1
    assert {lead["name"] for lead in kommo.leads()} == {"Ana", "Bia"}
