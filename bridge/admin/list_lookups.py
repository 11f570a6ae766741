"""What may the address of a list ask for? What the list's own filters ask, and nothing else.

Django lets everything through that a list's own columns can be asked: by a regular expression, which the database may
match for hours against a name that a stranger chose, and by the first signs of a hash that no page shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.admin.utils import get_fields_from_path
from django.db.models import DateField, ForeignKey, ManyToManyField, Model
from django.http import HttpRequest

# What Django's filters, and the links of our own pages, ask of a column; a span of time has two ends.
OF_A_COLUMN = ("", "__exact", "__in", "__isnull")
OF_A_MOMENT = ("__gte", "__lt")
OF_A_HIERARCHY = ("__year", "__month", "__day")


def lookups(model: type[Model], filters: Iterable[Any], date_hierarchy: Any = None) -> Iterator[str]:
    """Yield the names of the parameters that the filters of a list read, as `list_filter` and `date_hierarchy` are."""
    for each in filters:
        if isinstance(each, type):
            yield each.parameter_name  # type: ignore[attr-defined]
            continue
        path = each[0] if isinstance(each, tuple | list) else each
        column = get_fields_from_path(model, path)[-1]
        yield from (path + asked for asked in OF_A_COLUMN)
        if isinstance(column, ForeignKey | ManyToManyField):
            yield from (f"{path}__{column.target_field.name}{asked}" for asked in OF_A_COLUMN)
        if isinstance(column, DateField):
            yield from (path + asked for asked in OF_A_MOMENT)
    if date_hierarchy:
        yield from (date_hierarchy + asked for asked in OF_A_HIERARCHY)


class AskedByItsFilters:
    """A list that refuses (400) what none of its filters would ask."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        filters = self.get_list_filter(request)  # type: ignore[attr-defined]
        return lookup in set(lookups(self.model, filters, self.date_hierarchy))  # type: ignore[attr-defined]
