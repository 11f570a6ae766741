"""Migrations that make or drop an index while the bridge is serving: nobody waits, and no table is written anew."""

from __future__ import annotations

from typing import Any

from django.db.migrations import AddIndex, AlterField, RemoveIndex


class DropIndexOfField(AlterField):
    """Let go of the index that a field has by itself; its new `field` says db_index=False and changes nothing else.

    For a foreign key whose column another index begins with: it costs a write with every row, and PostgreSQL may choose
    it where the longer one finds the row at once. The migration must not be atomic: PostgreSQL drops an index beside
    its readers and writers only outside a transaction. SQLite, left to AlterField, would copy the table.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        index, _, _ = self._names(app_label, schema_editor, to_state)
        schema_editor.execute(f"DROP INDEX {_beside_others(schema_editor)}IF EXISTS {index}", params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        index, table, column = self._names(app_label, schema_editor, to_state)
        beside = _beside_others(schema_editor)
        schema_editor.execute(f"CREATE INDEX {beside}IF NOT EXISTS {index} ON {table} ({column})", params=None)

    def _names(self, app_label: str, schema_editor: Any, state: Any) -> tuple[str, str, str]:
        """Return index, table and column, quoted."""
        model = state.apps.get_model(app_label, self.model_name)
        table, column = model._meta.db_table, model._meta.get_field(self.name).column
        index = schema_editor._create_index_name(table, [column])
        quoted = schema_editor.quote_name
        return quoted(index), quoted(table), quoted(column)

    def describe(self) -> str:
        return f"Drop the index of field {self.name} on {self.model_name}"


class WidenText(AlterField):
    """Let a text column hold more; its new `field` changes nothing else. The table is not written anew.

    PostgreSQL notes the new length alone. SQLite never looked at the old one, and would copy the table.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.database_forwards(app_label, schema_editor, from_state, to_state)


class AddIndexBesideOthers(AddIndex):
    """Make an index of a table that is written to all the while. The migration must not be atomic."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        beside = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
        schema_editor.add_index(model, self.index, **beside)


class DropIndexBesideOthers(RemoveIndex):
    """Let go of an index of a table that is written to all the while. The migration must not be atomic."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        index = from_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
        beside = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
        schema_editor.remove_index(model, index, **beside)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        index = to_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
        beside = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
        schema_editor.add_index(model, index, **beside)


def _beside_others(schema_editor: Any) -> str:
    return "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
