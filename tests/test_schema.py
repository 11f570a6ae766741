"""The copy of the schema: made once, taken by whoever comes later, and another one as soon as migrations change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper

from tests import schema


def in_memory(name: str) -> DatabaseWrapper:
    """A database of its own in memory, as the one of the tests is named."""
    settings = {"NAME": f"file:{name}?mode=memory&cache=shared", "OPTIONS": {}, "TIME_ZONE": None, "CONN_MAX_AGE": 0}
    settings |= {"AUTOCOMMIT": True, "ATOMIC_REQUESTS": False, "CONN_HEALTH_CHECKS": False, "TEST": {}}
    return DatabaseWrapper(settings, "default")


def tables(connection: DatabaseWrapper) -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.table_names(cursor))


@pytest.fixture
def folder(tmp_path, monkeypatch, django_db_blocker):
    monkeypatch.setattr(schema, "FOLDER", tmp_path / "kept")
    with django_db_blocker.unblock():
        yield tmp_path / "kept"


def test_the_first_makes_it_and_the_next_begins_with_it(folder):
    first, second = in_memory("first"), in_memory("second")
    with schema.made_once(first), first.cursor() as cursor:
        assert tables(first) == set()
        cursor.execute("CREATE TABLE lead (id integer)")

    with schema.made_once(second):
        assert tables(second) == {"lead"}


def test_what_was_not_made_to_the_end_is_not_kept(folder):
    with pytest.raises(RuntimeError), schema.made_once(in_memory("broken")):
        raise RuntimeError("a migration failed")

    assert not list(folder.glob("*.sqlite3"))


@pytest.fixture
def on_the_server(folder, monkeypatch):
    """Return a function that gives a database of its own on the server of the tests, by name; all go afterwards."""
    if not os.environ.get("TEST_DATABASE_URL", "").startswith("postgres"):
        pytest.skip("no PostgreSQL")
    monkeypatch.setattr(schema, "ROOT", Path(folder))
    opened = []

    def named(name):
        connection = connections.create_connection("default")
        # One of its own: the connection of the tests reads the same one.
        connection.settings_dict = connection.settings_dict | {"NAME": f"bridge_test_schema_{name}", "TEST": {}}
        opened.append(connection)
        return connection

    yield named
    with named("none")._nodb_cursor() as cursor:
        for connection in opened:
            connection.close()
            cursor.execute(f'DROP DATABASE IF EXISTS "{connection.settings_dict["NAME"]}"')
        for name in schema.kept_on(cursor, schema.kept_by(schema.ROOT)):
            cursor.execute(f'DROP DATABASE "{name}"')


@pytest.mark.django_db
def test_on_a_server_the_next_is_made_after_the_one_that_is_kept(on_the_server, monkeypatch):
    first, second, changed = on_the_server("first"), on_the_server("second"), on_the_server("changed")
    with schema.made_once(first), first._nodb_cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{first.settings_dict["NAME"]}"')
        with first.cursor() as made:
            made.execute("CREATE TABLE lead (id integer)")

    with schema.made_once(second), second._nodb_cursor() as cursor:
        template = second.settings_dict["TEST"]["TEMPLATE"]
        cursor.execute(f'CREATE DATABASE "{second.settings_dict["NAME"]}" TEMPLATE "{template}"')
        assert tables(second) == {"lead"}
    assert not second.settings_dict["TEST"].get("TEMPLATE")

    monkeypatch.setattr(schema, "state", lambda: "another")
    with schema.made_once(changed), changed._nodb_cursor() as cursor:
        assert not changed.settings_dict["TEST"].get("TEMPLATE")
        cursor.execute(f'CREATE DATABASE "{changed.settings_dict["NAME"]}"')
    with changed._nodb_cursor() as cursor:
        assert schema.kept_on(cursor, schema.kept_by(schema.ROOT)) == {f"{schema.kept_by(schema.ROOT)}another"}


CHANGES = ("leads/migrations/0001_first.py", "common/name_spellings.py", "requirements.lock", "tests/settings.py")


@pytest.mark.parametrize("changed", CHANGES)
def test_another_migration_import_or_pin_makes_another_state(tmp_path, changed):
    texts = {
        "leads/migrations/0001_first.py": "from common.name_spellings import name_key\n",
        "common/name_spellings.py": "name_key = str.lower\n",
        "leads/other.py": "",
        "requirements.lock": "django==5.2\n",
        "tests/settings.py": "KEY = 1\n",
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    before = schema.state(tmp_path)
    (tmp_path / "leads/other.py").write_text("# nothing a migration knows of\n")
    assert schema.state(tmp_path) == before

    (tmp_path / changed).write_text("# changed\n")

    assert schema.state(tmp_path) != before
