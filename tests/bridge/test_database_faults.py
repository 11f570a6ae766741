from __future__ import annotations

import re
import shutil
from types import SimpleNamespace

import pytest
from django.db import OperationalError, ProgrammingError, connection
from django.utils import timezone

from bridge import database_faults, doctor
from tests.repository import ROOT

# As SQLite and PostgreSQL were heard to say it.
SAID = {
    'connection to server failed: FATAL:  too many connections for role "kommobridge"': "fewer processes",
    "FATAL:  sorry, too many clients already": "fewer processes",
    "FATAL:  remaining connection slots are reserved for non-replication superuser connections": "fewer processes",
    "database or disk is full": "free space",
    "disk I/O error": "free space",
    'could not extend file "base/16384/1249": No space left on device\nHINT:  Check free disk space.': "free space",
    "attempt to write a readonly database": "let the bridge's user write",
    "unable to open database file": "let the bridge's user write",
    "database is locked": "move to PostgreSQL",
    "no such table: bridge_account": "manage.py migrate",
    'relation "bridge_account" does not exist\nLINE 1: SELECT': "manage.py migrate",
    "column bridge_account.traits does not exist": "manage.py migrate",
    'FATAL:  password authentication failed for user "bridge"': "make the role and the database",
    'FATAL:  role "bridge" does not exist': "make the role and the database",
    'FATAL:  database "bridge" does not exist': "make the role and the database",
    'connection to server at "127.0.0.1", port 5432 failed: Connection refused': "that the server runs",
    "": "that the server runs",
}


@pytest.mark.parametrize(("message", "remedy"), SAID.items())
def test_an_error_of_the_database_comes_with_what_mends_it(message, remedy):
    assert remedy in database_faults.remedy(OperationalError(message))


def test_what_is_said_of_an_error_is_one_line():
    assert (
        database_faults.first_line(ProgrammingError("relation is not there\nLINE 1: SELECT")) == "relation is not there"
    )
    assert database_faults.first_line(OperationalError("")) == "OperationalError"


def test_doctor_tells_what_mends_the_error_it_met(db, monkeypatch):
    def full(now):
        raise OperationalError("database or disk is full")
        yield

    monkeypatch.setattr(doctor, "check_queue", full)

    found = [finding for finding in doctor.examine(timezone.now(), ask_kommo=False) if "full" in finding.message]

    assert [finding.remedy for finding in found] == [database_faults.remedy(OperationalError("disk is full"))]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's disk is not ours to look at")
def test_a_disk_that_is_almost_full_is_told_beside_everything_else(db, monkeypatch, tmp_path):
    monkeypatch.setitem(connection.settings_dict, "NAME", tmp_path / "bridge.sqlite3")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=12_345_678))

    found = doctor.examine(timezone.now(), ask_kommo=False)

    assert [finding.message for finding in found if "MB are free" in finding.message] == [
        f"12 MB are free in {tmp_path}: when it is full nothing new is taken"
    ]
    assert {"worker", "queue", "cards"} & {finding.check for finding in found}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=12_345_678_000))
    assert not any("are free" in finding.message for finding in doctor.examine(timezone.now(), ask_kommo=False))


def test_the_remedies_name_what_is_there():
    text = " ".join(remedy for _words, remedy in database_faults.REMEDIES)
    for document in re.findall(r"docs/[\w-]+\.md", text):
        assert "connections" in (ROOT / document).read_text(encoding="utf-8")
