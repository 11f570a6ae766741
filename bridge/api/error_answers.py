"""Every error of the API in one shape: application/problem+json, naming each field."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

log = structlog.get_logger(__name__)

SAY_EVERY_SECONDS = 10
_said_at = float("-inf")
CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
# The server is gone, restarts, or does not come to an end. Any other error of a database is a fault of ours.
AWAY = (OperationalError, InterfaceError)


class Conflict(exceptions.APIException):
    """The same idempotency key came with another body."""

    status_code = 409
    default_detail = "This idempotency key was used with another body."
    default_code = "idempotency_conflict"


class Erased(exceptions.APIException):
    """A report about a person who asked to be forgotten, and nothing newer than that."""

    status_code = 410
    default_detail = (
        "This person asked to be forgotten, and this is older than that or was reported before: nothing was stored."
    )
    default_code = "erased"


class MayNotReply(exceptions.APIException):
    """The agent may not speak with this person now."""

    status_code = 409
    default_code = "may_not_reply"

    def __init__(self, reason: str, since: str | None) -> None:
        super().__init__(reason)
        self.more = {"code": self.default_code, "reason": reason, "since": since}


class StoppedByStaff(exceptions.APIException):
    """A person silenced the agent: no key lets it speak again."""

    status_code = 409
    default_detail = "Staff silenced the agent here: they let it speak again, on the page of the pipeline's rules."
    default_code = "stopped_by_staff"


class NoChannel(exceptions.APIException):
    """No way out leads to this person."""

    status_code = 422
    default_code = "no_channel"

    def __init__(self, reason: str) -> None:
        super().__init__(f"No channel leads to this person: {reason}")
        self.more = {"code": self.default_code, "reason": reason}


class DatabaseAway(exceptions.APIException):
    status_code = 503
    default_detail = "The database does not answer; nothing was stored. Try again in a moment."
    default_code = "unavailable"


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer for an exception of a view; None for what is a fault of ours and stays a 500."""
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is no such thing here.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, UnreadablePostError):
        error = exceptions.ParseError("The body ended before its length; nothing was stored.")
    elif isinstance(error, AWAY):
        _say_why(error)
        error = DatabaseAway()
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if isinstance(error, exceptions.Throttled):
        headers["Retry-After"] = str(max(1, round(getattr(error, "wait", None) or 1)))
    elif isinstance(error, DatabaseAway):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return Response(problem(error), status=error.status_code, headers=headers, content_type=CONTENT_TYPE)


def _say_why(error: Exception) -> None:
    """Write the database's own first line to the log, beside the 503s that hide it; now and then is often enough."""
    global _said_at
    now = time.monotonic()
    if now - _said_at >= SAY_EVERY_SECONDS:
        _said_at = now
        log.error("database_away", reason=" ".join(str(error).split())[:300])


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for a fault of ours: to the API's callers in their own shape, to everybody else as Django does."""
    if not request.path.startswith(("/api/", "/mcp")):
        return defaults.server_error(request)
    fault = exceptions.APIException("Something broke on our side; it is in the log. Nothing was stored.")
    return JsonResponse(problem(fault), status=500, content_type=CONTENT_TYPE)


def problem(error: exceptions.APIException) -> dict[str, Any]:
    """Return the body: type, title, status, detail, and each field's errors by its dotted path."""
    title = HTTPStatus(error.status_code).phrase
    if isinstance(error, exceptions.ValidationError):
        errors = list(_fields(error.detail))
        detail = "; ".join(
            f"{entry['field']}: {entry['message']}" if entry["field"] else entry["message"] for entry in errors
        )
    else:
        errors, detail = [], str(error.detail)
    return {
        "type": "about:blank",
        "title": title,
        "status": error.status_code,
        "detail": detail[:1000],
        "errors": errors,
        **getattr(error, "more", {}),
    }


def _fields(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _fields(inner, ".".join(part for part in (path, own) if part))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, (dict, list)) and inner
            yield from _fields(inner, f"{path}.{index}".strip(".") if nested else path)
    else:
        yield {"field": path, "code": getattr(detail, "code", "invalid"), "message": str(detail)}
