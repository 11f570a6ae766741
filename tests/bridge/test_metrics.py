"""Counting never costs what it counts."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from bridge import metrics
from bridge.models import Delivery
from tests.conftest import drain, lead_of, record


@pytest.mark.django_db(transaction=True)
def test_a_figure_that_cannot_be_stored_takes_no_settlement_with_it(account, pipeline, monkeypatch):
    inside = []

    def add_now():
        inside.append(transaction.get_connection().in_atomic_block)
        raise DatabaseError("canceling statement due to lock timeout")

    monkeypatch.setattr(metrics, "ADD_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(metrics, "add_now", add_now)
    record(pipeline, name="Maria")
    drain(account)
    assert lead_of().card.state == "in_sync"
    assert Delivery.objects.get().outcome == "delivered"
    # Never within anybody's transaction.
    assert inside and not any(inside)
