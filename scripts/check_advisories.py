"""Fail when something we pin has a known vulnerability; say so and go on when the advisories cannot be asked.

Asks PyPI's advisories through pip-audit. Without a network, or behind a mirror that has no advisories, nothing can be
said, and that is no failure of the code.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ADVISORIES = ("pypi.org", 443)
REACH_WITHIN_SECONDS = 3
ANSWER_WITHIN_SECONDS = 180


def main() -> int:
    try:
        socket.create_connection(ADVISORIES, timeout=REACH_WITHIN_SECONDS).close()
    except OSError as error:
        return _not_asked(f"{ADVISORIES[0]} is not reachable ({error})")
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "-r",
        "requirements-dev.lock",
        "--disable-pip",
        "--no-deps",
        "-f",
        "json",
    ]
    try:
        done = subprocess.run(
            [*command, "--progress-spinner", "off"],
            cwd=ROOT, capture_output=True, text=True, timeout=ANSWER_WITHIN_SECONDS, check=False,
        )  # fmt: skip
        packages = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return _not_asked(f"no answer within {ANSWER_WITHIN_SECONDS} s")
    except (ValueError, KeyError, TypeError):
        return _not_asked((done.stderr.strip() or "pip-audit said nothing").splitlines()[-1][:200])
    return _judge(packages)


def _judge(packages: list[dict[str, Any]]) -> int:
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        return _not_asked(f"the index knows no advisories of any of the {len(packages)} packages")
    found = [(package, flaw) for package in asked for flaw in package["vulns"]]
    for package, flaw in found:
        remedy = f"update to {flaw['fix_versions'][0]}" if flaw["fix_versions"] else "no fixed version yet"
        print(f"{package['name']} {package['version']}: {flaw['id']}: {remedy}", file=sys.stderr)
    print(f"{len(asked)} of {len(packages)} packages looked up, {len(found)} known vulnerabilities")
    return 1 if found else 0


def _not_asked(why: str) -> int:
    print(f"known vulnerabilities were NOT looked up: {why}. Run `make audit` where the network is.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
