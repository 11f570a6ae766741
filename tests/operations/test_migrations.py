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
    "renames what older code reads": "migrations.RenameField('lead', 'email', 'mail')",
}


@pytest.fixture
def judged(tmp_path):
    """Return a function that puts one operation behind the newest migration of leads, and how it is judged."""
    for folder in ("bridge", "followups", "leads", "scripts"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "leads" / "migrations"
    newest = max(path.stem for path in folder.glob("0*.py"))

    def judge(operation: str) -> subprocess.CompletedProcess[str]:
        (folder / "9999_one_more.py").write_text(MIGRATION.format(newest=newest, operation=operation))
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


@pytest.mark.parametrize("operation", UNSAFE.values(), ids=UNSAFE)
def test_a_migration_fails_the_check_when_it(judged, operation):
    verdict = judged(operation)
    assert verdict.returncode == 1, verdict
    assert "(leads, 9999_one_more)... ERR" in verdict.stdout
    assert "1 unsafe" in verdict.stdout
