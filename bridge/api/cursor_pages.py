"""Lists by cursor: a page stays where it is while leads and events go on arriving."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework import exceptions
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class ByTime(CursorPagination):
    """Pages ordered by a time; `limit` asks for another size, at most 200."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return the place a cursor names. Raises ValidationError for one that we did not make."""
        try:
            cursor = super().decode_cursor(request)
        except (exceptions.NotFound, UnicodeError) as error:
            raise _refused() from error
        if cursor is not None and cursor.position is not None and not _is_moment(cursor.position):
            raise _refused()
        return cursor


class NewestFirst(ByTime):
    ordering = ("-created_at", "-id")


class OldestFirst(ByTime):
    ordering = ("at", "id")


def _is_moment(text: Any) -> bool:
    try:
        moment = parse_datetime(text)
        # The first and the last hours of the calendar have no UTC.
        return moment is not None and timezone.is_aware(moment) and bool(moment.astimezone(UTC))
    except (TypeError, ValueError, OverflowError):
        return False


def _refused() -> Any:
    text = "Follow `next` and `previous` as they are, or leave the cursor out."
    return exceptions.ValidationError({"cursor": [exceptions.ErrorDetail(text, code="invalid")]})
