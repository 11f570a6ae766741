"""Which address staff may name for an account: one of Kommo's, or the sandbox that the settings name.

What else listens on this machine is not staff's to reach: the bridge would send it a token and show what it answers.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from bridge.errors import ConfigurationError
from bridge.kommo.hosts import check_base_url, is_loopback


def given_by_staff(url: str) -> str:
    """Return the account's address without a path. Raises ConfigurationError for a host that staff may not name."""
    base_url = check_base_url(url)
    if is_loopback(base_url) and not _is_our_sandbox(base_url):
        raise ConfigurationError("This machine is reached only where KOMMO_BASE_URL names it too.")
    return base_url


def _is_our_sandbox(base_url: str) -> bool:
    named = str(settings.KOMMO_BASE_URL)
    return is_loopback(named) and urlsplit(named).port == urlsplit(base_url).port
