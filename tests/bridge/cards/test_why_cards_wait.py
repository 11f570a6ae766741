"""Everything that waits says why and until when."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts import account_state
from bridge.cards import account_lease
from bridge.cards.why_cards_wait import Wait, wait_of
from bridge.models import Account, Card
from leads.models import Stage
from tests.conftest import drain, lead_of, record


@pytest.fixture
def card(account, pipeline, kommo):
    record(pipeline)
    return lead_of().card


def waits(**later):
    return wait_of(Card.objects.select_related("account").get(), now=timezone.now() + timedelta(**later))


def test_a_card_in_agreement_waits_for_nothing(card, account):
    drain(account)
    assert waits() is None


def test_a_due_card_waits_for_its_turn(card):
    assert waits() == Wait("its turn in the next call", None)


def test_a_paused_accounts_cards_say_why_and_until_when(card, account):
    until = timezone.now() + timedelta(minutes=15)
    account_state.pause(account, reason="the token was refused", now=timezone.now(), until=until)
    assert waits() == Wait("deliveries are paused: the token was refused", until)


def test_a_card_that_failed_says_how_and_when_it_is_tried_again(card, account, kommo):
    kommo.fault("500", count=1, path="/api/v4/leads")
    drain(account)
    card.refresh_from_db()
    assert waits() == Wait(card.last_error, card.due_at)
    assert "500" in card.last_error


def test_a_card_behind_a_resting_account_waits_as_long_as_that(card, account):
    until = timezone.now() + timedelta(seconds=20)
    Account.objects.update(retry_at=until)
    assert waits() == Wait("the account waits after a call that failed", until)
    assert waits(minutes=1) == Wait("its turn in the next call", None)


def test_a_blocked_card_waits_for_a_person(account, pipeline, kommo):
    Stage.objects.filter(key="new").update(kommo_status_id=None)
    pipeline.rules_changed()
    record(pipeline)
    drain(account)
    assert waits().until is None
    assert "run kommo_connect" in waits().reason


def test_accounts_are_drained_side_by_side(card, account):
    other = Account.objects.create(name="other", base_url="https://other.kommo.com")
    now = timezone.now()
    assert account_lease.lease(account.pk, now=now)
    assert account_lease.lease(other.pk, now=now)
    assert account_lease.lease(account.pk, now=now) is None
