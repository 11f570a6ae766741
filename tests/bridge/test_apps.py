"""Loading the project: nothing looks for garbage while it does, and everything does from then on, seldom."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
STATE = "import gc; print(gc.isenabled(), gc.get_freeze_count() > 10_000, gc.get_threshold()[0] > 10_000)"


@pytest.mark.parametrize(
    "started",
    [
        ["manage.py", "shell", "--no-imports", "-c", STATE],
        ["-c", f"import bridge.wsgi; {STATE}"],
    ],
    ids=["a command", "the web server"],
)
def test_garbage_is_collected_again_once_everything_is_loaded(started):
    environment = {
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "DEBUG": "true",
        "SECRET_KEY": "tests",
        "DATABASE_URL": "sqlite://:memory:",
    }
    done = subprocess.run(
        [sys.executable, *started], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True True True"
