"""The check that keeps an update from stopping what still serves, on a copy of the code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.operations.document import ROOT

pytestmark = pytest.mark.once

MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("leads", "{newest}")]
    operations = [{operation}]
"""
HARMLESS = "migrations.AddField('lead', 'colour', models.TextField(null=True))"
UNSAFE = {
    "takes away a column": "migrations.RemoveField('lead', 'email')",
    "requires what older code does not fill": "migrations.AddField('lead', 'colour', models.TextField(default=''))",
    "renames what older code reads": "migrations.RenameField('lead', 'name', 'full_name')",
}


@pytest.fixture
def judged(tmp_path):
    """Return a function that puts a migration for each operation behind the newest of leads, and how they are judged.

    One call judges all of them: loading the project takes most of the time.
    """
    for folder in ("bridge", "common", "followups", "leads", "scripts"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "leads" / "migrations"
    newest = max(path.stem for path in folder.glob("0*.py"))

    def judge(*operations: str) -> subprocess.CompletedProcess[str]:
        before = newest
        for number, operation in enumerate(operations):
            name = f"{9000 + number}_one_more"
            (folder / f"{name}.py").write_text(MIGRATION.format(newest=before, operation=operation))
            before = name
        environment = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, "DEBUG": "true", "SECRET_KEY": "tests"}
        return subprocess.run(
            [sys.executable, "scripts/check_migrations.py"],
            cwd=tmp_path,
            env=environment | {"DATABASE_URL": "sqlite://:memory:"},
            capture_output=True,
            text=True,
            check=False,
        )

    return judge


def test_our_migrations_and_one_more_that_is_harmless_pass(judged):
    verdict = judged(HARMLESS)
    assert (verdict.returncode, "0 unsafe" in verdict.stdout) == (0, True), verdict


def test_each_migration_that_would_stop_what_still_serves_fails_the_check(judged):
    verdict = judged(*UNSAFE.values())
    assert verdict.returncode == 1, verdict
    for number, why in enumerate(UNSAFE):
        assert f"(leads, {9000 + number}_one_more)... ERR" in verdict.stdout, why
    assert f"{len(UNSAFE)} unsafe" in verdict.stdout
