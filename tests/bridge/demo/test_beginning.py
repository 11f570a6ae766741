"""The demo begins with tables made at once: they are those that migrations make, with the rules these put in."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from contextlib import closing

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from bridge.demo.beginning import SHIPPED
from bridge.installed_paths import MANAGE

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    path = folder / "demo.sqlite3"
    named = {name: value for name, value in os.environ.items() if not name.startswith(("TEST_", "DJANGO_"))}
    named |= {"DATABASE_URL": f"sqlite:///{path}", "ENV_FILE": os.devnull, "DEBUG": "true", "SECRET_KEY": "x" * 60}
    named |= {"FIELD_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}
    command = [*MANAGE, "demo_begin", str(folder), "--seconds", "2"]
    subprocess.run(command, env=named, check=True, capture_output=True)
    with closing(sqlite3.connect(path)) as made:
        yield made.cursor()


def described(cursor):
    """Return every table with its columns, whatever their order, and every index and check as it is written."""
    cursor.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    rows = cursor.fetchall()
    tables = {name: sorted(_parts(sql)) for kind, name, _table, sql in rows if kind == "table"}
    return tables, {(name, table, sql) for kind, name, table, sql in rows if kind != "table"}


def _parts(sql):
    """Return columns and constraints of a table; SQLite heeds no length of a text."""
    inside = re.sub(r"varchar\(\d+\)", "varchar", sql.partition("(")[2].rpartition(")")[0])
    parts, depth, begun = [], 0, 0
    for place, sign in enumerate(inside):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            parts.append(inside[begun:place].strip())
            begun = place + 1
    return [*parts, inside[begun:].strip()]


@pytest.mark.django_db
def test_tables_made_at_once_are_those_that_migrations_make(begun):
    if connection.vendor != "sqlite":
        pytest.skip("the demo's database is SQLite")
    with connection.cursor() as cursor:
        migrated = described(cursor)
    assert described(begun) == migrated


@pytest.mark.django_db
def test_every_migration_counts_as_done(begun):
    begun.execute("SELECT app, name FROM django_migrations")
    assert set(begun.fetchall()) == set(MigrationRecorder(connection).applied_migrations())


@pytest.mark.django_db
def test_the_rules_it_begins_with_are_those_of_a_new_installation(tmp_path):
    shipped, exported = tmp_path / "shipped.yaml", tmp_path / "exported.yaml"
    with exported.open("w", encoding="utf-8") as file:
        call_command("bridge_config", "export", stdout=file)
    call_command("bridge_config", "import", str(SHIPPED))
    with shipped.open("w", encoding="utf-8") as file:
        call_command("bridge_config", "export", stdout=file)
    assert shipped.read_text(encoding="utf-8") == exported.read_text(encoding="utf-8")


def test_roles_are_there(begun):
    begun.execute("SELECT name FROM auth_group ORDER BY name")
    assert [name for (name,) in begun.fetchall()] == ["administrator", "manager", "reader", "seller"]
