"""The sandbox as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import requests

SOURCES = Path(__file__).resolve().parent.parent / "src"


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kommo_sandbox", *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
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
