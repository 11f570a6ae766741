"""Rows by the sentence of their reason: they are stored by codes, and what a test holds is what is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Manager, QuerySet


def saying(rows: QuerySet[Any] | Manager[Any], text: str, how: Callable[[str, str], bool] = str.__eq__) -> list[Any]:
    """Return the rows whose reason is this sentence, or has it as `how` says: str.endswith, str.__contains__."""
    return [row for row in rows.all() if how(str(row.reason), text)]
