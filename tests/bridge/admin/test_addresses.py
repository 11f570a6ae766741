"""An address that staff enter is Kommo's, or nobody's: the token goes there, and our own network is not asked."""

from __future__ import annotations

from contextlib import suppress
from unittest.mock import patch

import pytest
from django.conf import settings as here
from hypothesis import HealthCheck, given
from hypothesis import settings as chosen
from hypothesis import strategies as st

from bridge.admin.accounts import AccountForm
from bridge.admin.setup.forms import ConsentForm, TokenForm
from bridge.configuration.account_addresses import given_by_staff
from bridge.errors import ConfigurationError
from bridge.kommo.hosts import address_of
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


LOOPBACKS = [
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.0.0.1",
    "017700000001", "0177.0.0.1", "0177.1", "localhost", "LocalHost", "localhost.", "127.0.0.1.", "sub.localhost",
    "localhost.localdomain", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::127.0.0.1]", "[::1%25lo]", "１２７.０.０.１", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "%31%32%37.0.0.1", "ip6-localhost",
    "127.0.0.1.nip.io", "169.254.169.254", "[fe80::1]", "[fd00::1]", "10.0.0.5", "192.168.0.1",
]  # fmt: skip
SPELLED = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["http://", "https://", "HTTP://", "https:", "//", "", "http:\\\\", "https:/\\", "ftp://"]),
    st.sampled_from(["", "user@", "acme.kommo.com@", "acme.kommo.com:443@", "acme.kommo.com%40", "acme.kommo.com\\@"]),
    st.sampled_from(LOOPBACKS),
    st.sampled_from(["", ":80", ":6379", ":08010", ":8011", ":", ":٨٠١١"]),
    st.sampled_from(["", "/", "/.kommo.com", "?x=acme.kommo.com", "#.kommo.com", "\t", "\n", "/../", "\\.kommo.com"]),
)  # fmt: skip


@chosen(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(address=SPELLED, named=st.sampled_from(["https://acme.kommo.com", "http://127.0.0.1:8010"]))
def test_no_spelling_of_this_machine_or_its_network_is_reached_through_any_form(db, address, named):
    only = {"base_url": address}
    with patch.object(here, "KOMMO_BASE_URL", named):
        taken = [
            each_form.cleaned_data["base_url"]
            for each_form in (
                form(address),
                TokenForm(only),
                ConsentForm(only, account=Account()),
            )
            if each_form.is_valid() or "base_url" in getattr(each_form, "cleaned_data", {})
        ]
        with suppress(ConfigurationError):
            taken.append(given_by_staff(address))
        with suppress(ConfigurationError):
            # What a token, or the way back from consent, says of an account at Kommo.
            taken.append(address_of(address, known="https://acme.kommo.com"))
    # A sandbox that the settings name is reached at its port, whatever this machine is called.
    sandbox = {
        f"{scheme}://{host}:8010" for scheme in ("http", "https") for host in ("127.0.0.1", "localhost", "[::1]")
    }

    assert set(taken) <= {"https://acme.kommo.com"} | (sandbox if named in sandbox else set())
