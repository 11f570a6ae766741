"""Half of all within what, nine tenths within what: a percentile as an aggregate of Django's, on both databases."""

from __future__ import annotations

from math import ceil
from typing import Any

from django.db.models import Aggregate

NAME = "percentile_disc"


class Percentile(Aggregate):
    """The least value of a group that so large a share of the group (0 < share <= 1) does not exceed; None without any.

    PostgreSQL has it (docs: "Ordered-Set Aggregate Functions"). SQLite is lent one of the same name in Python at each
    use, as a connection may be new; it takes numbers and durations, which SQLite keeps as numbers.
    """

    function = NAME
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"

    def __init__(self, expression: Any, share: float, **extra: Any) -> None:
        super().__init__(expression, share=share, **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        connection.ensure_connection()
        connection.connection.create_aggregate(NAME, 2, _OfSQLite)
        return self.as_sql(compiler, connection, template="%(function)s(%(share)s, %(expressions)s)", **context)


class _OfSQLite:
    """What sqlite3 makes for each group: `step` for each of its rows, then `finalize`."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._share = 1.0

    def step(self, share: float, value: Any) -> None:
        self._share = share
        if value is not None:
            self._values.append(value)

    def finalize(self) -> Any:
        place = ceil(self._share * len(self._values))
        return sorted(self._values)[place - 1] if self._values else None
