"""Lists of tables that grow for ever: no row is counted, and page one hundred costs what page one does.

A page begins where the one before it ended: below a row's key, by the index the list is ordered by. "Page 4 of 20 000"
is not offered, because saying it would take reading all of them.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from django.db.models import DecimalField, Model, QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

from bridge.admin import moments_shown
from bridge.admin.base import ReadOnlyAdmin, is_id

OLDER, NEWER = "older", "newer"
AMOUNT = re.compile(r"\d{1,12}(\.\d{1,2})?", re.ASCII)
# What the rows are in order by, and the id of the row.
Key = tuple[Any, str]


class KeysetPaginator:
    """What the template of a list asks of its paginator: the links to the neighbouring pages."""

    template_name = "admin/paging.html"

    def __init__(self, per_page: int) -> None:
        self.per_page, self.older, self.newer = per_page, "", ""


class KeysetChangeList(ChangeList):
    """A list whose pages are found by key; see `LogAdmin.keyset`."""

    def __init__(self, request: HttpRequest, *arguments: Any) -> None:
        given = request.GET.copy()
        self._older = given.pop(OLDER, [""])[-1]
        self._newer = given.pop(NEWER, [""])[-1]
        # Django takes every parameter it does not know for a filter.
        request.GET = given  # type: ignore[assignment]
        super().__init__(request, *arguments)

    def get_results(self, request: HttpRequest) -> None:
        self.paginator = KeysetPaginator(self.list_per_page)
        rows = self._page()
        self.result_list = rows
        # Equal to what is shown: "select all 1 000 000" is not offered either.
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = False
        self.show_admin_actions = bool(rows)
        # What Django would draw its numbered pages by.
        self.can_show_all, self.multi_page, self.page_num = False, False, 1

    @property
    def keyset(self) -> str:
        """Return the column by which this list is in order."""
        return str(self.model_admin.keyset)

    def parts(self) -> list[QuerySet[Any]]:
        """Return the rows in parts of which each is in order by an index; mostly they are one."""
        return [self.queryset]

    def _page(self) -> list[Any]:
        column = self.keyset
        older, newer = (_read(text, self.model, column) for text in (self._older, self._newer))
        # One more than is shown: whether there is a further page.
        parts = [_part(rows, column, older, newer, self.list_per_page + 1) for rows in self.parts()]
        found = sorted(chain.from_iterable(parts), key=lambda row: (getattr(row, column), row.pk), reverse=not newer)
        more, found = len(found) > self.list_per_page, found[: self.list_per_page]
        if newer:
            found.reverse()
        if found and (more if not newer else True):
            self.paginator.older = self.get_query_string({OLDER: _written(found[-1], column)})
        if found and (more if newer else bool(older)):
            self.paginator.newer = self.get_query_string({NEWER: _written(found[0], column)})
        return found


class LogAdmin(ReadOnlyAdmin):
    """A list of rows the bridge writes, newest first by `keyset`: a column that is never empty and has an index."""

    keyset = "id"
    # Another order would need another index.
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[KeysetChangeList]:
        return KeysetChangeList


def _part(rows: QuerySet[Any], column: str, older: Key | None, newer: Key | None, most: int) -> list[Any]:
    if newer:
        return list(_beyond(rows, column, newer, "gt").order_by(column, "pk")[:most])
    return list((_beyond(rows, column, older, "lt") if older else rows).order_by(f"-{column}", "-pk")[:most])


def _beyond(rows: QuerySet[Any], column: str, key: Key, side: str) -> QuerySet[Any]:
    value, pk = key
    if column in ("id", "pk"):
        return rows.filter(**{f"{column}__{side}": value})
    # The first condition is what the index is entered by; the second one leaves out what the page before has shown.
    opposite = "gte" if side == "lt" else "lte"
    return rows.filter(**{f"{column}__{side}e": value}).exclude(**{column: value, f"pk__{opposite}": pk})


def _written(row: Model, column: str) -> str:
    value = getattr(row, column)
    if column in ("id", "pk"):
        return str(value)
    return f"{value.isoformat() if isinstance(value, datetime) else value}~{row.pk}"


def _read(text: str, model: type[Model], column: str) -> Key | None:
    """Return the key a page begins beyond; None for the first page, and for what is no key."""
    if column in ("id", "pk"):
        return (int(text), text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    value, _, pk = text.partition("~")
    is_amount = isinstance(model._meta.get_field(column), DecimalField)
    key = _amount(value) if is_amount else moments_shown.read(value)
    return (key, pk) if key is not None and is_id(model, pk) else None


def _amount(text: str) -> Decimal | None:
    return Decimal(text) if AMOUNT.fullmatch(text) else None
