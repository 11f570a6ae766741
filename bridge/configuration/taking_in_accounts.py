"""Taking an account in from the admin: its address and token are tried before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bridge.accounts import account_state
from bridge.accounts.connection import client_for
from bridge.configuration.account_addresses import given_by_staff
from bridge.configuration.account_from_environment import begin_as_told, ensure_webhook_secret, take_free_pipelines
from bridge.configuration.connecting import Connection
from bridge.errors import ConfigurationError
from bridge.kommo import token_expiry
from bridge.kommo.client import KommoClient
from bridge.kommo.throttle import LocalPace
from bridge.models import Account


@dataclass(frozen=True)
class _Given:
    """A token somebody typed: nothing can renew it."""

    token: str

    def access_token(self) -> str:
        return self.token

    def refresh(self, rejected: str) -> None:
        return None


def with_token(account: Account, *, base_url: str, token: str, now: datetime) -> None:
    """Keep an address and a long-lived token once Kommo has taken them. Raises KommoError or ConfigurationError.

    A token that Kommo refuses replaces none that works.
    """
    base_url = given_by_staff(base_url)
    name = check_is_same(account, base_url, token)
    account.base_url, account.access_token, account.token_expires_at = base_url, token, token_expiry.expiry(token)
    account.refresh_token = account.previous_refresh_token = ""
    account.name = account.name or name
    _keep(account)
    Connection(account, client_for(account), create_missing=False, now=now).check()
    account_state.reopen(account, now=now)


def check_is_same(account: Account, base_url: str, token: str) -> str:
    """Return the name of the account that a token opens. Raises KommoError, and ConfigurationError for another one.

    Cards, users and stages are known by their ids in one account: with a token for another, what leads say would be
    written to cards of strangers.
    """
    # One call, before there is a row whose ceiling it could count for.
    reply = KommoClient(base_url, _Given(token), LocalPace(1)).account()
    if account.kommo_account_id and account.kommo_account_id != reply.id:
        raise ConfigurationError(
            f"{base_url} is account {reply.id} in Kommo, but the bridge was connected to {account.kommo_account_id}. "
            "Add the other account as one of its own."
        )
    return reply.name


def for_consent(account: Account, *, base_url: str, client_id: str, client_secret: str, redirect_uri: str) -> None:
    """Keep what the way to Kommo's consent page needs. Raises ConfigurationError."""
    account.base_url = given_by_staff(base_url)
    account.client_id, account.redirect_uri = client_id, redirect_uri
    if client_secret:
        account.client_secret = client_secret
    account.name = account.name or account.base_url.split("//", 1)[1]
    _keep(account)


def _keep(account: Account) -> None:
    if account._state.adding:
        begin_as_told(account)
    ensure_webhook_secret(account)
    account.save()
    take_free_pipelines(account)
