"""From Kommo's answers to our errors; what is done about each: what_an_error_stops.py.

Kommo's errors come in two JSON shapes, as HTML pages of a proxy, or empty; all are survived.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson

from bridge.errors import (
    KommoAccessError,
    KommoError,
    KommoNotFoundError,
    KommoRateLimitError,
    KommoRejectedError,
    KommoServerError,
    Rejection,
)
from bridge.kommo.reply_values import rows, texts
from common.reasons import Reason, about, several

DEFAULT_RETRY_AFTER = timedelta(seconds=5)
LONGEST_RETRY_AFTER = timedelta(hours=1)
MAX_DETAIL = 300


def from_answer(operation: str, status: int, headers: Any, body: bytes, request_id: str) -> KommoError:
    """Return the error an unsuccessful answer stands for."""
    data = read_json(body)
    problem = data if isinstance(data, dict) else {}
    detail = _detail(problem)
    facts: dict[str, Any] = {
        "operation": operation,
        "status_code": status,
        "detail": detail,
        "request_id": request_id,
    }
    answered: str = Reason("kommo_answered", number=status)
    message = about(operation, about(answered, detail) if detail else answered)
    if status == 429:
        return KommoRateLimitError(message, retry_after=_retry_after(headers, problem), **facts)
    if status in (401, 402, 403):
        is_block = status == 403 and data is None
        return KommoAccessError(_access_message(status, message, is_block), is_block=is_block, **facts)
    if status == 404:
        return KommoNotFoundError(several([message, Reason("check_address")]), **facts)
    if status < 400:
        return KommoRejectedError(several([message, _redirect_message(headers)]), **facts)
    if status >= 500:
        return KommoServerError(message, retry_after=_retry_after(headers, problem, default=None), **facts)
    items = _rejections(problem)
    if items:
        message = about(operation, about(Reason("refused_by_kommo"), "; ".join(map(str, items))))
    return KommoRejectedError(message[: MAX_DETAIL * 2], items=items, **facts)


def read_json(body: bytes) -> Any:
    """Return the parsed body; None when it is no JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _access_message(status: int, message: str, is_block: bool) -> str:
    remedy = {
        401: Reason("token_refused"),
        402: Reason("account_not_paid"),
        403: Reason("user_may_not"),
    }[status]
    return several([message, Reason("address_blocked") if is_block else remedy])


def _redirect_message(headers: Any) -> str:
    """A deactivated user's call is sent to the page where people log in; a renamed account's to another host."""
    path = urlsplit(str(headers.get("Location") or "")).path
    if path.startswith("/api/"):
        return Reason("points_elsewhere")
    return Reason("points_to_login")


def _detail(problem: dict[str, Any]) -> str:
    parts = (problem.get(key) for key in ("hint", "detail", "title"))
    return next((part[:MAX_DETAIL] for part in parts if isinstance(part, str) and part), "")


def _retry_after(
    headers: Any, problem: dict[str, Any], default: timedelta | None = DEFAULT_RETRY_AFTER
) -> timedelta | None:
    """Return the wait Kommo asks for: documented in the body, and read from the header too in case it comes there."""
    waits = []
    for value in (problem.get("retry_after"), headers.get("Retry-After")):
        try:
            seconds = float(str(value))
        except (TypeError, ValueError):
            continue
        if 0 < seconds < float("inf"):
            waits.append(min(timedelta(seconds=min(seconds, 1e6)), LONGEST_RETRY_AFTER))
    return max(waits) if waits else default


def _rejections(problem: dict[str, Any]) -> tuple[Rejection, ...]:
    return (*_validation_errors(problem), *_errors_by_lead(problem))


def _validation_errors(problem: dict[str, Any]) -> list[Rejection]:
    found: list[Rejection] = []
    for entry in rows(problem.get("validation-errors")):
        if not isinstance(entry, dict):
            continue
        for error in rows(entry.get("errors")):
            if isinstance(error, dict):
                found += (
                    Rejection(
                        code=str(error.get("code", "")),
                        path=str(error.get("path", "")),
                        detail=str(error.get("detail", ""))[:MAX_DETAIL],
                        request_id=request_id,
                    )
                    for request_id in texts(entry.get("request_id")) or (None,)
                )
    return found


def _errors_by_lead(problem: dict[str, Any]) -> list[Rejection]:
    errors = problem.get("errors")
    if not isinstance(errors, dict):
        return []
    return [
        Rejection(code="", path="", detail=str(detail)[:MAX_DETAIL], lead_id=int(lead_id))
        for lead_id, detail in errors.items()
        if str(lead_id).isascii() and str(lead_id).isdigit()
    ]
