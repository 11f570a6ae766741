"""Run the suite on SQLite and, side by side, on the PostgreSQL and Redis that the environment names.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` add the second run; without them there is one, and no service is needed. Tests
marked `once` would do the same in both, so only the first has them, and those marked `served` say more on services, so
only the second has them. The second run's output waits in a file until the first has ended. The last lines are pytest's
own closing lines, one for each run, those of a run that failed last.

With another local Kommo (`--kommo hostile`) there is one run, on whatever the environment names.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVICES = {"TEST_DATABASE_URL": "PostgreSQL", "TEST_REDIS_URL": "Redis"}
NOTHING_COLLECTED = 5
# Where what Python compiles is kept when it may not be kept beside the sources.
COMPILED = ROOT / ".pytest_cache" / "compiled"
# Much of the time a test waits, for an answer or for a clock. More than four would get into each other's way. In the
# order of tests/conftest.py, not by how many tests belong together.
SIDE_BY_SIDE = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadgroup", "--no-loadscope-reorder")
# What takes this many seconds is named at the end.
WHAT_IS_SLOW = ("--durations", "15", "--durations-min", "5")


def main(arguments: list[str]) -> int:
    named = [variable for variable in SERVICES if os.environ.get(variable)]
    whole = () if _is_one_file(arguments) else (*SIDE_BY_SIDE, *WHAT_IS_SLOW)
    command = [sys.executable, "-m", "pytest", *whole, *arguments]
    environment = _environment()
    if not named or "--kommo" in arguments:
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    services = " and ".join(SERVICES[variable] for variable in named)
    alone = {name: value for name, value in environment.items() if name not in SERVICES}
    with tempfile.TemporaryDirectory(prefix="bridge-tests-") as folder:
        logs = {"SQLite": Path(folder, "sqlite.log"), services: Path(folder, "services.log")}
        print(f"-- the suite on SQLite; beside it, the suite on {services}, shown when it has ended", flush=True)
        with logs[services].open("wb") as output:
            beside = subprocess.Popen(
                [*command, "-m", "not once"], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            try:
                codes = {"SQLite": _shown([*command, "-m", "not served"], alone, logs["SQLite"])}
                print(f"\n-- the suite on {services}", flush=True)
                codes[services] = beside.wait()
            finally:
                if beside.poll() is None:
                    beside.send_signal(signal.SIGINT)
                    beside.wait()
        sys.stdout.write(logs[services].read_text(encoding="utf-8", errors="replace"))
        print()
        for name in sorted(codes, key=lambda name: codes[name]):
            print(f"-- on {name}:\n{_closing_line(logs[name])}", flush=True)
    # An argument may name tests that only one of them has.
    failed = [code for code in codes.values() if code not in (0, NOTHING_COLLECTED)]
    return max(failed, default=min(codes.values()))


def _is_one_file(arguments: list[str]) -> bool:
    """Say whether the arguments name tests of one file: it has answered before workers would have started."""
    named = {name for argument in arguments if (name := argument.partition("::")[0]).endswith(".py")}
    return len(named) == 1


def _environment() -> dict[str, str]:
    """Return this process's own, in which Python keeps what it compiled.

    Every worker, and every process that a test starts, would compile all of it again: a dozen seconds of each worker.
    """
    environment = dict(os.environ)
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment.setdefault("PYTHONPYCACHEPREFIX", str(COMPILED))
    return environment


def _shown(command: list[str], environment: dict[str, str], log: Path) -> int:
    """Run a command, show what it says as it says it, and keep it in a file."""
    with (
        log.open("wb") as file,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process,
    ):
        assert process.stdout is not None
        while piece := process.stdout.read1(4096):  # type: ignore[attr-defined]
            file.write(piece)
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    return process.returncode


def _closing_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "(it said nothing)")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
