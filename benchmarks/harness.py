"""Where a scenario runs: a fresh database, settings of its own, and the bridge's real processes when it asks for them.

Nothing here reads `.env` or touches the database it names: SQLite lives in a temporary folder, and a PostgreSQL
database is made on the server of TEST_DATABASE_URL and dropped again.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from bridge.demo.stage import Stage, free_port, until

SQLITE, POSTGRES = "SQLite", "PostgreSQL"
# Outside the range that outgoing connections use; another port is taken where one is in use.
FIRST_PORT = 20_000
PORTS = 10_000
UNLIMITED = 0  # requests per second, for the sandbox


class Broken(Exception):
    """A scenario did not do what it measures: an answer that is no success, cards that never arrive."""


def say(text: str) -> None:
    """Tell whoever waits how far we are; the table is the only thing on stdout."""
    print(text, file=sys.stderr, flush=True)


def has_postgres() -> bool:
    return os.environ.get("TEST_DATABASE_URL", "").startswith("postgres")


class Bench(Stage):
    """One scenario's database and processes. `quick` asks for sizes that show it works, not for steady figures."""

    def __init__(self, directory: Path, *, database: str, url: str, quick: bool) -> None:
        first = FIRST_PORT + os.getpid() * 7 % PORTS
        super().__init__(
            directory,
            web_port=free_port(first),
            sandbox_port=free_port(first + 1),
            extra={
                "DATABASE_URL": url,
                # As in production: DEBUG would keep every query in memory.
                "DEBUG": "false",
                "LOG_LEVEL": "ERROR",
                "API_REQUESTS_PER_SECOND": "100000",
                "LANGUAGE_CODE": "en",
                # What would send Django to other settings or hide a scenario's own.
                "DJANGO_SETTINGS_MODULE": "bridge.settings",
            },
        )
        self.database, self.quick = database, quick

    @property
    def on(self) -> str:
        """Name the database as a figure's name ends with it."""
        return f"[{self.database}]"

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def set_up(self) -> None:
        """Migrate, and load the project into this process with the settings of the others."""
        self.manage("migrate", "--verbosity", "0")
        os.environ.update(self.environment)
        import django

        django.setup()

    # --- The sandbox

    def options(self, **options: Any) -> None:
        answer = requests.post(f"{self.sandbox_url}/_sandbox/options", json=options, timeout=10)
        answer.raise_for_status()

    def journal(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Return the sandbox's entries from an index on (`kommo_sandbox.journal` says what one holds)."""
        answer = requests.get(f"{self.sandbox_url}/_sandbox/journal?since={since}", timeout=60)
        answer.raise_for_status()
        return list(answer.json()["entries"])

    def journal_end(self) -> int:
        """Return the index that the next request will have."""
        statistics = requests.get(f"{self.sandbox_url}/_sandbox/statistics", timeout=10).json()
        return int(statistics["requests"])


@contextmanager
def fresh_database(kind: str, directory: Path) -> Iterator[str]:
    """Yield the address of an empty database that is gone afterwards."""
    if kind == SQLITE:
        yield f"sqlite:///{directory / 'bridge.sqlite3'}"
        return
    import psycopg

    server, name = os.environ["TEST_DATABASE_URL"], f"bridge_bench_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield server.rpartition("/")[0] + f"/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def wait_until(is_so: Any, *, within_seconds: float, what: str) -> None:
    """Wait for something that has to come. Raises Broken when it does not."""
    if not until(is_so, within_seconds=within_seconds, every_seconds=0.05):
        raise Broken(f"{what} did not happen within {within_seconds:.0f} s")


class Progress:
    """Says every few seconds how far a loop is."""

    EVERY_SECONDS = 5.0

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self._said_at = time.monotonic()

    def at(self, done: int) -> None:
        if time.monotonic() - self._said_at >= self.EVERY_SECONDS:
            self._said_at = time.monotonic()
            say(f"    {self.what}: {done:,} of {self.total:,}")
