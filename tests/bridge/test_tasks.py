"""Tasks that stop in the middle of their work ask for another turn at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from bridge import account_threads, tasks
from bridge.models import Account, Catalogue
from bridge.webhooks import reading_webhooks
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


@pytest.mark.django_db
@pytest.mark.parametrize("is_free", [True, False])
def test_what_is_about_an_account_is_done_by_the_crew_where_somebody_is_free(monkeypatch, is_free):
    jobs, done = [], []
    monkeypatch.setattr(account_threads, "take", lambda job: is_free and not jobs.append(job))
    monkeypatch.setattr(reading_webhooks, "process_inbox", done.append)
    tasks.read_inbox(7)
    assert (len(jobs), done) == ((1, []) if is_free else (0, [7]))
    for job in jobs:
        job()
    assert done == [7]


@pytest.mark.django_db
@pytest.mark.parametrize(("is_aside", "seconds"), [(True, 120), (False, 20)])
def test_beside_the_queue_a_drain_takes_the_time_it_needs(account, monkeypatch, is_aside, seconds):
    given = []
    monkeypatch.setattr(account_threads, "is_aside", lambda: is_aside)
    monkeypatch.setattr(tasks.Drain, "run", lambda self, until: given.append(until - timezone.now()))
    tasks.deliver(account.pk)
    [longest] = given
    assert longest.total_seconds() == pytest.approx(seconds, abs=5)
