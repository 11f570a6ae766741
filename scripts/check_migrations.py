"""Fail when a migration could not run while the version before it is still serving.

A deploy migrates first and replaces the processes one by one after it, so the old code meets the new tables: nothing it
uses may go, nothing it does not fill may be required (give a new column `null=True` or a `db_default`), and nobody may
wait long for a lock (build an index on PostgreSQL with `AddIndexConcurrently`). Linted as PostgreSQL runs them when
TEST_DATABASE_URL names a server, as SQLite does otherwise.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ["bridge", "followups", "leads"]
# These were made before there was an installation to update. The list only ever gets shorter, by squashing.
MET_NO_OLDER_CODE = [
    "0001_initial",
    "0002_drafts_and_revisions_of_rules",
    "0003_endings_and_attempts_by_hand",
    "0004_leads_newest_first",
    "0004_opt_outs_and_what_waits",
    "0005_correlation_ids",
    "0006_causes_and_comparisons_under_way",
    "0008_what_went_wrong",
    "0009_contact_to_forget",
]
# Told as warnings by default; here each makes every writer of a table wait.
LOCKS = ["CREATE_INDEX", "CREATE_INDEX_EXCLUSIVE", "DROP_INDEX", "REINDEX"]


def main() -> int:
    sys.path.insert(0, str(ROOT))
    os.environ |= {"DJANGO_SETTINGS_MODULE": "bridge.settings", "LOG_LEVEL": "ERROR"}
    if os.environ.get("TEST_DATABASE_URL", "").startswith("postgres"):
        os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
    import django

    django.setup()
    from django_migration_linter import MigrationLinter

    linter = MigrationLinter(
        str(ROOT),
        include_apps=OURS,
        ignore_name=MET_NO_OLDER_CODE,
        warnings_as_errors_tests=LOCKS,
        no_cache=True,
        quiet=["ok", "ignore", "warning"],
    )
    linter.lint_all_migrations()
    print(f"{linter.nb_total - linter.nb_ignored} migrations judged, {linter.nb_erroneous} unsafe")
    return 1 if linter.has_errors else 0


if __name__ == "__main__":
    sys.exit(main())
