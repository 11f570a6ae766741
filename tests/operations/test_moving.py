"""From SQLite to PostgreSQL by the document's own block, with all that the first version had stored."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bridge.demo.stage import Stage, free_port
from tests.e2e.stack import database, kinds, port
from tests.operations.document import ROOT, Host, blocks
from tests.operations.test_operating_document import KEY_OF_THE_FIRST_VERSION, VERSIONS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not kinds()[0].startswith("postgres"), reason="TEST_DATABASE_URL names no PostgreSQL"),
]
[MOVE] = [block.commands for block in blocks() if "sqlite to postgresql" in block.who]
# The database's kind, a secret, and how many rows every table of ours has.
LOOK = (
    "import json; from django.apps import apps; from django.db import connection; from bridge.models import Account; "
    "left = {'sessions', 'contenttypes', 'auth', 'django_q'}; print(json.dumps([connection.vendor, "
    "Account.objects.get().access_token, "
    "{m._meta.label: m.objects.count() for m in apps.get_models() if m._meta.app_label not in left}]))"
)


@pytest.fixture
def place(tmp_path) -> Iterator[Host]:
    """A host on SQLite, its services stopped, and an empty PostgreSQL database beside it."""
    app, backups, path = tmp_path / "app", tmp_path / "backups", tmp_path / "bridge.sqlite3"
    for folder in (app, backups):
        folder.mkdir()
    (app / "manage.py").symlink_to(ROOT / "manage.py")
    path.write_bytes(gzip.decompress((VERSIONS / "0.1.0.sqlite3.gz").read_bytes()))
    (app / ".env").write_text(f"DATABASE_URL=sqlite:///{path}\n")
    stage = Stage(tmp_path, web_port=free_port(port()), sandbox_port=0)
    stage.environment |= {"ENV_FILE": str(app / ".env"), "FIELD_ENCRYPTION_KEYS": KEY_OF_THE_FIRST_VERSION}
    del stage.environment["DATABASE_URL"]
    with database("postgres", tmp_path) as postgres, stage:
        replaced = {
            "/opt/kommo-bridge/venv/bin/python": sys.executable,
            "/opt/kommo-bridge": str(tmp_path),
            "postgres:///kommobridge": postgres,
        }
        place = Host(tmp_path, replaced, stage.environment, {})
        place.stage = stage
        yield place


def test_everything_moves_to_postgresql_and_goes_on_there(place):
    stage = place.stage
    stage.manage("migrate", "--noinput", "--verbosity", "0")
    before, secret, counts = json.loads(stage.manage("shell", "-v0", "-c", LOOK))
    assert (before, secret, counts["leads.Lead"]) == ("sqlite", "sandbox-token", 10)

    place.run(MOVE)

    assert json.loads(stage.manage("shell", "-v0", "-c", LOOK)) == ["postgresql", secret, counts]
    # New rows get numbers that are free.
    call = {"headers": {"Authorization": f"Api-Key {stage.manage('api_key', 'after-moving')}"}, "timeout": 30}
    stage.start_web()
    url = f"{stage.web_url}/api/v1/"
    known = requests.get(f"{url}leads/", **call).json()["results"]
    assert {lead["sync"] for lead in known} == {"synced"}
    for phone, status in ((known[0]["phone"], 200), ("+5581977770000", 201)):
        answer = requests.post(f"{url}interactions/", json={"lead": {"phone": phone, "name": "Rita"}}, **call)
        assert answer.status_code == status, answer.text
    assert Path(stage.environment["ENV_FILE"]).read_text().count("postgres://") == 1
    assert not os.listdir(place.root / "backups"), "the rows are not left lying about in clear"


def test_sqlites_file_stays_as_it_is_where_the_settings_did_not_name_it(place):
    """As after `make run`, whose .env leaves the address out: a line to change is not there."""
    stage, settings = place.stage, Path(place.stage.environment["ENV_FILE"])
    sqlite = settings.read_text().strip().partition("=")[2]
    settings.write_text("#DATABASE_URL=\n")
    stage.manage("migrate", "--noinput", "--verbosity", "0", DATABASE_URL=sqlite)
    counts = json.loads(stage.manage("shell", "-v0", "-c", LOOK, DATABASE_URL=sqlite))

    place.run(MOVE, DATABASE_URL=sqlite)

    assert json.loads(stage.manage("shell", "-v0", "-c", LOOK, DATABASE_URL=sqlite)) == counts
    assert json.loads(stage.manage("shell", "-v0", "-c", LOOK)) == ["postgresql", *counts[1:]]
