"""The first account, filled from the environment; afterwards the admin owns it."""

from __future__ import annotations

import hashlib
import secrets

from django.conf import settings
from django.utils import timezone

from bridge.errors import ConfigurationError
from bridge.kommo.hosts import check_base_url
from bridge.models import Account, AccountPipeline
from leads.models import Pipeline


def ensure_account() -> Account | None:
    """Return the first account, made from the settings when there is none; None when they name no account either.

    Raises ConfigurationError when KOMMO_BASE_URL is not an address of Kommo.
    """
    account = Account.objects.order_by("pk").first()
    if account is None and not settings.KOMMO_BASE_URL:
        return None
    # A first try that failed is no truth: until Kommo has answered once, what is corrected in `.env` is read again.
    if account is None or (account.kommo_account_id is None and settings.KOMMO_BASE_URL):
        account = account or Account()
        _fill(account)
        account.save()
    take_free_pipelines(account)
    return account


def _fill(account: Account) -> None:
    base_url = check_base_url(settings.KOMMO_BASE_URL)
    account.name, account.base_url = base_url.split("//", 1)[1], base_url
    account.access_token = settings.KOMMO_LONG_LIVED_TOKEN or account.access_token
    account.client_id = settings.KOMMO_CLIENT_ID or account.client_id
    account.client_secret = settings.KOMMO_CLIENT_SECRET or account.client_secret
    account.redirect_uri = settings.KOMMO_REDIRECT_URI or account.redirect_uri
    account.requests_per_second = settings.KOMMO_REQUESTS_PER_SECOND
    account.batch_size = settings.KOMMO_BATCH_SIZE
    if account._state.adding:
        begin_as_told(account)
    ensure_webhook_secret(account)


def differs_from_settings(account: Account) -> list[str]:
    """Return the variables that say something else than the account does by now: the account holds."""
    pairs = {
        "KOMMO_BASE_URL": (settings.KOMMO_BASE_URL.rstrip("/"), account.base_url),
        "KOMMO_LONG_LIVED_TOKEN": (settings.KOMMO_LONG_LIVED_TOKEN, account.access_token),
        "KOMMO_CLIENT_SECRET": (settings.KOMMO_CLIENT_SECRET, account.client_secret),
    }
    return [name for name, (named, stored) in pairs.items() if named and named != stored]


def begin_as_told(account: Account) -> None:
    """Let a new account start in the state KOMMO_MODE names; does not save. Raises ConfigurationError."""
    mode = settings.KOMMO_MODE
    if mode not in (Account.State.ACTIVE, Account.State.SHADOW):
        raise ConfigurationError(f"KOMMO_MODE is {mode!r}: it is active or shadow")
    if mode == Account.State.SHADOW:
        account.state, account.shadow_since = Account.State.SHADOW, timezone.now()


def take_free_pipelines(account: Account) -> None:
    """Let this account hold the cards of every pipeline that has none yet."""
    for pipeline in Pipeline.objects.filter(account_link=None):
        AccountPipeline.objects.get_or_create(pipeline=pipeline, defaults={"account": account})


def ensure_webhook_secret(account: Account) -> None:
    """Give an account that has none the secret part of its webhook's path; does not save."""
    if not account.webhook_secret:
        set_webhook_secret(account, settings.KOMMO_WEBHOOK_SECRET or secrets.token_urlsafe(32))


def set_webhook_secret(account: Account, secret: str) -> None:
    """Set the secret part of the webhook's path; its hash finds the account again."""
    account.webhook_secret = secret
    account.webhook_secret_hash = hash_secret(secret)


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
