"""`manage.py kommo_sandbox`: the local Kommo that a checkout brings along, without a database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
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


def test_a_port_that_is_none_is_one_line_and_exit_code_1():
    with start("--port", "99999999") as process:
        assert process.wait(timeout=30) == 1
        assert process.stderr
        [line] = process.stderr.read().splitlines()
        assert "choose another with --port" in line


@pytest.mark.parametrize("command", ["demo", "kommo_sandbox"])
def test_where_it_was_left_out_the_command_says_so(command):
    """As in an image: the code without the folder of packages."""
    ask = f"import sys; sys.argv = ['manage.py', {command!r}]; from bridge.command import main; main()"
    answer = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, env=ENVIRONMENT, text=True, capture_output=True, check=False
    )
    assert answer.returncode == 1
    assert answer.stderr == f"{command} needs the local Kommo, which images leave out: use a checkout or the wheel.\n"
