"""`python -m benchmarks.scenario NAME DATABASE [--quick]`: one scenario in this process, a line of JSON per figure."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import warnings
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench, fresh_database, say

MOST_OF_A_LOG = 4_000  # characters


def main(name: str, database: str, *options: str) -> int:
    # Whoever stops us still gets our processes stopped and our database dropped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # WhiteNoise misses collected static files, which nobody here asks for.
    warnings.filterwarnings("ignore", message="No directory at")
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as folder, fresh_database(database, Path(folder)) as url:
        bench = Bench(Path(folder), database=database, url=url, quick="--quick" in options)
        with bench:
            try:
                bench.set_up()
                # Only now: the scenarios use the project's models.
                for figure in import_module(f"benchmarks.{name}").run(bench):
                    _tell(asdict(figure))
            except Exception as error:
                _tell({"broke": " ".join(f"{type(error).__name__}: {error}".split())[:300]})
                _show_logs(Path(folder))
                raise
            finally:
                _close_connections()
    return 0


def _tell(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def _show_logs(folder: Path) -> None:
    """Tell what the processes said last: the folder is about to go."""
    for log in sorted(folder.glob("*.log")):
        if text := log.read_text(encoding="utf-8", errors="replace").strip():
            say(f"--- {log.name}\n{text[-MOST_OF_A_LOG:]}")


def _close_connections() -> None:
    from django.conf import settings

    if settings.configured:
        from django.db import connections

        connections.close_all()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
