from __future__ import annotations

from unittest.mock import patch

import pytest
from django.db import OperationalError

from bridge import health
from tests.conftest import drain, record


def test_healthz_needs_nothing(client):
    assert client.get("/healthz").status_code == 200


def test_readyz_tells_a_ready_database_from_a_missing_one(client, db):
    assert client.get("/readyz").status_code == 200
    with patch.object(health, "_pending_migrations", side_effect=OperationalError):
        assert client.get("/readyz").status_code == 503
    with patch.object(health, "_pending_migrations", return_value=2):
        assert client.get("/readyz").status_code == 503


def test_metrics_are_for_loopback_or_the_token(client, db, settings):
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.7").status_code == 404
    assert client.get("/metrics", headers={"x-forwarded-for": "1.2.3.4"}).status_code == 404
    settings.METRICS_TOKEN = "scrape"
    given = {"REMOTE_ADDR": "203.0.113.7", "headers": {"authorization": "Bearer scrape"}}
    assert client.get("/metrics", **given).status_code == 200


def test_every_metric_of_the_contract_is_there(client, account, pipeline):
    record(pipeline)
    assert 'bridge_cards{state="due"} 1.0' in client.get("/metrics").content.decode()
    drain(account)
    text = client.get("/metrics").content.decode()
    for name in (
        "bridge_interactions_total", 'bridge_cards{state="in_sync"} 1.0', "bridge_oldest_pending_seconds",
        'bridge_kommo_requests_total{method="POST",status="200"}', "bridge_kommo_request_seconds_bucket",
        "bridge_delivery_lag_seconds_bucket", "bridge_webhooks_total", "bridge_followups_total",
        "bridge_followup_lateness_seconds_bucket",
    ):  # fmt: skip
        assert name in text, name


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("host", ["10.0.3.7", "10.0.3.7:8000", "[fd00::7]:8000", "bridge-7f9c.internal"])
def test_a_probe_that_asks_by_address_is_answered_and_nobody_else_is(client, db, settings, caplog, path, host):
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["bridge.example"], True

    assert client.get(path, headers={"host": host}).status_code == 200
    assert not caplog.records
    assert client.get("/admin/login/", headers={"host": host}, secure=True).status_code == 400
