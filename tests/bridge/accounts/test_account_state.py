"""Who may stop an account's calls, and who lets them go on: a person's pause is a person's, Kommo's ends by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge import due_work, tasks
from bridge.accounts import account_state
from bridge.accounts.connection import client_for
from bridge.configuration import taking_in_accounts
from bridge.configuration.connecting import Connection
from bridge.models import Account
from tests.conftest import drain, record

pytestmark = pytest.mark.django_db

PERSON = Account.PausedBy.PERSON
MINUTE = timedelta(minutes=1)


def refuse(account, reason="the token was refused"):
    account_state.pause(account, reason=reason, now=timezone.now())
    account.refresh_from_db()


def knock_now(account):
    """Let the wait be over, and the worker's clock look."""
    Account.objects.filter(pk=account.pk).update(paused_until=timezone.now())
    for task, arguments in due_work._waits(timezone.now()):
        assert task == "bridge.tasks.knock"
        tasks.knock(*arguments)
    account.refresh_from_db()


@pytest.mark.parametrize("mode", ["401", "402", "403", "403_html", "404"])
def test_a_door_that_kommo_closed_opens_by_itself_and_everything_arrives(account, pipeline, kommo, mode):
    record(pipeline)
    kommo.fault(mode, path="/api/v4")
    drain(account)
    account.refresh_from_db()
    assert account.state == Account.State.PAUSED

    knock_now(account)
    knock_now(account)
    assert account.state == Account.State.PAUSED
    kommo.delete("faults")
    knock_now(account)

    assert (account.state, account.paused_by, account.state_reason) == (Account.State.ACTIVE, "", "")
    drain(account)
    assert len(kommo.leads()) == 1


def test_the_waits_grow_from_one_minute_to_fifteen_and_only_a_read_is_sent(account, pipeline, kommo):
    record(pipeline)
    kommo.fault("402", path="/api/v4")
    drain(account)
    before = len(kommo.journal())
    waits = []
    for _ in range(7):
        account.refresh_from_db()
        Account.objects.filter(pk=account.pk).update(paused_until=timezone.now() - MINUTE)
        now = timezone.now()
        account_state.knock(account, client_for(account), now=now)
        account.refresh_from_db()
        waits.append((account.paused_until - now) / MINUTE)

    assert waits == [2, 4, 8, 15, 15, 15, 15]
    asked = kommo.journal()[before:]
    assert {(call["method"], call["path"]) for call in asked} == {("GET", "/api/v4/account")}


def test_a_door_that_opens_for_a_read_alone_is_tried_ever_more_seldom(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    record(pipeline, name="Maria")
    kommo.fault("403", path="/api/v4/leads", method="PATCH", count=2)
    waits = []
    for _ in range(2):
        drain(account)
        account.refresh_from_db()
        waits.append((account.paused_until - account.paused_at) / MINUTE)
        knock_now(account)
        assert account.state == Account.State.ACTIVE
    assert waits == [1, 2]

    drain(account)
    account.refresh_from_db()
    assert ([lead["name"] for lead in kommo.leads()], account.refusals) == (["Maria"], 0)


def test_nobody_knocks_before_the_wait_is_over(account, kommo):
    refuse(account)
    assert list(due_work._waits(timezone.now())) == []


def test_a_pause_by_a_person_ends_by_a_person_alone(account, kommo):
    now = timezone.now()
    account_state.pause(account, reason="paused by Ana", now=now, by=PERSON)

    knock_now(account)
    account_state.reopen(account, now=now)
    Connection(account, client_for(account), create_missing=False, now=now).connect(None)
    account.refresh_from_db()
    taking_in_accounts.with_token(account, base_url=account.base_url, token=account.access_token, now=now)

    account.refresh_from_db()
    assert (account.state, account.paused_by) == (Account.State.PAUSED, PERSON)
    assert account_state.resume(account, now=now)
    account.refresh_from_db()
    assert account.state == Account.State.ACTIVE


def test_a_person_who_pauses_a_refused_account_keeps_it_paused(account, kommo):
    refuse(account)
    assert account_state.pause(account, reason="paused by Ana", now=timezone.now(), by=PERSON)
    refuse(account, "the token was refused again")

    knock_now(account)

    assert (account.state, account.paused_by, account.state_reason) == (
        Account.State.PAUSED,
        PERSON,
        "paused by Ana",
    )


def test_connecting_anew_with_success_resumes_at_once(account, kommo):
    refuse(account)
    report = Connection(account, client_for(account), create_missing=False, now=timezone.now()).connect(None)
    account.refresh_from_db()
    assert account.state == Account.State.ACTIVE
    assert "Kommo takes us again: deliveries go on" in report.done


def test_a_shadow_that_was_refused_is_a_shadow_again(account, kommo):
    account_state.enter_shadow(account, now=timezone.now())
    refuse(account)
    knock_now(account)
    assert account.state == Account.State.SHADOW
