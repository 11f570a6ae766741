"""What the web server itself has to say stands in the log as everything else does: one clock, one shape, no secrets."""

from __future__ import annotations

import json
import logging
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gunicorn.config import Config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def main_process(monkeypatch):
    """Write with the logger of deploy/gunicorn.conf.py, in a zone that is not UTC, and return the line."""
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    time.tzset()
    error_log = logging.getLogger("gunicorn.error")
    before, level = error_log.handlers[:], error_log.level
    # As in a main process, which never loads the application.
    error_log.handlers = []
    shipped = runpy.run_path(str(ROOT / "deploy" / "gunicorn.conf.py"))

    def write(capsys, *words, **more):
        logger = shipped["logger_class"](Config())
        logger.error(*words, **more)
        return capsys.readouterr().err

    yield write
    error_log.handlers, error_log.level = before, level
    monkeypatch.undo()
    time.tzset()


def test_the_main_process_writes_by_the_clock_of_all_other_lines(main_process, capsys, monkeypatch, time_machine):
    time_machine.move_to("2026-11-28T20:30:00.250000+00:00", tick=False)
    monkeypatch.delenv("LOG_FORMAT", raising=False)

    line = main_process(capsys, "Worker (pid:%s) exited with code %s.", 7, 3)

    assert line == "2026-11-28T20:30:00.250000Z [error    ] Worker (pid:7) exited with code 3. [gunicorn.error]\n"


def test_as_json_where_the_others_are(main_process, capsys, monkeypatch):
    monkeypatch.setenv("LOG_FORMAT", "JSON")

    line = json.loads(main_process(capsys, "Exception in worker process", exc_info=ValueError("x\ny")))

    assert line.keys() == {"event", "level", "logger", "timestamp", "exception"}
    assert line["timestamp"].endswith("Z")


def test_in_its_workers_a_call_that_went_wrong_is_told_without_the_secret_in_its_path():
    """In a process of its own: what logs are set up as is the whole process's."""
    script = """
import logging, django
logging.getLogger("gunicorn.error").addHandler(logging.StreamHandler())  # gunicorn's, before it loads us
django.setup()
logging.getLogger("gunicorn.error").error("Error handling request %s", "/webhooks/kommo/s3cr3t/?phone=5581999990000")
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    assert done.stderr.count("\n") == 1
    assert "/webhooks/kommo/[secret]" in done.stderr
    assert "s3cr3t" not in done.stderr and "99999" not in done.stderr
