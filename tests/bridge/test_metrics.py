"""Counting never costs what it counts."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from bridge import metrics
from bridge.models import Delivery, Figure
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


def test_all_that_was_counted_is_stored_by_one_commit(transactional_db):
    metrics.add_now()
    with CaptureQueriesContext(connection) as queries:
        for status in (200, 400, 429):
            metrics.count("bridge_kommo_requests", "TRACE", status)
        metrics.observe("bridge_kommo_request_seconds", 0.3)
        metrics.add_now()

    begun = [query["sql"] for query in queries if query["sql"].startswith(("BEGIN", "COMMIT"))]
    assert len(begun) == 2
    stored = dict(Figure.objects.filter(labels__startswith="TRACE").values_list("labels", "value"))
    assert stored == {"TRACE\n200": 1, "TRACE\n400": 1, "TRACE\n429": 1}
