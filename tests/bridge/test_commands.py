"""Commands end with a code and one line a person can act on, never a traceback (contract §1)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"


def run(*arguments: str, database: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("KOMMO_", "AGENT_", "DJANGO_"))
    } | {
        "ENV_FILE": os.devnull,
        "DEBUG": "true",
        "SECRET_KEY": "commands",
        "LANGUAGE_CODE": "en",
        "DATABASE_URL": database,
    }
    command = [sys.executable, str(MANAGE), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("database", "reason", "remedy"),
    [
        ("sqlite:///{0}/empty.sqlite3", "no such table", "manage.py migrate"),
        ("postgres://nobody@127.0.0.1:1/none", "refused", "check DATABASE_URL and that the server runs"),
    ],
)
def test_a_database_that_is_away_or_empty_is_one_line_with_what_to_do(tmp_path, database, reason, remedy):
    done = run("api_key", "agent", database=database.format(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert reason in line
    assert remedy in line


def test_wrong_usage_is_2(tmp_path):
    done = run("api_key", database=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
