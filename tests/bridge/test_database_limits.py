"""The database as the settings set it up: no wait is without end, and SQLite is read while it is written."""

from __future__ import annotations

import runpy
import sys

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.utils import ConnectionHandler
from django.test import Client

from bridge import settings as settings_module
from bridge.api import api_keys
from bridge.models import ApiKey

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="TEST_DATABASE_URL names no PostgreSQL")
on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="the suite runs on another database")


@on_postgresql
def test_a_statement_and_a_wait_for_a_lock_have_an_end(db):
    with connection.cursor() as cursor:
        limits = {}
        for name in ("statement_timeout", "lock_timeout"):
            cursor.execute(f"SHOW {name}")
            limits[name] = cursor.fetchone()[0]
    assert limits == {"statement_timeout": "30s", "lock_timeout": "10s"}


@on_postgresql
@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
def test_whoever_waits_too_long_is_told_when_to_come_again(pipeline, limit):
    key = api_keys.issue(ApiKey(name="agent"))
    parameters = connection.get_connection_params()
    address = {name: parameters[name] for name in ("host", "port", "user", "password", "dbname") if name in parameters}
    with psycopg.connect(**address) as somebody:
        somebody.execute("LOCK TABLE leads_lead IN EXCLUSIVE MODE")
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL {limit} = '100ms'")
        answer = Client().post(
            "/api/v1/interactions/",
            {"lead": {"phone": "+5581999990000"}},
            content_type="application/json",
            headers={"authorization": f"Api-Key {key}"},
        )
    assert (answer.status_code, answer["Retry-After"]) == (503, "5"), answer.content
    assert answer.json()["status"] == 503


@on_sqlite
def test_sqlite_writes_ahead_and_waits_its_turn(db, tmp_path):
    own = settings.DATABASES["default"] | {"NAME": str(tmp_path / "bridge.sqlite3")}
    fresh = ConnectionHandler({"default": own})["default"]
    try:
        with fresh.cursor() as cursor:
            assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert cursor.execute("PRAGMA busy_timeout").fetchone() == (20_000,)
        assert fresh.transaction_mode == "IMMEDIATE"
    finally:
        fresh.close()


@pytest.mark.parametrize(
    ("process", "prepares"),
    [(["gunicorn", "bridge.wsgi"], True), (["manage.py", "worker"], False), (["manage.py", "qcluster"], False)],
)
def test_the_web_has_its_statements_prepared_and_a_worker_does_not(monkeypatch, process, prepares):
    monkeypatch.setattr(sys, "argv", process)
    monkeypatch.setenv("DATABASE_URL", "postgres://bridge@127.0.0.1/bridge")
    options = runpy.run_path(settings_module.__file__)["DATABASES"]["default"]["OPTIONS"]
    assert (options.get("server_side_binding", False), "prepare_threshold" in options) == (prepares, prepares)
