"""Whoever takes several cards takes them in one order, so that nobody waits for somebody who waits for them."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bridge.cards import ledger, outbox
from bridge.models import Account, Card
from leads.models import Lead, Pipeline
from leads.phone import parse
from tests.leads.test_interactions import wait_for_locks

PEOPLE = 6
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cards(transactional_db):
    """Cards whose order is the opposite of their leads': what is locked by lead is locked the wrong way round."""
    if connection.vendor == "sqlite":
        pytest.skip("one connection in memory: threads cannot race on it")
    pipeline = Pipeline.objects.get(slug="solar")
    account = Account.objects.create(name="model", base_url="https://model.kommo.com")
    phones = [parse(f"+558195555000{number}", region="BR") for number in range(PEOPLE)]
    times = dict.fromkeys(("created_at", "updated_at", "stage_set_at"), timezone.now())
    leads = Lead.objects.bulk_create(
        Lead(pipeline=pipeline, phone=phone.e164, phone_key=phone.key, **times) for phone in phones
    )
    by_lead = sorted(leads, key=lambda lead: lead.pk, reverse=True)
    return [Card.objects.create(lead=lead, account=account, state=Card.State.IN_SYNC) for lead in by_lead]


def in_a_thread(work, errors):
    def run():
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def marking(cards):
    with transaction.atomic():
        outbox.MARK_DUE.run(lead_ids=[card.lead_id for card in reversed(cards)], now=timezone.now(), asked_by="")


def settling(cards):
    with transaction.atomic():
        ledger.locked([SimpleNamespace(card=card) for card in reversed(cards)])


@pytest.mark.parametrize("taken", range(PEOPLE))
def test_marking_cards_due_waits_for_no_card_beyond_one_that_it_has_to_wait_for(cards, taken):
    """Whoever waits holds what comes before, and nothing of what comes after: a circle cannot close."""
    for work in (marking, settling):
        errors: list[BaseException] = []
        with transaction.atomic():
            Card.objects.select_for_update().get(pk=cards[taken].pk)
            thread = in_a_thread(lambda work=work: work(cards), errors)
            wait_for_locks(1)
            free = Card.objects.select_for_update(skip_locked=True).filter(pk__in=[card.pk for card in cards])
            # Our own lock on the one that is held counts as free to us.
            assert sorted(free.values_list("pk", flat=True)) == sorted(card.pk for card in cards[taken:])
        thread.join()
        assert errors == []


def test_marking_and_settling_the_same_cards_again_and_again_never_lock_each_other_out(cards):
    errors: list[BaseException] = []

    def again(work):
        for _ in range(60):
            work(cards)

    for thread in [in_a_thread(lambda work=work: again(work), errors) for work in (marking, settling) * 2]:
        thread.join()
    assert errors == []
    assert set(Card.objects.values_list("state", flat=True)) == {"due"}
