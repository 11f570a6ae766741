"""How scripts run another program: quiet when it went well, all that it said when it did not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def run(command: Sequence[str | Path], at: Path, environment: dict[str, str] | None = None) -> str:
    """Return what a program said; end this one when it failed."""
    done = subprocess.run(
        command,
        cwd=at,
        env=environment or dict(os.environ),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout}")
    return done.stdout


def uv() -> str:
    return shutil.which("uv") or str(Path(sys.executable).parent / "uv")
