"""An address that staff enter is Kommo's, or nobody's: the token goes there, and our own network is not asked."""

from __future__ import annotations

import pytest

from bridge.admin.accounts import AccountForm
from bridge.admin.setup.forms import ConsentForm, TokenForm
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


@pytest.mark.parametrize("address", NOT_THEIRS)
@pytest.mark.parametrize("kind", [TokenForm, ConsentForm])
def test_the_setup_pages_have_the_same_rule(db, settings, kind, address):
    settings.KOMMO_BASE_URL = "https://acme.kommo.com"
    more = {"account": Account()} if kind is ConsentForm else {}

    assert "base_url" in kind({"base_url": address}, **more).errors


@pytest.mark.parametrize("address", ["http://127.0.0.1:8010", "http://localhost:8010", "http://[::1]:8010"])
def test_the_sandbox_that_the_settings_name_is_taken_and_no_other_port_of_this_machine(db, settings, address):
    settings.KOMMO_BASE_URL = "http://127.0.0.1:8010"

    assert form(address).is_valid()
    assert not form(address.replace("8010", "8011")).is_valid()
    assert not form(address.replace(":8010", "")).is_valid()
