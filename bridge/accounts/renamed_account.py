"""Where is an account whose owner renamed it? Followed when Kommo refuses us, once the same account answers there."""

from __future__ import annotations

from bridge.accounts.connection import AccountToken, count_call
from bridge.accounts.rate_limit import DatabasePace
from bridge.errors import ConfigurationError, KommoError
from bridge.kommo import oauth_tokens
from bridge.kommo.client import KommoClient
from bridge.models import Account


def follow_renaming(account: Account) -> Account:
    """Return the account at its new address, when its owner renamed it; the old one answers 404 or 401 by then.

    Asked when Kommo has refused us. The new address counts only when the same account answers there.
    """
    try:
        found = oauth_tokens.new_base_url(account.base_url, account.access_token, account.refresh_token)
        if found == account.base_url:
            return account
        reply = KommoClient(found, AccountToken(account), DatabasePace(account), on_call=count_call).account()
    except (KommoError, ConfigurationError):
        return account
    if account.kommo_account_id in (None, reply.id):
        account.base_url = found
        account.save(update_fields=["base_url"])
    return account
