from django.db import Error, migrations, transaction

# The expressions are Django's own for `contains` and `icontains`, or PostgreSQL would not use the index for them.
SEARCHED = "UPPER(name::text) gin_trgm_ops, (phone::text) gin_trgm_ops, UPPER(email::text) gin_trgm_ops"


def index_parts_of_texts(apps, schema_editor):
    """Let PostgreSQL find a lead by part of a name, phone or e-mail without reading every lead.

    Not in the model, for SQLite has no such index. Built while others write; begun anew after a break. Where the
    extension may not be created (it needs CREATE on the database), searching stays what it was.
    """
    if schema_editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except Error:
        return
    drop_index(apps, schema_editor)
    schema_editor.execute(f"CREATE INDEX CONCURRENTLY lead_search ON leads_lead USING gin ({SEARCHED})")


def drop_index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS lead_search")


class Migration(migrations.Migration):
    # An index is built concurrently outside a transaction.
    atomic = False

    dependencies = [
        ("leads", "0005_names_of_columns"),
    ]

    operations = [
        migrations.RunPython(index_parts_of_texts, drop_index),
    ]
