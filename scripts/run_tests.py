"""Run the suite on SQLite and, side by side, on the PostgreSQL and Redis that the environment names.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` add the second run; without them no service is needed. Tests marked `once`
would do the same in both, so only the first has them, and those marked `served` say more on services, so only the
second has them. With `--and-hostile`, all that speaks to Kommo runs once more beside them, on whatever the environment
names, with a local Kommo that behaves as badly as accounts were seen to (packages/kommo-sandbox).

All begin at once, for where one waits another works. What the first says is shown as it says it; the others' output
waits in a file until the first has ended. The last lines are pytest's own closing lines, those of a run that failed
last.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
SERVICES = {"TEST_DATABASE_URL": "PostgreSQL", "TEST_REDIS_URL": "Redis"}
AND_HOSTILE = "--and-hostile"
NOTHING_COLLECTED = 5
# Where what Python compiles is kept when it may not be kept beside the sources.
COMPILED = ROOT / ".pytest_cache" / "compiled"
# In the order of tests/conftest.py, not by how many tests belong together. More than four get into each other's way.
SIDE_BY_SIDE = ("--maxprocesses", "4", "--dist", "loadgroup", "--no-loadscope-reorder")
# What takes this many seconds is named at the end.
WHAT_IS_SLOW = ("--durations", "15", "--durations-min", "5")


@dataclass(frozen=True)
class Run:
    """The suite, or a part of it, on something."""

    on: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def main(arguments: list[str]) -> int:
    hostile = AND_HOSTILE in arguments
    arguments = [argument for argument in arguments if argument != AND_HOSTILE]
    runs = _runs(arguments, _environment(), hostile=hostile)
    command = [sys.executable, "-m", "pytest", *_workers(arguments, len(runs)), *arguments]
    if len(runs) == 1:
        return subprocess.run([*command, *runs[0].arguments], cwd=ROOT, env=runs[0].environment, check=False).returncode
    with tempfile.TemporaryDirectory(prefix="bridge-tests-") as folder:
        logs = {run.on: Path(folder, f"{number}.log") for number, run in enumerate(runs)}
        first, *others = runs
        print(f"-- the suite on {first.on}; beside it, on {', on '.join(run.on for run in others)}", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        with ExitStack() as stack:
            beside = {run.on: stack.enter_context(_beside(command, run, logs[run.on])) for run in others}
            codes = {first.on: _shown([*command, *first.arguments], first.environment, logs[first.on])}
            for name, process in beside.items():
                print(f"\n-- the suite on {name}", flush=True)
                codes[name] = process.wait()
                sys.stdout.write(logs[name].read_text(encoding="utf-8", errors="replace"))
        print()
        for name in sorted(codes, key=lambda name: codes[name]):
            print(f"-- on {name}:\n{_closing_line(logs[name])}", flush=True)
    # An argument may name tests that only one of them has.
    failed = [code for code in codes.values() if code not in (0, NOTHING_COLLECTED)]
    return max(failed, default=min(codes.values()))


def _runs(arguments: list[str], environment: dict[str, str], *, hostile: bool) -> list[Run]:
    """Return what is run: one run on whatever the environment names when the arguments name a local Kommo."""
    services = " and ".join(name for variable, name in SERVICES.items() if environment.get(variable))
    alone = {name: value for name, value in environment.items() if name not in SERVICES}
    if "--kommo" in arguments:
        return [Run(services or "SQLite", (), environment)]
    first = Run("SQLite", ("-m", "not served") if services else (), alone)
    beside = [Run(services, ("-m", "not once"), environment)] if services else []
    if hostile:
        name, asked = f"{services or 'SQLite'} with a hostile Kommo", ("--kommo", "hostile", "-m", "not served")
        beside.append(Run(name, asked, environment | _database_of_its_own(environment)))
    return [first, *beside]


def _database_of_its_own(environment: Mapping[str, str]) -> dict[str, str]:
    """Name a database that no other run makes its test databases beside: pytest-django calls them after it."""
    if not (named := environment.get("TEST_DATABASE_URL")):
        return {}
    url = urlsplit(named)
    return {"TEST_DATABASE_URL": url._replace(path=f"{url.path}_hostile").geturl()}


def _workers(arguments: list[str], runs: int) -> tuple[str, ...]:
    if _is_one_file(arguments):
        return ()
    # Much of the time a test waits, for an answer or for a clock: where no other run works meanwhile, one more of this
    # one does.
    count = "auto" if runs > 1 else str((os.cpu_count() or 1) + 1)
    return ("-n", count, *SIDE_BY_SIDE, *WHAT_IS_SLOW)


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


@contextmanager
def _beside(command: list[str], run: Run, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Let a run go on beside another, its output in a file; whatever happens, it has ended afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *run.arguments], cwd=ROOT, env=run.environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait()


def _shown(command: list[str], environment: Mapping[str, str], log: Path) -> int:
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
