"""The few statements that every interaction makes, compiled once.

Django builds and compiles SQL anew each time a query runs, which takes several times as long as a small query itself.
Here a query is still written with Django's own words, but compiled the first time only, with marks in the place of its
values, and run with the values of the moment from then on. For paths that run thousands of times a minute; everywhere
else a plain queryset reads better and costs nothing that anybody would notice.

Whatever differs from one call to the next has to be one of the values: what `build` reads elsewhere stays as it was
when the statement was compiled. A value is handed to the database as it is; a query that would change it first, as
`icontains` does, is refused when it is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from django.db import connections, models, router
from django.db.models import Aggregate
from django.db.models.query import ModelIterable, get_related_populators
from django.db.models.sql import UpdateQuery

# What a value of each kind looks like while a statement is compiled: never met in earnest.
_MARKS: dict[type, Callable[[int], Any]] = {
    int: lambda number: 4_000_000_000_000_000 + number,
    str: lambda number: f"\x1a{number}\x1a",
    datetime: lambda number: datetime(1901, 1, 1, microsecond=number, tzinfo=UTC),
    UUID: lambda number: UUID(int=(0xFEED << 96) + number),
}
# Shapes a statement is kept for: one per number of values in a list.
MOST_SHAPES = 128


@dataclass(frozen=True)
class _Compiled:
    """SQL, its parameters (a constant, or the place of a value), and what makes of a row what is asked for."""

    sql: str
    parameters: tuple[tuple[bool, Any], ...]
    read: Callable[[Any, Sequence[Any]], Any]


class _Statement:
    def __init__(self) -> None:
        self._compiled: dict[Any, _Compiled] = {}

    def _prepared(self, alias: str, values: dict[str, Any]) -> _Compiled:
        shape = (alias, *(len(value) if isinstance(value, (list, tuple)) else type(value) for value in values.values()))
        found = self._compiled.get(shape)
        if found is None:
            if len(self._compiled) >= MOST_SHAPES:
                self._compiled.clear()
            found = self._compiled[shape] = self._compile(alias, values)
        return found

    def _compile(self, alias: str, values: dict[str, Any]) -> _Compiled:
        marked: dict[str, Any] = {}
        places: dict[Any, int] = {}

        def mark(value: Any) -> Any:
            kind = next(kind for kind in _MARKS if isinstance(value, kind))
            placeholder = _MARKS[kind](len(places))
            places[_adapted(placeholder, connections[alias])] = len(places)
            return placeholder

        for name, value in values.items():
            marked[name] = [mark(member) for member in value] if isinstance(value, (list, tuple)) else mark(value)
        sql, parameters, read = self._build_sql(alias, marked)
        bindings = tuple(
            (True, places[parameter])
            if isinstance(parameter, (int, str, datetime, UUID)) and parameter in places
            else (False, parameter)
            for parameter in parameters
        )
        lost = set(places.values()) - {place for is_place, place in bindings if is_place}
        if lost:
            # A look-up that changes its value (icontains, startswith) would look for the mark ever after.
            raise ValueError(f"values {sorted(lost)} of {sorted(values)} are not handed to the database as they are")
        if connections[alias].vendor == "sqlite":
            sql, bindings = _with_literals(sql, bindings)
        return _Compiled(sql, bindings, read)

    def _build_sql(self, alias: str, marked: dict[str, Any]) -> tuple[str, Sequence[Any], Callable[..., Any]]:
        raise NotImplementedError

    def _run(self, alias: str, values: dict[str, Any]) -> list[Any]:
        compiled, connection = self._prepared(alias, values), connections[alias]
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, self._parameters(compiled, connection, values))
            rows = cursor.fetchall()
        return [compiled.read(connection, row) for row in rows]

    def _parameters(self, compiled: _Compiled, connection: Any, values: dict[str, Any]) -> list[Any]:
        flat: list[Any] = []
        for value in values.values():
            if isinstance(value, (list, tuple)):
                flat += [_adapted(member, connection) for member in value]
            else:
                flat.append(_adapted(value, connection))
        return [flat[parameter] if is_place else parameter for is_place, parameter in compiled.parameters]


def _with_literals(sql: str, parameters: Sequence[tuple[bool, Any]]) -> tuple[str, tuple[tuple[bool, Any], ...]]:
    """Return SQL that has constant texts and whole numbers in itself, and the parameters that are left.

    SQLite takes an index with a condition only for a statement whose text has the condition: what is due was sorted
    anew for each batch of a backlog.
    """
    left, constants = [], iter(parameters)

    def in_place(found: re.Match[str]) -> str:
        if found[0] != "%s":
            return found[0]
        is_place, value = parameter = next(constants)
        if not is_place and isinstance(value, str):
            return "'" + str(value).replace("'", "''").replace("%", "%%") + "'"
        if not is_place and type(value) is int:
            return str(value)
        left.append(parameter)
        return "%s"

    return re.sub("%[%s]", in_place, sql), tuple(left)


class Select(_Statement):
    """A query for rows: of models, or of tuples when `build` ends with values_list.

    `build` takes the values by name and returns the queryset. A value is a text, a whole number, a time or an id, or a
    list of them; never None.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Any, Any]]) -> None:
        super().__init__()
        self._build = build

    def all(self, **values: Any) -> list[Any]:
        return self._run(router.db_for_read(models.Model), values)

    def first(self, **values: Any) -> Any:
        return next(iter(self.all(**values)), None)

    def _build_sql(self, alias: str, marked: dict[str, Any]) -> tuple[str, Sequence[Any], Callable[..., Any]]:
        queryset: Any = self._build(**marked).using(alias)
        compiler = queryset.query.get_compiler(using=alias)
        sql, parameters = compiler.as_sql()
        converters = [
            (place, converter, expression)
            for place, (found, expression) in compiler.get_converters(
                [selected[0] for selected in compiler.select]
            ).items()
            for converter in found
        ]
        make = _model_maker(compiler, alias, queryset) if queryset._iterable_class is ModelIterable else tuple

        def read(connection: Any, row: Sequence[Any]) -> Any:
            if converters:
                row = list(row)
                for place, converter, expression in converters:
                    row[place] = converter(row[place], expression, connection)
            return make(row)

        return sql, parameters, read


