"""The settings fill the first account until Kommo has answered once; from then on the account holds."""

from __future__ import annotations

import pytest

from bridge.configuration.account_from_environment import differs_from_settings, ensure_account
from bridge.models import Account


@pytest.fixture
def named(db, settings):
    """Let `.env` say this."""

    def say(**variables: str) -> None:
        for name, value in variables.items():
            setattr(settings, name, value)

    say(KOMMO_BASE_URL="https://acme.kommo.com", KOMMO_LONG_LIVED_TOKEN="mistyped")
    return say


def test_what_is_corrected_after_a_first_try_that_failed_is_read_again(named):
    ensure_account()
    secret = Account.objects.get().webhook_secret
    named(KOMMO_BASE_URL="https://acme-solar.kommo.com/", KOMMO_LONG_LIVED_TOKEN="right", KOMMO_REQUESTS_PER_SECOND=5)

    ensure_account()

    account = Account.objects.get()
    assert (account.base_url, account.access_token) == ("https://acme-solar.kommo.com", "right")
    assert (account.name, account.requests_per_second) == ("acme-solar.kommo.com", 5)
    assert account.webhook_secret == secret


def test_a_line_that_is_emptied_takes_nothing_away(named):
    ensure_account()
    named(KOMMO_LONG_LIVED_TOKEN="")

    ensure_account()

    assert Account.objects.get().access_token == "mistyped"


def test_once_kommo_has_answered_the_account_holds_and_the_difference_can_be_told(named):
    ensure_account()
    Account.objects.update(kommo_account_id=30000001)
    assert differs_from_settings(Account.objects.get()) == []
    named(KOMMO_LONG_LIVED_TOKEN="another")

    account = ensure_account()

    assert account is not None
    assert account.access_token == "mistyped"
    assert differs_from_settings(account) == ["KOMMO_LONG_LIVED_TOKEN"]
