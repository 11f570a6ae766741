"""Columns that hold reasons by their codes, and sentences of before as they stand; to migrations the plain columns.

What is read is a text in any case, and what is compared with in a query is stored the same way. A row of before is not
found by a reason, nor a reason by its sentence: ask for `either` where both may stand.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from common.reasons import Reason
from common.reasons.as_stored import MARK, from_json, from_text, to_json, to_text


def either(reason: str) -> tuple[str, str]:
    """Return a reason as it is stored now and as rows of before have it."""
    return reason, reason.sentence if isinstance(reason, Reason) else reason


class ReasonField(models.CharField):  # type: ignore[type-arg]
    """A text that may be a reason. One whose parts do not fit is stored as its sentence, and that is cut if need be."""

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        if not isinstance(text, str):
            return text
        stored = to_text(text)
        if self.max_length is None or len(stored) <= self.max_length:
            return stored
        return (text.sentence if isinstance(text, Reason) else text)[: self.max_length]

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return from_text(value) if value else value

    def deconstruct(self) -> Any:
        name, _path, args, keywords = super().deconstruct()
        return name, "django.db.models.CharField", args, keywords


class JSONWithReasonsField(models.JSONField):
    """JSON in which any text may be a reason."""

    def get_prep_value(self, value: Any) -> Any:
        return to_json(super().get_prep_value(value))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        found = super().from_db_value(value, expression, connection)
        return from_json(found) if isinstance(value, str) and MARK[1:-1] in value else found

    def deconstruct(self) -> Any:
        name, _path, args, keywords = super().deconstruct()
        return name, "django.db.models.JSONField", args, keywords
