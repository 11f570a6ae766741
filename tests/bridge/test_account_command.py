"""`manage.py account`: how the account stands, and its switches."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bridge.accounts import account_state
from bridge.models import Account
from tests.conftest import drain, record

pytestmark = pytest.mark.django_db


@pytest.fixture
def account_command(capsys):
    def run(*arguments: str) -> str:
        call_command("account", *arguments)
        return capsys.readouterr().out

    return run


def test_without_a_word_it_shows_how_the_account_stands(account, account_command):
    shown = account_command()
    assert account.base_url in shown
    assert "state: active" in shown
    assert "waiting: 0 cards" in shown


def test_a_pause_by_hand_says_why_and_who_ends_it_and_stops_all_calls(account, pipeline, kommo, account_command):
    shown = account_command("pause", "--reason", "price list is being changed")
    assert "paused by a person" in shown
    assert "why: paused by hand: price list is being changed" in shown
    assert "until: a person resumes it" in shown

    record(pipeline)
    with pytest.raises(AssertionError, match="lease"):
        drain(account)
    assert "waiting: 1 cards" in account_command("show")

    assert "state: active" in account_command("resume")
    drain(account)
    assert len(kommo.leads()) == 1


def test_a_refusal_of_kommo_says_when_it_is_asked_again(account, account_command):
    account_state.pause(account, reason="the token was refused", now=timezone.now())
    shown = account_command()
    assert "paused because Kommo refused us" in shown
    assert "until: Kommo answers; it is asked again at" in shown


def test_into_shadow_and_out_again(account, pipeline, kommo, account_command):
    assert "nothing is written to Kommo and nothing is said to leads" in account_command(
        "shadow", "--reason", "side by side"
    )
    record(pipeline)
    drain(account)
    assert kommo.leads() == []
    assert "only shown (shadow)" in account_command("show")

    assert "state: active" in account_command("active")
    drain(account)
    assert len(kommo.leads()) == 1


def test_a_paused_account_goes_on_as_it_was_told_meanwhile(account, account_command):
    account_command("pause")
    account_command("shadow")
    assert "state: shadow" in account_command("resume")
    account_command("pause")
    account_command("active")
    assert "state: active" in account_command("resume")


def test_twice_is_once(account, account_command):
    account_command("pause")
    assert "Nothing to do" in account_command("pause")
    account_command("resume")
    assert "Nothing to do" in account_command("resume")
    assert "Nothing to do" in account_command("active")


def test_several_accounts_are_all_shown_and_one_is_named_to_be_switched(account, account_command):
    other = Account.objects.create(name="other", base_url="https://other.kommo.com")
    assert "other.kommo.com" in account_command()
    with pytest.raises(CommandError, match="name one by --account"):
        account_command("pause")
    assert "paused" in account_command("pause", "--account", str(other.pk))


def test_without_an_account_it_says_what_to_do(db):
    with pytest.raises(CommandError, match="kommo_connect"):
        call_command("account")
