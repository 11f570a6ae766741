"""What is due is found by the index of what is due: it costs what a batch costs, however much waits or is at rest."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from bridge.cards import gathering, outbox
from bridge.models import Card
from tests.conftest import record

STATEMENTS = {
    "a batch": (outbox._due_cards(50, are_some_under_way=False), {"account_id"}),
    "a batch beside others": (outbox._due_cards(50, are_some_under_way=True), {"account_id", "but"}),
    "whether more is coming": (gathering._due_times(50, are_some_under_way=False), {"account_id"}),
    "whether anything is due": (outbox.HAS_DUE, {"account_id"}),
    "accounts with work": (outbox.WITH_WORK, {"named_by"}),
}


def plan_of(statement, values) -> list[str]:
    compiled = statement._prepared("default", values)
    explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        cursor.execute(explain + compiled.sql, statement._parameters(compiled, connection, values))
        return [str(row[-1]) for row in cursor.fetchall()]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL chooses by what its tables hold")
@pytest.mark.parametrize("what", STATEMENTS)
def test_what_is_due_is_found_by_its_index_and_sorted_by_it(account, what):
    statement, names = STATEMENTS[what]
    values = {"account_id": account.pk, "now": timezone.now(), "named_by": timezone.now(), "but": [1, 2, 3]}
    plan = plan_of(statement, {name: value for name, value in values.items() if name in names | {"now"}})

    assert any(re.search(r"INDEX outbox\b", line) for line in plan)
    assert not any("TEMP B-TREE FOR ORDER BY" in line for line in plan)
    # Nothing but accounts, which are few, is read from end to end, nor all cards of one.
    assert not [line for line in plan if line.startswith("SCAN") and "bridge_account" not in line]
    assert not any("autoindex_bridge_card_2" in line for line in plan)


def test_accounts_with_work_are_those_with_anything_that_is_due(account, pipeline):
    assert outbox.accounts_with_work(now=timezone.now()) == []
    record(pipeline)
    card = Card.objects.get()
    assert outbox.has_due(account.pk, now=timezone.now())
    assert outbox.accounts_with_work(now=timezone.now()) == [account.pk]

    Card.objects.update(state="in_sync", due_at=None, kommo_lead_id=7)
    assert not outbox.has_due(account.pk, now=timezone.now())
    assert outbox.accounts_with_work(now=timezone.now()) == []

    card.briefings.create(since=timezone.now(), due_at=timezone.now())
    assert outbox.accounts_with_work(now=timezone.now()) == [account.pk]


@pytest.mark.parametrize(("seconds", "is_work"), [(1, False), (3, True)])
def test_a_contacts_name_is_no_work_before_it_is_sent(account, pipeline, seconds, is_work):
    record(pipeline)
    since = timezone.now() - timedelta(seconds=seconds)
    Card.objects.update(state="in_sync", due_at=None, kommo_lead_id=7, contact_due_at=since)
    assert bool(outbox.accounts_with_work(now=timezone.now())) is is_work
