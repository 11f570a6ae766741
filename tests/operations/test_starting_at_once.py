"""Replicas that start in the same moment, each with `migrate` as its first command."""

from __future__ import annotations

import subprocess

import psycopg
import pytest

from bridge.demo.stage import Stage
from bridge.installed_paths import MANAGE
from bridge.management.commands.migrate import MARK
from tests.e2e.stack import database, kinds

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not kinds()[0].startswith("postgres"), reason="TEST_DATABASE_URL names no PostgreSQL"),
]


@pytest.fixture
def stage(tmp_path):
    with database("postgres", tmp_path) as url:
        yield Stage(tmp_path, web_port=0, sandbox_port=0, extra={"DATABASE_URL": url, "PYTHONUNBUFFERED": "1"})


def begun(stage: Stage) -> subprocess.Popen[str]:
    command = [*MANAGE, "migrate", "--noinput"]
    return subprocess.Popen(
        command, env=stage.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )


def test_of_two_that_migrate_at_once_one_does_it_and_the_other_finds_it_done(stage):
    both = [begun(stage), begun(stage)]
    outputs = [process.communicate()[0] for process in both]

    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("Applying leads.0001_initial" in output for output in outputs) == 1, outputs
    assert sum("No migrations to apply" in output for output in outputs) == 1, outputs


def test_whoever_waits_makes_no_table_and_holds_up_no_index(stage):
    with psycopg.connect(stage.environment["DATABASE_URL"]) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [MARK])
        # What was asked last would keep its view of the data, and hold up the index itself.
        other.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        waiting = begun(stage)
        try:
            assert waiting.stdout is not None
            assert "waiting for it" in waiting.stdout.readline()
            with psycopg.connect(stage.environment["DATABASE_URL"], autocommit=True) as server:
                server.execute("CREATE TABLE things (name text)")
                server.execute("CREATE INDEX CONCURRENTLY ON things (name)")
                assert server.execute("SELECT to_regclass('leads_lead')").fetchone() == (None,)
        finally:
            waiting.kill()
            waiting.communicate()