def _model_maker(compiler: Any, alias: str, queryset: Any) -> Callable[[Sequence[Any]], Any]:
    """Return what makes a model of a row, and of the models joined to it; as Django's ModelIterable does."""
    info, select = compiler.klass_info, compiler.select
    model, places = info["model"], info["select_fields"]
    start, end = places[0], places[-1] + 1
    names = [column[0].target.attname for column in select[start:end]]
    annotated = list(compiler.annotation_col_map.items())
    populators = cast(Any, get_related_populators)(info, select, alias, *_fetch_mode(queryset))

    def make(row: Sequence[Any]) -> Any:
        made = model.from_db(alias, names, row[start:end])
        for populator in populators:
            populator.populate(row, made)
        for name, place in annotated:
            setattr(made, name, row[place])
        return made

    return make


def _fetch_mode(queryset: Any) -> tuple[Any, ...]:
    """Return what Django 6.1 and newer want to know besides: how a field that was left out is fetched later."""
    return (queryset._fetch_mode,) if hasattr(queryset, "_fetch_mode") else ()


class Update(_Statement):
    """A change of rows that returns columns of those it changed, as they are then.

    `build` takes the values by name and returns the queryset and what is set.
    """

    def __init__(
        self, build: Callable[..., tuple[models.QuerySet[Any, Any], dict[str, Any]]], *, returning: Sequence[str]
    ) -> None:
        super().__init__()
        self._build, self._returning = build, returning

    def run(self, **values: Any) -> list[tuple[Any, ...]]:
        return self._run(router.db_for_write(models.Model), values)

    def _build_sql(self, alias: str, marked: dict[str, Any]) -> tuple[str, Sequence[Any], Callable[..., Any]]:
        queryset, wanted = self._build(**marked)
        query: Any = queryset.using(alias).query.chain(UpdateQuery)
        query.add_update_values(wanted)
        sql, parameters = query.get_compiler(using=alias).as_sql()
        fields = [query.get_meta().get_field(name) for name in self._returning]

        def read(connection: Any, row: Sequence[Any]) -> Any:
            return tuple(field.to_python(value) for field, value in zip(fields, row, strict=True))

        return f"{sql} RETURNING {_columns(connections[alias], fields)}", parameters, read


