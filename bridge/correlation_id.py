"""One id from the agent's request to Kommo's answer.

The agent may send `X-Request-Id`; without one it gets one, and every answer repeats it. It stands on each log line of
the request, on the card that the request made due and on the delivery that brought it to Kommo, beside the
`X-Request-Id` of Kommo's own answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse

from bridge import tracing
from bridge.logs import shorten_phone

log = structlog.get_logger("bridge.requests")

HEADER = "X-Request-Id"
LONGEST = 64
# What may stand in a log line and a column as it is.
USABLE = re.compile(rf"[A-Za-z0-9._:/+=-]{{1,{LONGEST}}}")
NAME = "correlation_id"
# Asked every few seconds by machines; nobody reads about it.
QUIET = ("/healthz", "/readyz", "/metrics", "/static/")


def current() -> str:
    """Return the id of the request under way; empty outside of one."""
    return str(structlog.contextvars.get_contextvars().get(NAME, ""))


class Correlation:
    """Middleware: give each request its id, and write one line about it when it is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        usable = USABLE.fullmatch(given) and shorten_phone(given) == given
        correlation_id = given if usable else uuid4().hex
        started = time.monotonic()
        with structlog.contextvars.bound_contextvars(**{NAME: correlation_id}):
            with tracing.span(f"{request.method} request", caller=request.headers, **{NAME: correlation_id}) as span:
                response = self._get_response(request)
                if span:
                    # Known only now; an address itself may hold a phone or a secret.
                    span.update_name(f"{request.method} {shown(request)}")
                    span.set_attribute("http.response.status_code", response.status_code)
            response[HEADER] = correlation_id
            if not request.path.startswith(QUIET):
                log.info(
                    "request",
                    method=request.method,
                    path=shown(request),
                    status=response.status_code,
                    milliseconds=round((time.monotonic() - started) * 1000),
                )
        return response


def shown(request: HttpRequest) -> str:
    """Return the path by its pattern: ids and numbers stand there as names, and a webhook's secret not at all."""
    if request.path in QUIET:
        return request.path
    match = request.resolver_match
    return f"/{match.route}" if match else "(no such page)"
