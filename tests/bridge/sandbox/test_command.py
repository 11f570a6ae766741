"""The sandbox as its own process, without a database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {
    **os.environ,
    "DJANGO_SETTINGS_MODULE": "tests.settings",
    "TEST_DATABASE_URL": "postgres://nobody@127.0.0.1:9/none",
}


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "kommo_sandbox", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_it_serves_and_stops_on_sigterm():
    with start("--port", "0") as process:
        assert process.stdout
        url = process.stdout.readline().split()[2]
        answer = requests.get(f"{url}/api/v4/account", headers={"Authorization": "Bearer sandbox-token"}, timeout=5)
        assert answer.json()["id"] == 30000001

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=15) == 0
        assert process.stderr and process.stderr.read() == ""


def test_a_taken_port_is_one_line_and_exit_code_1(api):
    with start("--port", str(api.server.port)) as process:
        assert process.wait(timeout=30) == 1
        assert process.stderr
        [line] = process.stderr.read().splitlines()
        assert "choose another with --port" in line