class JsonArray(Aggregate):
    """The values of a column as one array, read as a list; None for no rows."""

    function = "JSONB_AGG"
    name = "JsonArray"
    output_field: models.Field[Any, Any] = models.JSONField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSON_GROUP_ARRAY", **context)


def insert(rows: Sequence[models.Model], *, ignore_conflicts: bool = False) -> int:
    """Store new rows of one model in one statement, without signals; return how many were stored.

    Ids that the database gives are not read back. With `ignore_conflicts`, rows that a unique constraint refuses are
    left out.
    """
    if not rows:
        return 0
    with _inserted(rows, " ON CONFLICT DO NOTHING" if ignore_conflicts else "") as cursor:
        return int(cursor.rowcount)


def insert_missing(rows: Sequence[models.Model], *, returning: str) -> set[Any]:
    """Store those of some new rows of one model that no unique constraint refuses; return a column of those stored.

    One statement, none for no rows; otherwise as `insert`.
    """
    if not rows:
        return set()
    field: Any = rows[0]._meta.get_field(returning)
    columns = _columns(connections[router.db_for_write(type(rows[0]))], [field])
    with _inserted(rows, f" ON CONFLICT DO NOTHING RETURNING {columns}") as cursor:
        return {field.to_python(value) for (value,) in cursor.fetchall()}


@contextmanager
def _inserted(rows: Sequence[models.Model], ending: str) -> Iterator[Any]:
    """Insert rows by a statement that ends like this, and yield the cursor that did."""
    model, alias = type(rows[0]), router.db_for_write(type(rows[0]))
    connection = connections[alias]
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    row = f"({', '.join(['%s'] * len(fields))})"
    sql = f"INSERT INTO {_quoted(connection, model)} ({_columns(connection, fields)}) VALUES "
    sql += ", ".join([row] * len(rows)) + ending
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for instance in rows for value in _values(instance, fields, connection)])
        for instance in rows:
            instance._state.adding, instance._state.db = False, alias
        yield cursor


def update(rows: Iterable[models.Model], columns: Collection[str]) -> None:
    """Save the same columns of some rows of one model, without signals.

    Row by row, but sent and answered together: `bulk_update` builds a branch for each row and column and an upsert
    parses every row whole, which took most of the time of whoever saves hundreds of rows a second.
    """
    rows = list(rows)
    if not rows or not columns:
        return
    model, alias = type(rows[0]), router.db_for_write(type(rows[0]))
    connection, key = connections[alias], cast(Any, model._meta.pk)
    fields: list[Any] = [model._meta.get_field(name) for name in sorted(columns)]
    changes = ", ".join(f"{connection.ops.quote_name(field.column)} = %s" for field in fields)
    sql = f"UPDATE {_quoted(connection, model)} SET {changes} WHERE {connection.ops.quote_name(key.column)} = %s"
    values = [[*_values(row, fields, connection), *_values(row, [key], connection)] for row in rows]
    with connection.cursor() as cursor:
        if len(values) == 1:
            cursor.execute(sql, values[0])
        else:
            cursor.executemany(sql, values)


def _values(row: models.Model, fields: Iterable[Any], connection: Any) -> list[Any]:
    return [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]


def _columns(connection: Any, fields: Iterable[Any]) -> str:
    return ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)


def _quoted(connection: Any, model: type[models.Model]) -> str:
    return str(connection.ops.quote_name(model._meta.db_table))


def _adapted(value: Any, connection: Any) -> Any:
    """Return a value as the database's driver takes it."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, UUID):
        return value if connection.features.has_native_uuid_field else value.hex
    return value
