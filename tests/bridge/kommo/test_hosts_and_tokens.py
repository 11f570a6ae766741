from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigurationError
from bridge.kommo import oauth_tokens, token_expiry
from bridge.kommo.hosts import address_of, check_base_url


@pytest.mark.parametrize(
    "url", ["https://acme.kommo.com", "https://acme.amocrm.ru/", "http://127.0.0.1:8010", "http://localhost:8010/x"]
)
def test_kommo_and_a_local_sandbox_are_accepted(url):
    assert check_base_url(url) in url


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.kommo.com", "https://www.kommo.com", "https://acme.kommo.com.evil.example", "https://kommo.com",
        "https://evil.example", "ftp://acme.kommo.com",
        "https://user@acme.kommo.com", "https://acme.kommo.com:8443",
        "", "http://10.0.0.1", "http://[::1",
    ],
)  # fmt: skip
def test_no_other_host_gets_a_token(url):
    with pytest.raises(ConfigurationError):
        check_base_url(url)


def token(**claims):
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.sig"


def test_a_tokens_expiry_is_read_from_itself():
    assert token_expiry.expiry(token(exp=1767225600)) == datetime(2026, 1, 1, tzinfo=UTC)
    assert token_expiry.expiry("opaque") is None


@given(st.text(max_size=40))
def test_any_text_is_a_token_without_claims(text):
    assert isinstance(token_expiry.claims(text), dict)
    token_expiry.expiry(text)


@pytest.mark.parametrize(("days", "threshold"), [(40, None), (29, 30), (6, 7), (0.5, 1), (-3, 1)])
def test_warned_of_at_thirty_seven_and_one_days(days, threshold):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    warning = token_expiry.warning(now + timedelta(days=days), now=now)
    assert warning == (timedelta(days=threshold) if threshold else None)


def test_the_referer_of_a_redirect_must_be_kommo():
    known = "https://old.kommo.com"
    assert address_of("acme.kommo.com", known=known) == "https://acme.kommo.com"
    for stranger in ("acme.kommo.com.evil.example", "127.0.0.1:8010", "evil.example/acme.kommo.com", ""):
        with pytest.raises(ConfigurationError):
            address_of(stranger, known=known)


def test_a_sandbox_may_name_another_port_of_this_machine():
    assert address_of("127.0.0.1:8011", known="http://127.0.0.1:8010") == "http://127.0.0.1:8011"


def test_uninstall_signature():
    import hashlib
    import hmac

    good = hmac.new(b"secret", b"uuid|42", hashlib.sha256).hexdigest()
    assert oauth_tokens.uninstall_signature_is_valid("uuid", "42", good, secret="secret")
    assert not oauth_tokens.uninstall_signature_is_valid("uuid", "43", good, secret="secret")


def test_a_token_pair_shows_no_secret():
    assert "topsecret" not in repr(oauth_tokens.TokenPair("topsecret-a", "topsecret-r", datetime.now(UTC)))
