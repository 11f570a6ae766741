"""Tokens: what a JWT tells without asking, and OAuth's code and refresh exchanges. No secret enters a message or a
repr.

Source: https://developers.kommo.com/docs/oauth-20
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import requests

from bridge.errors import (
    KommoAccessError,
    KommoError,
    KommoRateLimitError,
    KommoReplyError,
    KommoServerError,
    KommoUnreachableError,
)
from bridge.kommo.bounded_answers import read_whole
from bridge.kommo.errors import from_answer, read_json
from bridge.kommo.hosts import address_of, check_base_url, is_loopback
from bridge.kommo.token_expiry import claims
from bridge.kommo.what_an_error_stops import is_block
from common.reasons import Reason, about

TIMEOUT = (5, 20)
# A pair of tokens has some kilobytes; a page of somebody between us is answered by its status.
MOST_ANSWER_BYTES = 1024 * 1024
LONGEST_ANSWER_SECONDS = 30.0
# Accounts of the older brand agree on its own pages.
SHOP_WINDOWS = (".amocrm.ru", ".amocrm.com")


@dataclass(frozen=True)
class TokenPair:
    """An access token, the refresh token that replaces it, and when the access token ends."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime


def consent_url(base_url: str, *, client_id: str, redirect_uri: str, state: str) -> str:
    """Return where staff allow the integration; Kommo sends them back to the redirect address with a code.

    `post_message` sends back the window that was opened, `popup` the one that opened it, and there is none (README of
    the official client). A sandbox on this machine has a consent page of its own.
    """
    asked = {"client_id": client_id, "state": state, "mode": "post_message"}
    if is_loopback(base_url):
        return f"{base_url}/oauth?{urlencode({**asked, 'redirect_uri': redirect_uri})}"
    return f"{shop_window(base_url)}/oauth?{urlencode(asked)}"


def shop_window(base_url: str) -> str:
    """Return the address of the brand's own pages, where consent is given and accounts are asked for by name."""
    if is_loopback(base_url):
        return base_url
    brand = next((window for window in SHOP_WINDOWS if base_url.endswith(window)), ".kommo.com")
    return f"https://www{brand}"


def exchange_code(base_url: str, *, client_id: str, client_secret: str, redirect_uri: str, code: str) -> TokenPair:
    """Exchange a code of consent (single use, 20 minutes) for tokens. Raises KommoError."""
    grant = {"grant_type": "authorization_code", "code": code}
    return _exchange(base_url, client_id, client_secret, redirect_uri, grant)


def refresh(base_url: str, *, client_id: str, client_secret: str, redirect_uri: str, refresh_token: str) -> TokenPair:
    """Exchange a refresh token for a new pair; Kommo replaces the refresh token each time. Raises KommoError."""
    grant = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return _exchange(base_url, client_id, client_secret, redirect_uri, grant)


def _exchange(base_url: str, client_id: str, client_secret: str, redirect_uri: str, grant: dict[str, str]) -> TokenPair:
    body = {"client_id": client_id, "client_secret": client_secret, "redirect_uri": redirect_uri, **grant}
    operation = "exchange token"
    answer = _post(f"{check_base_url(base_url)}/oauth2/access_token", body, operation)
    data = read_json(answer.content)
    if about_the_way := _about_the_way(operation, answer):
        raise about_the_way
    if not answer.ok:
        hint = data.get("hint") or data.get("title") if isinstance(data, dict) else ""
        raise KommoAccessError(
            f"Kommo refused the token exchange ({answer.status_code}: {hint or 'no reason given'}); "
            "connect the account again in the admin",
            operation=operation,
            status_code=answer.status_code,
            detail=str(hint),
        )
    try:
        expires_at = datetime.now(UTC) + timedelta(seconds=int(data["expires_in"]))
        return TokenPair(str(data["access_token"]), str(data["refresh_token"]), expires_at)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise KommoReplyError(f"{operation}: the answer holds no tokens", operation=operation) from error


def _about_the_way(operation: str, answer: requests.Response) -> KommoError | None:
    """Return the error of an answer that says nothing of the token: too busy, broken, or our address shut out."""
    if answer.ok:
        return None
    error = from_answer(operation, answer.status_code, answer.headers, answer.content, "")
    return error if isinstance(error, KommoRateLimitError | KommoServerError) or is_block(error) else None


def new_base_url(base_url: str, access_token: str, refresh_token: str) -> str:
    """Return the account's address after its owner renamed it: the token knows a host that can tell.

    Raises KommoError, and ConfigurationError for a host that is not Kommo's.
    """
    operation = "find the account's new address"
    if refresh_token:
        teller = address_of(str(claims(access_token).get("api_domain") or ""), known=base_url)
        url, headers = f"{teller}/oauth2/account/current/subdomain", {"X-Refresh-Token": refresh_token}
    else:
        # The older way, which a long-lived token goes too.
        url = f"{shop_window(base_url)}/oauth2/account/subdomain"
        headers = {"Authorization": f"Bearer {access_token}"}
    try:
        answer = _ask("GET", url, headers=headers)
    except requests.RequestException as error:
        raise KommoUnreachableError(about(operation, Reason("no_answer")), operation=operation, sent=True) from error
    if about_the_way := _about_the_way(operation, answer):
        raise about_the_way
    data = read_json(answer.content)
    domain = str(data.get("domain") or "") if isinstance(data, dict) else ""
    if not answer.ok or not domain:
        raise KommoAccessError(f"{operation}: Kommo did not tell", operation=operation, status_code=answer.status_code)
    return address_of(domain, known=base_url)


def uninstall_signature_is_valid(client_uuid: str, account_id: str, signature: str, *, secret: str) -> bool:
    """Say whether an uninstall hook was signed with our integration's secret; compared in constant time."""
    message = f"{client_uuid}|{account_id}".encode()
    wanted = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), signature.lower().encode())


def _ask(method: str, url: str, **more: Any) -> requests.Response:
    """Ask, and read a bounded answer. Raises RequestException."""
    with requests.Session() as session:
        # Nobody's environment decides where a secret goes: no proxy of it, and no password of ~/.netrc beside ours.
        session.trust_env = False
        answer = session.request(method, url, timeout=TIMEOUT, allow_redirects=False, stream=True, **more)
        read_whole(answer, most_bytes=MOST_ANSWER_BYTES, seconds=LONGEST_ANSWER_SECONDS)
    return answer


def _post(url: str, body: dict[str, str], operation: str) -> requests.Response:
    try:
        return _ask("POST", url, json=body)
    except requests.ConnectTimeout as error:
        raise KommoUnreachableError(f"{operation}: no connection", operation=operation, sent=False) from error
    except requests.RequestException as error:
        raise KommoUnreachableError(about(operation, Reason("no_answer")), operation=operation, sent=True) from error
