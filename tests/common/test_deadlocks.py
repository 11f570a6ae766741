"""A transaction that the database lets go of in a deadlock is tried again by whoever began it, and by nobody else."""

from __future__ import annotations

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone
from psycopg import errors

from common.deadlocks import TRIES, tried_again
from leads import announcements, erasure, optout
from leads.models import Lead
from tests.conftest import lead_of, record


def let_go(error=errors.DeadlockDetected):
    deadlock = OperationalError("deadlock detected")
    deadlock.__cause__ = error()
    return deadlock


def failing(times, error=errors.DeadlockDetected):
    tried = []

    @tried_again
    def work():
        tried.append(1)
        if len(tried) <= times:
            raise let_go(error)
        return "done"

    return work, tried


@pytest.mark.django_db(transaction=True)
def test_it_is_tried_until_somebody_gets_through():
    work, tried = failing(TRIES - 1)
    assert (work(), len(tried)) == ("done", TRIES)


@pytest.mark.django_db(transaction=True)
def test_at_last_it_is_said():
    work, tried = failing(TRIES)
    with pytest.raises(OperationalError):
        work()
    assert len(tried) == TRIES


@pytest.mark.django_db(transaction=True)
def test_another_fault_is_not_tried_again():
    work, tried = failing(1, errors.QueryCanceled)
    with pytest.raises(OperationalError):
        work()
    assert len(tried) == 1


def test_within_another_transaction_it_is_that_ones_to_try_again(db):
    work, tried = failing(1)
    with transaction.atomic(), pytest.raises(OperationalError):
        work()
    assert len(tried) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("do", ["erase", "opt out"])
def test_who_asks_to_be_forgotten_or_left_alone_is_not_told_to_ask_again(pipeline, do):
    lead, failures = record(pipeline, name="Maria").lead, [let_go()]

    def meet_somebody(**_):
        if failures:
            raise failures.pop()

    signal = announcements.personal_data_erased if do == "erase" else announcements.opted_out
    signal.connect(meet_somebody)
    try:
        now = timezone.now()
        if do == "erase":
            assert erasure.erase(lead, by=Lead.Actor.AGENT, now=now)
            assert not Lead.objects.exclude(erased_at=None).exclude(name="").exists()
        else:
            assert optout.opt_out(lead, by=Lead.Actor.AGENT, reason="asked", now=now)
            assert lead_of().opted_out_at
    finally:
        signal.disconnect(meet_somebody)
    assert failures == []
