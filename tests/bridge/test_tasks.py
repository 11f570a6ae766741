"""Tasks that stop in the middle of their work ask for another turn at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from bridge import tasks
from bridge.models import Account, Catalogue
from followups import dispatch
from tests.conftest import due_calls


@pytest.mark.django_db
@pytest.mark.parametrize("more", [True, False])
def test_sending_goes_on_at_once_when_time_was_up(monkeypatch, more):
    monkeypatch.setattr(dispatch, "fire", lambda **_: more)
    tasks.send_followups()
    assert [message.func() for message in OrmQ.objects.all()] == ["bridge.tasks.send_followups"] * more


@pytest.mark.django_db
@pytest.mark.parametrize("task", [tasks.send_followups, tasks.tell_agent])
def test_with_nothing_due_nothing_is_asked_for(task):
    task()
    assert not OrmQ.objects.exists()


@pytest.mark.django_db
def test_telling_the_agent_goes_on_at_once_when_time_was_up(monkeypatch):
    monkeypatch.setattr(tasks, "LONGEST_SENDING", timedelta(0))
    tasks.tell_agent()
    assert [message.func() for message in OrmQ.objects.all()] == ["bridge.tasks.tell_agent"]


def idle_accounts(count):
    now = timezone.now()
    seen = dict.fromkeys(("polled_at", "compared_at", "takeovers_looked_at", "webhook_checked_at", "connected_at"), now)
    for number in range(count):
        account = Account.objects.create(
            name=f"account {number}",
            base_url=f"https://account-{number}.kommo.com",
            webhook_secret_hash=f"{number:064}",
            **seen,
        )
        Catalogue.objects.create(account=account, fetched_at=now)


@pytest.mark.django_db
def test_accounts_that_have_nothing_to_do_cost_the_clock_no_statement_each():
    due_calls()
    idle_accounts(1)
    with CaptureQueriesContext(connection) as with_one:
        assert due_calls() == []
    Account.objects.all().delete()
    idle_accounts(200)
    with CaptureQueriesContext(connection) as with_many:
        assert due_calls() == []

    assert len(with_many) == len(with_one)
