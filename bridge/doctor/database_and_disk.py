"""Does the database answer, is it of this version, and is there room on its disk?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bridge.doctor.finding import Finding

# SQLite writes what changes twice, and some MB of it at once.
LEAST_FREE_BYTES = 50_000_000


def check_database(now: datetime) -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    if pending:
        yield Finding(
            "database",
            ngettext("%(count)d migration to apply", "%(count)d migrations to apply", pending) % {"count": pending},
            _("run manage.py migrate"),
            subject="database: migrations to apply",
        )
    else:
        yield Finding("database", _("%(vendor)s, all migrations applied") % {"vendor": connection.vendor})
    yield from _disk()


def _disk() -> Iterator[Finding]:
    """Look at the disk of SQLite's file: what is full can be read, and nothing says so until something is written."""
    if connection.vendor != "sqlite":
        return
    folder = Path(connection.settings_dict["NAME"]).parent
    if not folder.is_dir():
        # In memory.
        return
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        message = _("%(megabytes)d MB are free in %(folder)s: when it is full nothing new is taken")
        words = {"megabytes": free // 1_000_000, "folder": folder}
        remedy = _("free space on that disk; what was refused meanwhile the agent and Kommo send again")
        yield Finding("database", message % words, remedy, subject="database: disk almost full")
