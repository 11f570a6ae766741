"""Calling the agent: signed per Standard Webhooks, bounded in time and size, never following a redirect.

Source: https://www.standardwebhooks.com
"""

from __future__ import annotations

import binascii
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

from followups.private_networks import LeadsInsideError, OutsideOnly

TIMEOUT_SECONDS = (5, 10)
# The timeout above starts anew with every byte; without this, an answer that trickles would hold a thread for hours.
BODY_SECONDS = 5
LONGEST_ANSWER = 64 * 1024
LEADS_INSIDE = "its address leads into our own network"

_local = threading.local()


@dataclass(frozen=True)
class Answer:
    """What the other side said.

    `status` is None when nothing came back. `error` says what went wrong; with a status, the body did not arrive whole.
    `may_have_arrived` is False only when the request has certainly not left.
    """

    status: int | None
    body: Any = None
    retry_after_seconds: float | None = None
    error: str = ""
    may_have_arrived: bool = True

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def signer(secret: str) -> Webhook:
    """Return the signer for a secret: base64 as the standard has it, with or without `whsec_`, or any other text."""
    try:
        return Webhook(secret)
    # Empty: a text without a single letter of base64.
    except (binascii.Error, ValueError, EmptyWebhookSecretError):
        return Webhook(secret.encode())


def post(url: str, secret: str, event_id: str, body: Mapping[str, Any], *, now: datetime) -> Answer:
    """Send one event; `event_id` is the same on every try, so that the receiver acts once. Never raises."""
    # The library takes the wall clock of any zone for UTC's.
    now = now.astimezone(UTC)
    data = orjson.dumps(body)
    headers = {"Content-Type": "application/json", "webhook-id": event_id, "User-Agent": "kommo-bridge"}
    headers["webhook-timestamp"] = str(int(now.timestamp()))
    if secret:
        headers["webhook-signature"] = signer(secret).sign(event_id, now, data.decode())
    return send(url, data, headers)


def send(
    url: str, data: bytes | None, headers: Mapping[str, str], *, method: str = "POST", outside_only: bool = False
) -> Answer:
    """Call and read a bounded answer. Never raises: whoever sends has a row to note the error on.

    outside_only: nobody is called whose name leads into our own network (followups/private_networks.py).
    """
    try:
        with _session(url, outside_only=outside_only).request(
            method, url, data=data, headers=dict(headers), timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True
        ) as response:
            raw, error = _body(response)
            wait = response.headers.get("Retry-After", "")
            return Answer(response.status_code, _read(raw), float(wait) if wait.isdecimal() else None, error)
    # Errors of urllib3 and of plain Python come through where requests does not expect them: an impossible host name.
    except (requests.RequestException, HTTPError, ValueError) as failure:
        why = _cause(failure)
        error = LEADS_INSIDE if isinstance(why, LeadsInsideError) else type(failure).__name__
        return Answer(None, error=error, may_have_arrived=not _never_left(failure))


def _cause(failure: Exception) -> Any:
    return getattr(failure.args[0], "reason", None) if failure.args else None


def _never_left(failure: Exception) -> bool:
    """Say whether the connection itself failed: no such host, refused, no answer to knocking, or no address at all."""
    # A key with a sign that no header holds.
    if isinstance(failure, UnicodeEncodeError | requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return True
    if isinstance(failure, requests.ConnectTimeout | requests.exceptions.MissingSchema | requests.exceptions.SSLError):
        return True
    return isinstance(_cause(failure), NewConnectionError | NameResolutionError | ConnectTimeoutError)


def _body(response: requests.Response) -> tuple[bytes, str]:
    """Return what came of the body, however many pieces it came in, and what was wrong with it."""
    raw, deadline = b"", time.monotonic() + BODY_SECONDS
    try:
        while len(raw) < LONGEST_ANSWER and (piece := response.raw.read1(LONGEST_ANSWER, decode_content=True)):
            raw += piece
            if time.monotonic() > deadline:
                return raw, "the answer did not end"
    except HTTPError as failure:
        return raw, type(failure).__name__
    return raw, ""


def _read(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _session(url: str, *, outside_only: bool = False) -> requests.Session:
    """Return this thread's session for an address: connections stay open from one message to the next.

    The environment is read once and not for every message, which took a fifth of its time: proxies and authorities
    hold, and a password that ~/.netrc has for the host is not given away.
    """
    sessions: dict[tuple[str, bool], requests.Session] = _local.__dict__.setdefault("sessions", {})
    # By server and not by path: some name a conversation in it.
    url = "://".join(urlsplit(url)[:2])
    known = (url, outside_only)
    if known not in sessions:
        session = sessions[known] = requests.Session()
        if outside_only:
            session.mount("https://", OutsideOnly())
            session.mount("http://", OutsideOnly())
        session.trust_env, session.proxies = False, requests.utils.get_environ_proxies(url)
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    return sessions[known]
