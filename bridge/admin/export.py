"""Taking a list out as a file: CSV streamed row by row, XLSX up to a bound; nothing in either is ever a formula.

CSV is for machines: commas, codes, times with their zone. What people open is told as they read it: in their language,
and as a spreadsheet of their country takes it, which in most of the world is “;” between cells and a decimal comma.

A lead's name is whatever a stranger typed. Spreadsheets run cells that begin like a formula, so in CSV such a cell gets
an apostrophe in front, and XLSX cells are written as text.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from tempfile import TemporaryFile
from typing import Any

import xlsxwriter
from django.db.models import BinaryField, BooleanField, Field, Model, QuerySet
from django.http import FileResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone, translation
from django.utils.formats import get_format
from django.utils.text import slugify
from django.utils.translation import get_language, gettext

from bridge.reasons import in_words
from leads.encryption import EncryptedTextField

CHUNK = 2000
# Columns that hold sentences of ours.
REASONS = frozenset({"reason", "decision_reason", "handoff_reason", "waiting_reason", "next_reason"})
# What a spreadsheet opens at ease; above it, CSV.
MOST_ROWS_IN_XLSX = 100_000
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# A phone number begins with a plus and is nothing to run.
HARMLESS = re.compile(r"^[+-]?\d[\d.,]*$")
# Where the list separator is “;”, as in Brazil, or a tab, a spreadsheet begins a cell in the middle of ours. It reads
# full-width signs as well, and passes over blanks and quotes.
SEPARATORS = r";,|\t\r\n"
SIGNS = "=+@\uff1d\uff0b\uff0d\uff20-"
# Blanks of any width, quotes, and what nobody sees. None of them separates, so that each is looked at once.
PASSED_OVER = r" \x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\"'"
CELL_BEGINS = re.compile(rf"(?:^|(?<=[{SEPARATORS}]))(?=[{PASSED_OVER}]*+[{SIGNS}])")


@dataclass(frozen=True)
class Reader:
    """Who opens the file: by which language, and how each of its columns is told. A machine takes what is stored."""

    language: str
    tellings: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    writes_commas: bool = False

    @classmethod
    def of(cls, model: type[Model], columns: Iterable[tuple[str, str]]) -> Reader:
        """Return the one who asks: in the language that is active."""
        found = {lookup: telling for lookup, _head in columns if (telling := _telling(model, lookup))}
        return cls(get_language() or "", found, get_format("DECIMAL_SEPARATOR") == ",")

    def tell(self, lookup: str, value: Any) -> Any:
        telling = self.tellings.get(lookup)
        if telling is None or value in (None, ""):
            return value
        with translation.override(self.language):
            return telling(value)


MACHINE = Reader("")


def _telling(model: type[Model], lookup: str) -> Callable[[Any], Any] | None:
    """Return how a column's values are told to people; None where they are what they are."""
    model_field = _field(model, lookup)
    if choices := getattr(model_field, "choices", None):
        labels = dict(choices)
        return lambda value: str(labels.get(value, value))
    if isinstance(model_field, BooleanField):
        return lambda value: gettext("yes") if value else gettext("no")
    return in_words if lookup.rpartition("__")[2] in REASONS else None


def _field(model: type[Model], lookup: str) -> Any:
    """Return the field at the end of a look-up."""
    found: Any = None
    for part in lookup.split("__"):
        found = model._meta.get_field(part)
        model = found.related_model or model
    return found


def columns_of(
    model: type[Model], named: Iterable[str] = (), heads: Mapping[str, Any] | None = None
) -> list[tuple[str, str]]:
    """Return (look-up, head) for each column: those named, else every column that is no secret and can be read.

    heads: what some of them are called otherwise.
    """
    fields = [
        field for field in model._meta.concrete_fields if not isinstance(field, (EncryptedTextField, BinaryField))
    ]
    names = list(named) or [field.name for field in fields]
    called = heads or {}
    return [(name, str(called.get(name) or _head(model, name))) for name in names]


def _head(model: type[Model], name: str) -> str:
    head, found = [], model
    for part in name.split("__"):
        field = found._meta.get_field(part)
        head.append(str(field.verbose_name) if isinstance(field, Field) else part)
        found = field.related_model or found
    return ", ".join(head)


