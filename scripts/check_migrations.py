"""Fail when a migration could not run while the version before it is still serving.

A deploy migrates first and replaces the processes one by one after it, so the old code meets the new tables: nothing it
uses may go, and nothing it does not fill may be required (give a new column `null=True` or a `db_default`). Migrations
since the last tagged version are held to that; before the first version there is no older code, and what is found is
only told. Linted as PostgreSQL runs them when TEST_DATABASE_URL names a server, as SQLite does otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ["bridge", "followups", "leads"]
# The first migration of an app meets no older code.
FIRST = "0001_initial"


def main() -> int:
    sys.path.insert(0, str(ROOT))
    os.environ |= {"DJANGO_SETTINGS_MODULE": "bridge.settings", "LOG_LEVEL": "ERROR"}
    if os.environ.get("TEST_DATABASE_URL", "").startswith("postgres"):
        os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
    import django

    django.setup()
    from django_migration_linter import MigrationLinter

    linter = MigrationLinter(
        str(ROOT), include_apps=OURS, ignore_name=[FIRST], no_cache=True, quiet=["ok", "ignore", "warning"]
    )
    released = last_version()
    linter.lint_all_migrations(git_commit_id=released)
    judged = f"since {released}" if released else "before the first version: nothing older can be serving"
    print(f"{linter.nb_total} migrations, {linter.nb_erroneous} unsafe ({judged})")
    return 1 if released and linter.has_errors else 0


def last_version() -> str | None:
    """Return the newest tag that HEAD has; None outside git, or before the first."""
    git = ["git", "-C", str(ROOT), "describe", "--tags", "--abbrev=0", "--match", "v*"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return found.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main())
