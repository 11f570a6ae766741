"""The same request twice acts once and gets the first answer again.

The answer is stored in the transaction of the effect, under a unique key. Of two that run at the same moment one
commits; the other finds the key taken, undoes all it did, and gives the winner's answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from bridge.api.error_answers import Conflict
from bridge.models import IdempotencyRecord
from common.statements import Select, insert

Answer = tuple[int, dict[str, Any]]

RECORDS = Select(lambda keys: IdempotencyRecord.objects.filter(key__in=keys))


class RepeatedError(Exception):
    """A key has been used before; what was done under it now must be undone."""


def fingerprint(body: Any) -> str:
    """Return a text equal for two bodies exactly when they mean the same."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def earlier(asked: Sequence[tuple[str, Any]], *, now: datetime) -> dict[str, Answer | Conflict]:
    """Return what was answered before, by key; a Conflict where the key came with another body."""
    bodies = dict(asked)
    found: dict[str, Answer | Conflict] = {}
    for record in RECORDS.all(keys=list(bodies)) if bodies else ():
        if record.created_at < now - IdempotencyRecord.KEPT_FOR:
            record.delete()
        elif record.fingerprint != fingerprint(bodies[record.key]):
            found[record.key] = Conflict()
        else:
            found[record.key] = (record.status_code, record.answer)
    return found


def remember(answered: Sequence[tuple[str, Any, Any]], *, now: datetime) -> None:
    """Keep answers, given as (key, body, answer). Raises RepeatedError when one of the keys has been used already."""
    records = [
        IdempotencyRecord(
            key=key, fingerprint=fingerprint(body), status_code=answer[0], answer=answer[1], created_at=now
        )
        for key, body, answer in answered
    ]
    if insert(records, ignore_conflicts=True) < len(records):
        raise RepeatedError
