"""A foreign key whose column another index begins with has none of its own, and a migration lets go of it quietly."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test.utils import CaptureQueriesContext

# Tables that grow with the conversations; of others nobody would notice the second index.
GROWING = [
    ("leads", "Lead"),
    ("leads", "Objection"),
    ("leads", "Event"),
    ("followups", "Enrollment"),
    ("followups", "Attempt"),
    ("bridge", "Card"),
    ("bridge", "Delivery"),
    ("bridge", "Briefing"),
]


def indexes(table: str) -> list[list[str]]:
    """Return the columns of each whole index of a table; one over some of the rows finds not all."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table).items()
        if connection.vendor == "postgresql":
            cursor.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'")
        partial = {row[0] for row in cursor.fetchall()}
    return [
        constraint["columns"]
        for name, constraint in found
        if (constraint["index"] or constraint["unique"]) and name not in partial
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("label", GROWING, ids=".".join)
def test_no_index_repeats_the_beginning_of_another(label):
    whole = indexes(apps.get_model(*label)._meta.db_table)
    assert whole
    repeated = [
        columns for columns in whole for other in whole if columns != other and other[: len(columns)] == columns
    ]
    assert not repeated


@pytest.mark.django_db(transaction=True)
def test_the_index_of_a_foreign_key_goes_and_comes_back_without_the_table_being_copied(transactional_db):
    with CaptureQueriesContext(connection) as back:
        MigrationExecutor(connection).migrate([("leads", "0005_names_of_columns")])
    assert ["lead_id"] in indexes("leads_event")
    with CaptureQueriesContext(connection) as forth:
        MigrationExecutor(connection).migrate([("leads", "0006_one_index_for_a_foreign_key")])
    # What came after it stands again for the tests that follow.
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    assert ["lead_id"] not in indexes("leads_event")
    statements = [query["sql"] for query in [*back, *forth] if "leads_event" in query["sql"]]
    assert [sql.split()[0] for sql in statements if sql.split()[1] in ("INDEX", "TABLE")] == ["CREATE", "DROP"]
    if connection.vendor == "postgresql":
        assert all("INDEX CONCURRENTLY" in sql for sql in statements if sql.startswith(("CREATE", "DROP")))
