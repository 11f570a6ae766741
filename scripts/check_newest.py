#!/usr/bin/env python
"""Run the suite's core on the newest Python at hand, with the newest Django.

Where no Python newer than this one is at hand, or its packages cannot be had, that is said, and is no failure of the
code. Deprecations of a Django we do not pin yet are news and fail nothing. The environment is kept in
.venv/newest-<version> and made anew when a pin changes.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS, DEV_PINS = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
# What takes the place of our pins there: the newest that are out.
NEWEST = {"django": "Django==6.1.3", "django-unfold": "django-unfold==0.110.0"}
# What tests of the core are written with.
TOOLS = (
    "pytest",
    "pytest-django",
    "pytest-randomly",
    "responses",
    "hypothesis",
    "factory_boy",
    "time-machine",
    "httpx",
)
# A road through every room: rules, follow-ups, the statements of our own, the API, the admin's lists, Kommo, playbooks.
CORE = (
    "tests/common/test_statements.py",
    "tests/leads/test_interactions.py",
    "tests/leads/test_decisions.py",
    "tests/followups/test_sequences.py",
    "tests/bridge/api/test_interactions.py",
    "tests/bridge/admin/test_audit_record.py",
    "tests/bridge/delivery/test_draining.py",
    "tests/bridge/inbound/test_one_person.py",
    "tests/packages",
    "tests/playbooks",
)
NEWS = ("DeprecationWarning", "PendingDeprecationWarning")


def main() -> int:
    found = newest()
    if found is None:
        print(f"no Python newer than {version(Path(sys.executable))} is at hand: nothing was tried")
        return 0
    at = ROOT / ".venv" / f"newest-{'.'.join(map(str, version(found)))}"
    if not made(found, at):
        return 0
    warnings = [word for name in NEWS for word in ("-W", f"default::{name}")]
    command = [at / "bin" / "python", "-m", "pytest", *warnings, "--disable-warnings", *CORE, *sys.argv[1:]]
    print(f"on Python {version(found)}, with {', '.join(NEWEST.values())}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def newest() -> Path | None:
    """Return the newest Python that is newer than this one, in the PATH or where pyenv and uv keep theirs."""
    home = Path.home()
    places = (home / ".pyenv" / "versions", home / ".local" / "share" / "uv" / "python")
    candidates = [Path(found) for minor in range(12, 20) if (found := shutil.which(f"python3.{minor}"))]
    candidates += [path for place in places for path in place.glob("*/bin/python3")]
    usable = [(version(path), path) for path in candidates]
    newer = [(number, path) for number, path in usable if number > sys.version_info[:2]]
    return max(newer)[1] if newer else None


def version(python: Path) -> tuple[int, ...]:
    """Return major and minor; nothing of a Python that cannot say."""
    ask = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    return tuple(int(part) for part in done.stdout.split()) if done.returncode == 0 else ()


def pins(file: Path) -> dict[str, str]:
    """Return name -> line of each pin in a file."""
    found = re.findall(r"^(([A-Za-z][\w.-]*)==\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {name.lower(): line for line, name in found}


def made(python: Path, at: Path) -> bool:
    """Make the environment unless it is there for these pins; False when its packages cannot be had."""
    wanted = hashlib.sha256(PINS.read_bytes() + DEV_PINS.read_bytes() + repr(NEWEST).encode()).hexdigest()
    mark = at / ".pins"
    if mark.is_file() and mark.read_text() == wanted:
        return True
    shutil.rmtree(at, ignore_errors=True)
    tools = [line for name, line in pins(DEV_PINS).items() if name in TOOLS]
    run_in = [at / "bin" / "python", "-m", "pip"]
    lines = pins(PINS) | NEWEST
    subprocess.run([python, "-m", "venv", at], check=True)
    done = subprocess.run(
        [*run_in, "install", "--quiet", "--disable-pip-version-check", *lines.values(), *tools],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        print(f"its packages cannot be had, nothing was tried: {done.stderr.strip().splitlines()[-1][:200]}")
        return False
    mark.write_text(wanted)
    return True


if __name__ == "__main__":
    sys.exit(main())
