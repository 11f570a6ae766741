"""Real processes for tests: a sandbox, the web server and workers, on a database and a queue of their own."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
import requests
from cryptography.fernet import Fernet

from bridge.demo.stage import Stage, free_port
from kommo_sandbox.staff import CARD_PATHS, Kommo
from tests import schema

T = TypeVar("T")
# What comes is waited for: on a busy machine a start alone takes minutes. What never comes still fails.
PATIENCE_SECONDS = 300.0
# Most of what is waited for is there at once. A look is a request, and a hundred of them take from what they wait for.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, GROWTH = 0.02, 0.4, 1.4
_numbers = itertools.count(1)


def eventually(look: Callable[[], T], *, within_seconds: float = PATIENCE_SECONDS) -> T:
    """Return what `look` returns once it does so without an AssertionError; raise its last one when time is up."""
    deadline, pause = time.monotonic() + within_seconds, FIRST_PAUSE_SECONDS
    while True:
        try:
            return look()
        except (AssertionError, StopIteration, KeyError, requests.RequestException):
            if time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * GROWTH, LONGEST_PAUSE_SECONDS)


def new_phone() -> str:
    """Return a mobile number that no other test of this run uses."""
    return f"+55819{90000000 + next(_numbers)}"


class Stack(Stage):
    """The processes, the agent's key, and what the tests ask of both sides."""

    key: str
    kommo: Kommo

    def set_up(self) -> None:
        self.start_sandbox()
        self.kommo = Kommo(self.sandbox_url)
        self.manage("kommo_connect", "--create-missing", "--webhook-url", self.web_url)
        self.key = self.manage("api_key", "agent")
        self.start_web()

    # --- The agent's side

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(
            method,
            f"{self.web_url}/api/v1/{path}",
            json=body,
            headers={"Authorization": f"Api-Key {self.key}"},
            timeout=30,
        )

    def tell(self, phone: str, *, context: Any = None, message: Any = None, **facts: Any) -> dict[str, Any]:
        """Report one interaction and return the answer's body."""
        body: dict[str, Any] = {"lead": {"phone": phone, **facts}}
        body |= {key: part for key, part in (("context", context), ("message", message)) if part}
        answer = self.call("POST", "interactions/", body)
        assert answer.ok, answer.text
        return dict(answer.json())

    def lead(self, lead_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"leads/{lead_id}/")
        assert answer.ok, answer.text
        return dict(answer.json())

    def timeline(self, lead_id: str) -> list[dict[str, Any]]:
        """Return the first page of the lead's timeline, oldest first."""
        answer = self.call("GET", f"leads/{lead_id}/timeline/")
        assert answer.ok, answer.text
        return list(answer.json()["results"])

    def synced(self, lead_id: str, *, within_seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Wait until the lead's card is in sync; return the lead."""

        def look() -> dict[str, Any]:
            lead = self.lead(lead_id)
            assert lead["sync"] == "synced", (lead["sync"], lead["waiting"])
            return lead

        return eventually(look, within_seconds=within_seconds)

    # --- Kommo's side

    def card(self, phone: str) -> dict[str, Any]:
        """Return the one card of the person in the sandbox; AssertionError while there is none, or more than one."""
        found = [
            lead
            for lead in self.kommo.leads()
            if not lead["is_deleted"] and any(phone in contact["phones"] for contact in lead["contacts"])
        ]
        assert len(found) == 1, f"{len(found)} cards for {phone}"
        return found[0]

    def card_writes(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Return the writes to cards from a place in the journal on."""
        entries = self.kommo.get(f"journal?since={since}")["entries"]
        return [entry for entry in entries if entry["write"] and entry["path"] in CARD_PATHS]

    def journal_end(self) -> int:
        return int(self.kommo.get("journal?since=1000000000")["next"])

    def clear_faults(self) -> None:
        requests.delete(f"{self.sandbox_url}/_sandbox/faults", timeout=10).raise_for_status()

    # --- Processes

    def kill(self, name: str) -> None:
        """Kill one process with SIGKILL, as the out-of-memory killer would."""
        process = self.processes.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def log_of(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(errors="replace")


@contextmanager
def database(kind: str, directory: Path, *, like: str = "") -> Iterator[str]:
    """Yield the address of a fresh database; a PostgreSQL one is made on TEST_DATABASE_URL's server and dropped.

    It is empty, or has all that the database of the address `like` has, to which nobody may be connected.
    """
    if kind == "sqlite":
        path = directory / "bridge.sqlite3"
        if like:
            shutil.copy(like.removeprefix("sqlite:///"), path)
        yield f"sqlite:///{path}"
        return
    server = os.environ["TEST_DATABASE_URL"]
    name = f"bridge_e2e_{uuid4().hex[:12]}"
    template = f' TEMPLATE "{like.rpartition("/")[2]}"' if like else ""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"{template}')
    try:
        yield server.rpartition("/")[0] + f"/{name}"
    finally:
        # A server of a test's own may be gone by now, and its databases with it.
        with suppress(psycopg.OperationalError), psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


# What migrations seal in a database is to be opened by whoever is given a copy of it.
ENCRYPTION_KEY = Fernet.generate_key().decode()


@cache
def migrated(kind: str, server: str) -> str:
    """Return the address of a database that migrations have made, to be copied, to which nobody connects.

    Made once for each state of the migrations (tests/schema.py), as a file or on a server (PostgreSQL's).
    """
    schema.FOLDER.mkdir(exist_ok=True)
    with (schema.FOLDER / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _kept_on(server) if kind == "postgres" else _kept_file()


def give_migrated(directory: Path) -> None:
    """Put a database that migrations have made where a stage of this folder looks for its own."""
    shutil.copy(migrated("sqlite", "").removeprefix("sqlite:///"), directory / "demo.sqlite3")


def _kept_file() -> str:
    kept = schema.FOLDER / f"migrated-{schema.state()}.sqlite3"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=schema.FOLDER) as directory:
            made = Path(directory, "bridge.sqlite3")
            _migrate(f"sqlite:///{made}")
            os.replace(made, kept)
    return f"sqlite:///{kept}"


def _kept_on(server: str) -> str:
    prefix = schema.kept_by(schema.ROOT, "migrated")
    kept, base = prefix + schema.state(), server.rpartition("/")[0]
    with psycopg.connect(server, autocommit=True) as connection:
        there = schema.kept_on(connection, prefix)
        if kept not in there:
            for name in there:
                connection.execute(f'DROP DATABASE "{name}"')
            connection.execute(f'CREATE DATABASE "{kept}_new"')
            _migrate(f"{base}/{kept}_new")
            # Whole, or not there.
            connection.execute(f'ALTER DATABASE "{kept}_new" RENAME TO "{kept}"')
    return f"{base}/{kept}"


def _migrate(url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="bridge-migrated-") as directory:
        stage = Stage(Path(directory), web_port=0, sandbox_port=0, extra={"DATABASE_URL": url})
        stage.manage("migrate", "--verbosity", "0")
        # Made under this stage's keys, which those who get a copy do not have: they make one of their own.
        stage.manage("shell", "--command", "from leads.models import PseudonymKey as Key; Key.objects.all().delete()")


@contextmanager
def running(kind: str, directory: Path, *, workers: int = 1, **extra: str) -> Iterator[Stack]:
    """Yield a stack with so many workers; `kind` is a database and, after a plus sign, a broker."""
    database_kind, _, broker = kind.partition("+")
    server = os.environ.get("TEST_DATABASE_URL", "")
    with database(database_kind, directory, like=migrated(database_kind, server)) as url:
        # The tests look much more often than an agent does.
        environment = {
            "DATABASE_URL": url,
            "API_REQUESTS_PER_SECOND": "10000",
            "FIELD_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        } | extra
        if broker == "redis":
            # A queue of its own: another stack on the same Redis must not take its messages.
            name = f"bridge-{uuid4().hex[:12]}"
            environment = {"Q_BROKER": "redis", "REDIS_URL": os.environ["TEST_REDIS_URL"], "Q_NAME": name} | environment
        ports = {"web_port": free_port(port()), "sandbox_port": free_port(port())}
        with Stack(directory, **ports, extra=environment) as stack:
            stack.set_up()
            for number in range(workers):
                stack.start_worker(f"worker-{number}" if number else "worker")
            yield stack


def port() -> int:
    """Return a port outside the range that outgoing connections use; free_port takes another if it is taken."""
    return 20_000 + (os.getpid() * 7 + next(_numbers) * 131) % 10_000


def kinds() -> list[str]:
    """Return the database and the broker of this run: what the environment names, or SQLite and its own tables."""
    kind = "postgres" if os.environ.get("TEST_DATABASE_URL", "").startswith("postgres") else "sqlite"
    return [f"{kind}+redis" if os.environ.get("TEST_REDIS_URL") else kind]
