"""An address that staff enter is Kommo's, or nobody's: the token goes there, and our own network is not asked."""

from __future__ import annotations

import pytest

from bridge.admin.accounts import AccountForm
from bridge.models import Account

THEIRS = ["https://acme.kommo.com", "https://acme.amocrm.ru"]
NOT_THEIRS = [
    "http://acme.kommo.com",
    "https://kommo.com.evil.example",
    "https://acme.kommo.com@evil.example",
    "https://acme.kommo.com:8443",
    "http://169.254.169.254",
    "https://10.0.0.5",
    "https://[fd00::1]",
    "https://metadata.google.internal",
    "http://127.0.0.1:6379",
    "http://localhost:8000",
    "http://[::1]:5432",
    "https://0.0.0.0",
    "https://2130706433",
    "file:///etc/passwd",
    "gopher://127.0.0.1",
]


def form(address: str) -> AccountForm:
    filled = {"name": "acme", "base_url": address, "requests_per_second": 7, "batch_size": 50}
    return AccountForm(filled, instance=Account())


@pytest.mark.parametrize("address", THEIRS)
def test_kommos_own_hosts_are_taken(db, address):
    assert form(address).is_valid()


@pytest.mark.parametrize("address", NOT_THEIRS)
def test_every_other_host_is_refused(db, settings, address):
    settings.KOMMO_BASE_URL = "https://acme.kommo.com"

    assert "base_url" in form(address).errors


def test_a_sandbox_on_this_machine_is_taken_where_the_settings_name_one(db, settings):
    settings.KOMMO_BASE_URL = "http://127.0.0.1:8010"

    assert form("http://127.0.0.1:8011").is_valid()
