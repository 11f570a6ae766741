"""Check that the locks have every pin, at the version it names, and the hashes of its files. Asks no network."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
LOCKED = re.compile(
    r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)[^\n]*\\((?:\n    --hash=sha256:[0-9a-f]{64} ?\\?)+)", re.MULTILINE
)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path) -> dict[str, str]:
    """Return the versions a file of names asks for, and those of the files it takes in."""
    text = path.read_text(encoding="utf-8")
    found = {normal(name): version for name, version in PIN.findall(text)}
    for other in re.findall(r"^-r (\S+)", text, re.MULTILINE):
        found |= pins(path.with_name(other))
    return found


def faults(path: Path) -> list[str]:
    lock = path.with_suffix(".lock")
    text = lock.read_text(encoding="utf-8")
    locked = {normal(name): version for name, version, _hashes in LOCKED.findall(text)}
    unhashed = {normal(name) for name, _ in PIN.findall(text)} - locked.keys()
    wrong = [
        f"{lock.name}: {name} is {locked.get(name, 'not there')}, and {path.name} says {version}"
        for name, version in pins(path).items()
        if locked.get(name) != version
    ]
    return wrong + [f"{lock.name}: {name} has no hash" for name in sorted(unhashed)]


if __name__ == "__main__":
    found = [fault for path in sorted(ROOT.glob("requirements*.txt")) for fault in faults(path)]
    print("\n".join(found) or "The locks hold every pin, with its hashes.")
    if found:
        sys.exit("Write them anew: make lock")