def as_csv(
    rows: QuerySet[Any], columns: list[tuple[str, str]], *, name: str, reader: Reader = MACHINE
) -> HttpResponseBase:
    """Answer every row as it is read: memory stays flat however long the list."""
    # The zone of the request: when the last rows are read, the request is over.
    lines = _lines(rows, columns, timezone.get_current_timezone(), reader)
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    return _named(answer, f"{slugify(name)}.csv")


def _lines(rows: QuerySet[Any], columns: list[tuple[str, str]], zone: tzinfo, reader: Reader) -> Iterator[str]:
    writer = csv.writer(_Echo(), delimiter=";" if reader.writes_commas else ",")
    # The mark tells spreadsheets that accents are UTF-8.
    yield "\ufeff" + writer.writerow([safe(head) for _, head in columns])
    for row in _values(rows, columns, zone, reader):
        yield writer.writerow(line_of(_spelled(row, reader)))


def _spelled(row: Iterable[Any], reader: Reader) -> list[Any]:
    """Return the values of a line with numbers and times as a spreadsheet of the reader's takes them."""
    if reader is MACHINE:
        return list(row)
    return [
        f"{value:%Y-%m-%d %H:%M:%S}"
        if isinstance(value, datetime)
        else str(value).replace(".", ",")
        if reader.writes_commas and isinstance(value, (float, Decimal))
        else value
        for value in row
    ]


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, line: str) -> str:
        return line


def as_xlsx(
    rows: QuerySet[Any], columns: list[tuple[str, str]], *, name: str, reader: Reader = MACHINE
) -> HttpResponseBase:
    """Answer a workbook of one sheet, at most MOST_ROWS_IN_XLSX rows long; written to disk, not kept in memory."""
    # The answer closes it, and with that it is gone.
    file = TemporaryFile()  # noqa: SIM115
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "remove_timezone": True,
    }
    with xlsxwriter.Workbook(file, options) as book:
        sheet = book.add_worksheet(re.sub(r"[\[\]:*?/\\']", " ", name)[:31])
        bold, moment = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(columns) - 1, 18)
        for place, (_lookup, head) in enumerate(columns):
            sheet.write_string(0, place, head, bold)
        told_rows = _values(rows[:MOST_ROWS_IN_XLSX], columns, timezone.get_current_timezone(), reader)
        for line, row in enumerate(told_rows, 1):
            for place, value in enumerate(row):
                if isinstance(value, datetime):
                    sheet.write_datetime(line, place, value, moment)
                elif _is_number(value):
                    sheet.write_number(line, place, float(value))
                elif value not in (None, ""):
                    sheet.write_string(line, place, _text(value)[:32_000])
    file.seek(0)
    return _named(FileResponse(file, content_type=XLSX), f"{slugify(name)}.xlsx")


def _is_number(value: Any) -> bool:
    """Say whether a spreadsheet keeps the value as a number: it has fifteen digits, and Kommo's ids fit."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) and abs(float(value)) < 1e15


def _named(answer: HttpResponseBase, filename: str) -> HttpResponseBase:
    answer["Content-Disposition"] = f'attachment; filename="{filename}"'
    answer["Cache-Control"] = "no-store"
    return answer


def _values(rows: QuerySet[Any], columns: list[tuple[str, str]], zone: tzinfo, reader: Reader) -> Iterator[list[Any]]:
    lookups = [lookup for lookup, _head in columns]
    for row in rows.values_list(*lookups).iterator(CHUNK):
        told_row = (reader.tell(lookup, value) for lookup, value in zip(lookups, row, strict=True))
        yield [value.astimezone(zone) if isinstance(value, datetime) else value for value in told_row]


def safe(value: Any) -> str:
    """Return a cell that no spreadsheet runs, nor any of the cells that another separator makes of it."""
    text = _text(value)
    if HARMLESS.match(text):
        return text
    text = CELL_BEGINS.sub("'", text)
    return f"'{text}" if text.startswith(("\t", "\r", "\n")) else text


def line_of(row: Iterable[Any]) -> list[str]:
    """Return the cells of a line that no spreadsheet runs, whichever separator it reads by.

    Where “;” separates and the comma is in numbers, a line is one cell: `+5581999990000,1+cmd|…`. So it begins with no
    sign, not even that of a number.
    """
    cells = [safe(value) for value in row]
    return [f"'{cells[0]}" if cells[0][:1] in ("+", "-") else cells[0], *cells[1:]] if cells else []


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value)
