"""Whoever waits is told how much is left, at what rate it leaves and when it will be done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest

from bridge import account_standing
from bridge.accounts import room_for_leads
from bridge.health import Collector
from bridge.models import Account, Card, Delivery
from bridge.selectors.backlog import MANY, backlog
from leads.models import Lead, Pipeline

NOW = timezone.now()


@pytest.fixture
def row(db):
    return Account.objects.create(name="acme", base_url="https://acme.kommo.com", compared_at=NOW, connected_at=NOW)


def waiting(row, count, **values):
    pipeline = Pipeline.objects.get(slug="solar")
    moments = {"stage_set_at": NOW, "created_at": NOW, "updated_at": NOW}
    leads = Lead.objects.bulk_create(Lead(pipeline=pipeline, **moments) for _ in range(count))
    return Card.objects.bulk_create(
        Card(lead=lead, account=row, due_at=NOW, pending_since=NOW, **values) for lead in leads
    )


def left(cards, *, seconds, outcome=Delivery.Outcome.DELIVERED):
    at = NOW - timedelta(seconds=seconds)
    Delivery.objects.bulk_create(
        Delivery(account_id=card.account_id, card=card, at=at, operation="update", outcome=outcome) for card in cards
    )


def test_the_rate_is_that_of_the_last_minute(row):
    cards = waiting(row, 200)
    left(cards, seconds=20)
    left(cards, seconds=90)
    left(cards, seconds=5, outcome=Delivery.Outcome.FAILED)

    found = backlog(now=NOW, account=row)

    assert (found.left, found.a_second, found.takes) == (200, 10, timedelta(seconds=20))


def test_what_waits_for_room_is_no_backlog_and_what_does_not_move_has_no_end(row):
    waiting(row, MANY, state=Card.State.RETRYING, waiting_reason=room_for_leads.NO_ROOM)
    found = backlog(now=NOW)
    assert (found.left, found.takes, found.is_many) == (0, None, False)


def test_the_account_and_the_metrics_tell_it(row, monkeypatch):
    cards = waiting(row, 600)
    left(cards, seconds=10)
    assert "60 leave a second: done " in account_standing.waiting(row, now=NOW)

    monkeypatch.setattr(timezone, "now", lambda: NOW)
    registry = CollectorRegistry()
    registry.register(Collector())
    text = generate_latest(registry).decode()
    assert "bridge_backlog_cards 600.0" in text
    assert "bridge_backlog_cards_per_second 60.0" in text
    assert "bridge_backlog_seconds 10.0" in text
