"""What migrations make of an empty database, made once for each state of them and copied by every later run.

A hundred migrations take longer than most files of tests. The copy is named after everything it was made from, so a
changed migration makes another one. SQLite's is a file that `make clean` removes; PostgreSQL's is a database beside
those of the tests, which goes when this folder makes the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".pytest_cache"
# A migration may call what it imports of ours.
IMPORTED = re.compile(r"^(?:from|import) ((?:leads|followups|bridge|common)[\w.]*)", re.MULTILINE)


def state(root: Path = ROOT) -> str:
    """Return a name for what migrations of `root` make: of their texts, what they import of ours, pins, settings."""
    files = sorted(root.glob("*/migrations/*.py"))
    names = {name for file in files for name in IMPORTED.findall(file.read_text(encoding="utf-8"))}
    files += sorted(path for name in names if (path := root / f"{name.replace('.', '/')}.py").exists())
    # What is sealed in it opens with the key of the settings alone.
    files += [*sorted(root.glob("requirements*.lock")), *root.glob("tests/settings.py")]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def made_once(connection: Any) -> Iterator[None]:
    """While the test database is made inside, let it begin as a copy; where there is none yet, keep one for others."""
    FOLDER.mkdir(exist_ok=True)
    if connection.vendor == "postgresql":
        with _made_once_on_the_server(connection):
            yield
        return
    if not connection.creation.is_in_memory_db(connection.settings_dict["NAME"]):
        yield
        return
    kept = FOLDER / f"schema-{state()}.sqlite3"
    with (FOLDER / "schema.lock").open("w") as lock:
        # Whoever comes meanwhile waits, and copies what was made here.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists():
            fcntl.flock(lock, fcntl.LOCK_UN)
            with _begun_as(kept, connection):
                yield
            return
        yield
        making = kept.with_suffix(".tmp")
        with sqlite3.connect(making) as copy:
            connection.connection.backup(copy)
        copy.close()
        os.replace(making, kept)


def kept_by(root: Path, what: str = "schema") -> str:
    """Return how the names begin of what a folder keeps on a server, where other folders keep theirs."""
    return f"bridge_{what}_{hashlib.sha256(str(root).encode()).hexdigest()[:8]}_"


def kept_on(cursor: Any, prefix: str) -> set[str]:
    """Return the databases of a server whose names begin so."""
    found = cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
    return {name for (name,) in (found or cursor).fetchall()}


@contextmanager
def _made_once_on_the_server(connection: Any) -> Iterator[None]:
    ours = kept_by(ROOT)
    kept = ours + state()
    with (FOLDER / "schema.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with connection._nodb_cursor() as cursor:
            there = kept_on(cursor, ours)
        if kept in there:
            fcntl.flock(lock, fcntl.LOCK_UN)
            test = connection.settings_dict["TEST"]
            before, test["TEMPLATE"] = test.get("TEMPLATE"), kept
            try:
                yield
            finally:
                test["TEMPLATE"] = before
            return
        yield
        # Nobody may be connected to what is copied.
        connection.close()
        with connection._nodb_cursor() as cursor:
            for name in there | {f"{kept}_new"}:
                cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
            cursor.execute(f'CREATE DATABASE "{kept}_new" TEMPLATE "{connection.settings_dict["NAME"]}"')
            # Whole, or not there.
            cursor.execute(f'ALTER DATABASE "{kept}_new" RENAME TO "{kept}"')


@contextmanager
def _begun_as(kept: Path, connection: Any) -> Iterator[None]:
    """Fill the database when it is opened while it is empty: before Django looks which migrations it lacks."""
    opened = connection.get_new_connection

    def opened_and_filled(parameters: Any) -> Any:
        new = opened(parameters)
        if not new.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            with sqlite3.connect(kept) as copy:
                copy.backup(new)
            copy.close()
        return new

    connection.get_new_connection = opened_and_filled
    try:
        yield
    finally:
        del connection.get_new_connection
