"""Lists of tables that grow for ever: no row is counted, and page one hundred costs what page one does.

A page begins where the one before it ended: below a row's key, by the index the list is ordered by. "Page 4 of 20 000"
is not offered, because saying it would take reading all of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

from bridge.admin import moments
from bridge.admin.base import ReadOnlyAdmin, is_id

OLDER, NEWER = "older", "newer"


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

    def _page(self) -> list[Model]:
        column = self.model_admin.keyset
        older, newer = (_read(text, self.model, column) for text in (self._older, self._newer))
        rows = self.queryset
        if newer:
            rows = _beyond(rows, column, newer, "gt").order_by(column, "pk")
        else:
            rows = (_beyond(rows, column, older, "lt") if older else rows).order_by(f"-{column}", "-pk")
        # One more than is shown: whether there is a further page.
        found: list[Model] = list(rows[: self.list_per_page + 1])
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


def _beyond(rows: QuerySet[Any], column: str, key: tuple[Any, str], side: str) -> QuerySet[Any]:
    value, pk = key
    if column in ("id", "pk"):
        return rows.filter(**{f"{column}__{side}": value})
    # The first condition is what the index is entered by; the second one leaves out what the page before has shown.
    opposite = "gte" if side == "lt" else "lte"
    return rows.filter(**{f"{column}__{side}e": value}).exclude(**{column: value, f"pk__{opposite}": pk})


def _written(row: Model, column: str) -> str:
    value = getattr(row, column)
    return f"{value.isoformat()}~{row.pk}" if isinstance(value, datetime) else str(value)


def _read(text: str, model: type[Model], column: str) -> tuple[Any, str] | None:
    """Return the key a page begins beyond; None for the first page, and for what is no key."""
    if column in ("id", "pk"):
        return (int(text), text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    value, _, pk = text.partition("~")
    at = moments.read(value)
    return (at, pk) if at and is_id(model, pk) else None
