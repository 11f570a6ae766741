"""`python -m benchmarks [NAME ...] [--quick] [--list]`: run scenarios, print one table, write results.json.

Timing never fails a run: a target that is missed is shown as such. The exit code is 1 only when a scenario broke.
results.json keeps the newest whole run of each scenario; a quick one shows that all works and is not kept.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.harness import POSTGRES, SQLITE, has_postgres, say

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
LONGEST_SCENARIO_SECONDS = 3600

BOTH, SERVER = (SQLITE, POSTGRES), (POSTGRES,)
# In the order they run, with the databases they say something about.
SCENARIOS: dict[str, Sequence[str]] = {
    "delivery_calls": (SQLITE,),
    "backlog": BOTH,
    "far_away": BOTH,
    "other_clients": (SQLITE,),
    "many_accounts": BOTH,
    "idle_latency": BOTH,
    "idle_cost": BOTH,
    "memory": BOTH,
    "first_comparison": BOTH,
    "interactions_rate": BOTH,
    "webhooks_store": BOTH,
    "intakes": BOTH,
    "messages_latency": BOTH,
    "admin_pages": SERVER,
    "at_a_glance": SERVER,
    "growth": SERVER,
    "rules_preview": BOTH,
    "load_and_chaos": SERVER,
    "followups_due": BOTH,
    "followups_cost": BOTH,
}


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = _arguments()
    if arguments.list:
        for name in SCENARIOS:
            print(f"{name:18} {_subject(name)}")
        return 0
    figures: list[Figure] = []
    broken = False
    for name in arguments.names or SCENARIOS:
        for database in SCENARIOS[name]:
            on = f"{name} [{database}]"
            if database == POSTGRES and not has_postgres():
                figures.append(Figure(on, None, "", skipped="set TEST_DATABASE_URL to a server"))
                continue
            found, trouble = _run(name, database, quick=arguments.quick)
            figures += found
            if trouble:
                broken = True
                figures.append(Figure(on, None, "", skipped=f"BROKE: {trouble}"))
            elif not arguments.quick:
                _keep(on, found)
    print(_table(figures))
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which scenarios (default: all; see --list)")
    parser.add_argument("--quick", action="store_true", help="smaller sizes: shows that all works, not how fast")
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - SCENARIOS.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return arguments


def _subject(name: str) -> str:
    """Return the first line of a scenario's docstring, without loading what it needs."""
    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0]


def _run(name: str, database: str, *, quick: bool) -> tuple[list[Figure], str]:
    """Run one scenario in a process of its own; return its figures, and what broke it, if anything did."""
    say(f"{name} on {database} …")
    command = [sys.executable, "-m", "benchmarks.scenario", name, database, *(["--quick"] if quick else [])]
    with subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True) as process:
        try:
            printed, _ = process.communicate(timeout=LONGEST_SCENARIO_SECONDS)
        except subprocess.TimeoutExpired:
            return [], f"it did not end within {LONGEST_SCENARIO_SECONDS} s"
        finally:
            # However we leave: it stops the processes it has started, and drops its database.
            process.terminate()
            process.wait()
    lines = [json.loads(line) for line in printed.splitlines()]
    trouble = next((line["broke"] for line in lines if "broke" in line), "")
    if process.returncode and not trouble:
        trouble = f"it ended with code {process.returncode}"
    return [Figure(**line) for line in lines if "broke" not in line], trouble


def _table(figures: Sequence[Figure]) -> str:
    rows = [("name", "figure", "yardstick", "target", "met?"), *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    if figure.skipped:
        return figure.name, "-", figure.skipped, "", ""
    assert figure.value is not None
    met = {True: "yes", False: "NO", None: ""}[figure.met]
    return figure.name, _number(figure.value), figure.yardstick, figure.target, met


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _keep(on: str, figures: Sequence[Figure]) -> None:
    """Put a scenario's figures in the place of its former ones: at once, for the next scenario may take an hour."""
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    kept[on] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{machine}, Python {platform.python_version()}",
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
    }
    order = {f"{name} [{database}]": None for name, databases in SCENARIOS.items() for database in databases}
    kept = {name: kept[name] for name in order if name in kept}
    RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
