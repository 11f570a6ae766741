"""An account connected once, kept on both sides, and put back for every test that wants one.

Connecting has tests of its own; all others only need that it has happened.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction
from django.utils import timezone

from bridge.models import Account, Catalogue
from kommo_sandbox.sandbox import Sandbox
from kommo_sandbox.store import Store
from leads.models import Pipeline

OURS = ("leads", "followups", "bridge")
Rows = dict[type[models.Model], dict[object, tuple[object, ...]]]


TRANSACTION = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")


@dataclass
class Connected:
    """What connecting changed: rows here, and the account over there."""

    rows: Rows
    # Packed: unpacking is several times as fast as copying.
    store: bytes
    # What stores the rows, with its values, once it was done for the first time.
    statements: list[tuple[str, Any]] = field(default_factory=list)

    @classmethod
    def since(cls, before: Rows, sandbox: Sandbox) -> Connected:
        changed = {
            model: {pk: row for pk, row in rows.items() if before[model].get(pk) != row}
            for model, rows in all_rows().items()
        }
        return cls({model: rows for model, rows in changed.items() if rows}, pickle.dumps(sandbox.store))

    def restore(self, sandbox: Sandbox) -> Account:
        store: Store = pickle.loads(self.store)
        sandbox.reset(store)
        if self.statements:
            with transaction.atomic(), connection.cursor() as cursor:
                for sql, values in self.statements:
                    cursor.execute(sql, values)
        else:
            with connection.execute_wrapper(self._kept):
                self._store_rows()
        now = timezone.now()
        Account.objects.update(connected_at=now, compared_at=now)
        Catalogue.objects.update(fetched_at=now)
        for pipeline in Pipeline.objects.all():
            # An earlier test's rules may be remembered under the version that was kept.
            pipeline.rules_changed()
        return Account.objects.get()

    def _kept(self, execute: Any, sql: str, values: Any, many: bool, context: Any) -> Any:
        # Where each statement is its own transaction, storing many rows begins one: its end is no statement.
        if not sql.startswith(TRANSACTION):
            self.statements.append((sql, values))
        return execute(sql, values, many, context)

    def _store_rows(self) -> None:
        for model, rows in self.rows.items():
            names, key = _columns(model), model._meta.pk.attname
            model._base_manager.bulk_create(
                [model(**dict(zip(names, row, strict=True))) for row in rows.values()],
                update_conflicts=True,
                unique_fields=[key],
                update_fields=[name for name in names if name != key],
            )


def all_rows() -> Rows:
    """Return model -> primary key -> the row's values, for every table of ours."""
    return {
        model: {row[0]: row[1:] for row in model._base_manager.values_list("pk", *_columns(model))}
        for app in OURS
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
    }


def _columns(model: type[models.Model]) -> list[str]:
    return [column.attname for column in model._meta.concrete_fields]
