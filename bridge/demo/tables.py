"""The demo's tables, made as they are by now and not by all the changes that led there: a second instead of ten.

Only for a database that is empty and will be thrown away; whatever is to last is migrated.
"""

from __future__ import annotations

from django.apps import apps
from django.core.management.sql import emit_post_migrate_signal
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.migrations.executor import MigrationExecutor


def make() -> None:
    """Make every table, and note every migration as done. What migrations put into tables is not there."""
    with connection.schema_editor() as editor:
        for model in apps.get_models():
            if model._meta.can_migrate(connection):
                editor.create_model(model)
    executor = MigrationExecutor(connection)
    executor.recorder.ensure_schema()
    for app_label, name in executor.loader.graph.nodes:
        executor.recorder.record_applied(app_label, name)
    # Makes content types, permissions and roles.
    emit_post_migrate_signal(verbosity=0, interactive=False, db=DEFAULT_DB_ALIAS)
