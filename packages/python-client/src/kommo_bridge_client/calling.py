"""How one call is made and made again: no network here, so that sync and async clients keep the same rules.

A call is a generator. It yields what is to be done, a request to send or seconds to wait, and is sent what came of it:
a response, or the error of the way. It returns the answer's body, or raises a BridgeError.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import httpx

from kommo_bridge_client import errors

TRIES = 5
# With four waits: 0.5, 1, 2, 4 s, or what the bridge asks for.
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
AGAIN = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Send:
    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, Any]
    body: Any = None


@dataclass(frozen=True)
class Wait:
    seconds: float


Call = Generator["Send | Wait", "httpx.Response | httpx.TransportError | None", Any]


def call(
    method: str,
    path: str,
    *,
    query: dict[str, Any] | None = None,
    body: Any = None,
    key: str | None = None,
    once: bool = False,
) -> Call:
    """Make a call until it is answered. Whatever is tried again is the same to the bridge, so that it acts once.

    key: the idempotency key; a call with a body and without one gets one. once: the path does not act twice anyway.
    """
    headers = {"Accept": "application/json"}
    if body is not None and not once:
        headers["Idempotency-Key"] = key or uuid4().hex
    send = Send(
        method, path, headers, {name: value for name, value in (query or {}).items() if value is not None}, body
    )
    away: errors.BridgeError = errors.AwayError("the bridge was not asked")
    for tried in range(1, TRIES + 1):
        got = yield send
        asked = 0.0
        if isinstance(got, httpx.Response):
            if got.is_success:
                with suppress(ValueError):
                    return got.json() if got.content else None
                # A page of somebody else's, such as a proxy's while the bridge is away.
                away = errors.AwayError("what answers there is not the bridge: is the address right?")
            elif got.has_redirect_location:
                raise errors.RefusedError(f"the address leads elsewhere: give the client {got.headers['Location']}")
            else:
                away = errors.of(got.status_code, _problem(got))
                if got.status_code not in AGAIN:
                    raise away
                asked = seconds(got.headers.get("Retry-After"), now=datetime.now(UTC))
        else:
            # It may have arrived: only because it carries its key is it sent again.
            away = errors.AwayError(f"the bridge does not answer: {got}")
            away.__cause__ = got
        if tried < TRIES:
            yield Wait(min(LONGEST_WAIT, max(asked, FIRST_WAIT * 2 ** (tried - 1))))
    raise away


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def seconds(retry_after: str | None, *, now: datetime) -> float:
    """How long Retry-After asks to wait: seconds, or the moment from which on, as proxies may say it. Else none."""
    text = retry_after or ""
    with suppress(ValueError):
        return max(0.0, float(text))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    # A zone of -0000 is no zone to Python, and UTC to who wrote it.
    return max(0.0, ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds())
