"""Large tables in seconds: the database itself copies a row that the bridge has written, as often as asked."""

from __future__ import annotations

from django.db import connection
from django.db.models import Model

from leads.models import Lead

AGO = "now() - random() * interval '90 days'"


def copy_leads(first: int, last: int, **different: str) -> None:
    """Add leads by number, each with a phone and a name of its own; `different` as in `copy`."""
    copy(
        Lead,
        f"generate_series({first}, {last}) n",
        id="gen_random_uuid()",
        phone="'+5571' || (900000000 + n)",
        phone_key="'5571' || (900000000 + n)",
        name="'Pessoa ' || n",
        **{"created_at": AGO, "updated_at": AGO, **different},
    )


def copy(model: type[Model], source: str, **different: str) -> None:
    """Insert the table's first row once for every row of `source`, with other SQL for the columns named."""
    table, key = model._meta.db_table, model._meta.pk.column
    columns = [field.column for field in model._meta.local_concrete_fields]
    chosen = [column for column in columns if column != key or column in different]
    values = ", ".join(different.get(column, f't."{column}"') for column in chosen)
    names = ", ".join(f'"{column}"' for column in chosen)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} "
            f'FROM (SELECT * FROM {table} ORDER BY "{key}" LIMIT 1) t, {source}'
        )
