"""Fail when a migration could not run while the version before it is still serving.

A deploy migrates first and replaces the processes one by one after it, so the old code meets the new tables: nothing it
uses may go, nothing it does not fill may be required (give a new column `null=True` or a `db_default`), and nobody may
wait long for a lock (make an index with `common.indexes.AddIndexBesideOthers`). Linted as PostgreSQL runs them when
TEST_DATABASE_URL names a server, as SQLite does otherwise. What is required is read from the operations: SQLite writes
a table anew for a column with a default of its own, and then every NOT NULL of it looks new.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
# Guessed from SQL, across columns and tables; `demands` reads them from the operations.
READ_FROM_OPERATIONS = ["NOT_NULL", "ADD_UNIQUE", "ALTER_COLUMN"]


def main() -> int:
    sys.path.insert(0, str(ROOT))
    os.environ |= {"DJANGO_SETTINGS_MODULE": "bridge.settings", "LOG_LEVEL": "ERROR"}
    if os.environ.get("TEST_DATABASE_URL", "").startswith("postgres"):
        os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
    import django

    django.setup()
    from django.db.migrations.loader import MigrationLoader
    from django_migration_linter import MigrationLinter
    from django_migration_linter.sql_analyser.base import Issue

    loader = MigrationLoader(None)

    class Linter(MigrationLinter):
        def analyse_data_migration(self, migration: Any) -> tuple[list[Issue], list[Issue], list[Issue]]:
            errors, ignored, warnings = super().analyse_data_migration(migration)
            before = loader.project_state((migration.app_label, migration.name), at_end=False)
            found = [Issue("DEMANDS", message) for message in demands(migration, before)]
            return [*errors, *found], ignored, warnings

        def get_sql(self, app_label: str, migration_name: str) -> list[str]:
            return without_indexes_of_new_tables(super().get_sql(app_label, migration_name))

    linter = Linter(
        str(ROOT),
        include_apps=OURS,
        ignore_name=MET_NO_OLDER_CODE,
        exclude_migration_tests=READ_FROM_OPERATIONS,
        warnings_as_errors_tests=LOCKS,
        no_cache=True,
        quiet=["ok", "ignore", "warning"],
    )
    linter.lint_all_migrations()
    print(f"{linter.nb_total - linter.nb_ignored} migrations judged, {linter.nb_erroneous} unsafe")
    return 1 if linter.has_errors else 0


def without_indexes_of_new_tables(statements: list[str]) -> list[str]:
    """Leave out the indexes of a table that the migration itself makes: nobody waits for a table nobody knows.

    The linter knows that of plain indexes, and loses the table's name where an index has a condition.
    """
    made = [found[1] for statement in statements if (found := re.match(r'CREATE TABLE ("\w+")', statement))]
    of_made = re.compile(rf"CREATE (UNIQUE )?INDEX .* ON ({'|'.join(map(re.escape, made))}) ")
    return [statement for statement in statements if not (made and of_made.match(statement))]


def demands(migration: Any, before: Any) -> Iterator[str]:
    """Tell each column and constraint that rows written by the version before would not satisfy."""
    from django.db import migrations, models

    made = {operation.name_lower for operation in migration.operations if isinstance(operation, migrations.CreateModel)}
    for operation in migration.operations:
        if getattr(operation, "model_name_lower", None) in made:
            # Older code does not write to it.
            continue
        if isinstance(operation, migrations.AddConstraint) and isinstance(
            operation.constraint, models.UniqueConstraint
        ):
            yield f"UNIQUE constraint {operation.constraint.name} on {operation.model_name}"
        if isinstance(operation, (migrations.AddField, migrations.AlterField)):
            fields = before.models[migration.app_label, operation.model_name_lower].fields
            was, is_now = fields.get(operation.name), operation.field
            filled = is_now.null or is_now.has_db_default() or is_now.many_to_many
            if not filled and (was is None or was.null):
                yield f"NOT NULL column {operation.name} on {operation.model_name} without a db_default"
            if was and is_altered(was, is_now):
                yield f"ALTERED column {operation.name} on {operation.model_name}"
            if is_now.unique and not (was and was.unique):
                yield f"UNIQUE column {operation.name} on {operation.model_name}"


def is_altered(was: Any, is_now: Any) -> bool:
    """Say whether a column becomes another one. A text that only gets more room does not: what fitted still fits."""
    from django.db import connection, models

    if type(was) is type(is_now) is models.CharField:
        return bool((was.max_length or 0) > (is_now.max_length or 0))
    if was.is_relation and is_now.is_relation:
        return bool(was.remote_field.model != is_now.remote_field.model)
    return bool(was.db_type(connection) != is_now.db_type(connection))


if __name__ == "__main__":
    sys.exit(main())
