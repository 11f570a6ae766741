"""An account ready to be called: its client with the token and the shared pace of all workers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from bridge import account_traits, heartbeat, metrics
from bridge.accounts import refusals
from bridge.accounts.rate_limit import DatabasePace
from bridge.accounts.work_leases import alone
from bridge.errors import (
    Call,
    ConfigurationError,
    KommoAccessError,
    KommoError,
    KommoRateLimitError,
    KommoUnreachableError,
)
from bridge.kommo import oauth_tokens
from bridge.kommo.client import KommoClient
from bridge.kommo.throttle import Pace, Share
from bridge.kommo.what_an_error_stops import is_block
from bridge.models import Account

# A refresh is two calls of at most 25 s each, and as many again at a new address.
LONGEST_REFRESH = timedelta(seconds=110)
LOOK_AGAIN_SECONDS = 0.2
# For a command: one answer that went wrong in passing ends no comparison of a hundred thousand cards.
PATIENTLY = (1.0, 3.0, 8.0)


def open_account(
    account_id: int, *, share: float = 1.0, read_again_after: Sequence[float] = ()
) -> tuple[Account, KommoClient]:
    """Return the account as it is now, and a client for workers: it keeps the ceiling and heeds a pause.

    `share`: the part of the ceiling this client may use at most. A door that Kommo closes to one process pauses the
    account for all of them, at once.
    """
    account = Account.objects.get(pk=account_id)

    def refused(error: KommoAccessError) -> None:
        refusals.heed(account, error, now=timezone.now())

    pace: Pace = DatabasePace(account, heeds_pause=True)
    if share < 1:
        pace = Share(pace, account.requests_per_second * share)
    client = KommoClient(
        account.base_url,
        AccountToken(account),
        pace,
        on_call=count_call,
        on_refused=refused,
        read_again_after=read_again_after,
    )
    client.zone = account_traits.zone_of(account)
    return account, client


def client_for(account: Account, *, read_again_after: Sequence[float] = ()) -> KommoClient:
    """Return a client for what a person asked for: it keeps the ceiling, and calls a paused account too."""
    pace = DatabasePace(account)
    client = KommoClient(
        account.base_url, AccountToken(account), pace, on_call=count_call, read_again_after=read_again_after
    )
    client.zone = account_traits.zone_of(account)
    return client


def count_call(call: Call) -> None:
    metrics.count("bridge_kommo_requests", call.method, call.status or "none")
    metrics.observe("bridge_kommo_request_seconds", call.seconds)


class AccountToken:
    """The account's access token; refreshed by one process at a time, over all hosts."""

    def __init__(self, account: Account) -> None:
        self._account_id = account.pk
        self._token: str = account.access_token

    def access_token(self) -> str:
        return self._token

    def refresh(self, rejected: str) -> str | None:
        """Return a token to try instead of the rejected one; None when only a person can help.

        One process asks Kommo, under a lock in the database that holds no transaction open; the others wait for what it
        stores. The new pair is stored before it is used. Raises KommoError when the answer stays away.
        """
        give_up_at = time.monotonic() + LONGEST_REFRESH.total_seconds()
        while time.monotonic() < give_up_at:
            with alone(f"token:{self._account_id}", now=timezone.now(), longest=LONGEST_REFRESH) as mine:
                account = Account.objects.get(pk=self._account_id)
                if account.access_token != rejected:
                    # Another process was faster.
                    self._token = account.access_token
                    return self._token
                if mine:
                    return self._renewed(account)
            heartbeat.progress()
            time.sleep(LOOK_AGAIN_SECONDS)
        return None

    def _renewed(self, account: Account) -> str | None:
        before = account.base_url
        if not _renew(account):
            return None
        self._token = account.access_token
        if account.base_url != before:
            operation = "refresh token"
            message = f"{operation}: the account has moved to {account.base_url}; trying again there"
            raise KommoUnreachableError(message, operation=operation, sent=False)
        return self._token


def _renew(account: Account) -> bool:
    """Get and store a new pair, at the account's new address if its owner renamed it; False when that is refused."""
    if not account.refresh_token:
        return False
    try:
        pair = _exchange(account)
    except KommoAccessError as error:
        if is_block(error):
            raise
        try:
            account.base_url = oauth_tokens.new_base_url(account.base_url, account.access_token, account.refresh_token)
            pair = _exchange(account)
        except KommoAccessError as refused:
            if is_block(refused):
                raise
            return False
        except ConfigurationError:
            return False
    store_tokens(account, pair)
    return True


def _exchange(account: Account) -> oauth_tokens.TokenPair:
    """Exchange the refresh token; after a refusal, the one it replaced. Raises KommoError.

    Kommo takes the older token until the pair it was exchanged for has been used, which is how a pair
    that got lost on its way to us is had again.
    """
    try:
        return _exchange_token(account, account.refresh_token)
    except KommoAccessError as error:
        if is_block(error) or not account.previous_refresh_token:
            raise
        return _exchange_token(account, account.previous_refresh_token)


def _exchange_token(account: Account, refresh_token: str) -> oauth_tokens.TokenPair:
    """Exchange one refresh token, once more after a lost answer. Raises KommoError."""
    arguments = {
        "client_id": account.client_id,
        "client_secret": account.client_secret,
        "redirect_uri": account.redirect_uri,
        "refresh_token": refresh_token,
    }
    try:
        return oauth_tokens.refresh(account.base_url, **arguments)
    except (KommoAccessError, KommoRateLimitError):
        raise
    except KommoError:
        return oauth_tokens.refresh(account.base_url, **arguments)


def store_tokens(account: Account, pair: oauth_tokens.TokenPair) -> None:
    """Store a new pair, with the address it came from, before anybody uses it."""
    account.previous_refresh_token = account.refresh_token
    account.access_token, account.refresh_token = pair.access_token, pair.refresh_token
    account.token_expires_at = pair.expires_at
    columns = ["base_url", "access_token", "refresh_token", "previous_refresh_token", "token_expires_at"]
    account.save(update_fields=columns)
