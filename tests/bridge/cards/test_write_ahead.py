"""One write at a time for each card: what may still be under way is neither overtaken nor taken for a person's edit."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts.connection import client_for
from bridge.accounts.rate_limit import DatabasePace
from bridge.cards import outbox, write_ahead
from bridge.errors import KommoHeldError
from bridge.inbound import adoption
from bridge.kommo.client import KommoClient
from bridge.models import Account, Card
from tests.conftest import drain, drain_later, lead_of, record, rested


@pytest.fixture
def unheard(account, pipeline, kommo, card, impatient):
    """Ana's name left for Kommo, which is at work on it for longer than we listen."""
    kommo.fault("slow", count=1, path="/api/v4/leads", seconds=600)
    record(pipeline, name="Ana")
    drain(account)
    yield card
    # Or it would land in the next test's account.
    arrives(kommo)


def arrives(kommo):
    kommo.delete("faults")
    while not any(call["fault"] == "slow" and call["status"] for call in kommo.journal()):
        threading.Event().wait(0.05)


def read(account, card):
    now = timezone.now()
    reply = client_for(account).lead(card.kommo_lead_id)
    adoption.adopt(card.pk, reply, None, read_at=now, now=now, found_by="webhook")


def names(kommo):
    return [lead["name"] for lead in kommo.leads()]


def test_a_write_that_arrives_after_we_stopped_listening_is_no_persons_edit(account, pipeline, kommo, unheard):
    record(pipeline, name="Bia")
    drain(rested(account))

    # Bia's name would arrive first, and Ana's after it.
    waiting = lead_of().card
    assert (waiting.state, "may still arrive" in waiting.waiting_reason) == ("retrying", True)
    arrives(kommo)
    read(account, waiting)
    drain_later(account, seconds=11)

    assert (lead_of().name, names(kommo), lead_of().card.state) == ("Bia", ["Bia"], "in_sync")


def test_a_person_who_tags_the_card_meanwhile_owns_their_tag_and_no_other(account, pipeline, kommo, card, impatient):
    record(pipeline, chosen_flow="Aluguel de Lote")
    drain(account)
    kommo.fault("slow", count=1, path="/api/v4/leads", seconds=600)
    record(pipeline, chosen_flow=None)
    drain(account)
    record(pipeline, chosen_flow="Compra com Desconto")
    arrives(kommo)
    kommo.post(f"leads/{card.kommo_lead_id}/edit", {"tags_to_add": [{"name": "vip"}]})
    read(account, card)
    drain_later(account, seconds=11)

    tags = {tag["name"] for tag in kommo.lead(card.kommo_lead_id)["_embedded"]["tags"]}
    assert tags == {"vip", "fluxo_compra_com_desconto"}


def test_the_end_of_an_outage_does_not_hurry_what_may_be_overtaken(account, unheard):
    outbox.wake(account.pk, most_attempts=5, now=timezone.now())
    assert lead_of().card.due_at == lead_of().card.write_settles_at > timezone.now()


def test_a_dead_senders_write_is_waited_for(account, pipeline, kommo, card, monkeypatch):
    def die(*_, **__):
        raise SystemExit("killed")

    record(pipeline, name="Ana")
    with monkeypatch.context() as patch:
        patch.setattr(KommoClient, "update_leads", die)
        with pytest.raises(SystemExit):
            drain(account)
    write_ahead.cut_off(account.pk, now=timezone.now())

    drain(account)
    assert (lead_of().card.state, names(kommo)) == ("retrying", ["+5581999990000"])
    drain_later(account, seconds=11)
    assert (lead_of().card.state, names(kommo)) == ("in_sync", ["Ana"])


@pytest.mark.parametrize("mode", ["429", "500", "drop_before", "drop_after", "400"])
def test_nothing_waits_for_a_write_that_has_ended(account, pipeline, kommo, card, mode):
    kommo.fault(mode, count=1, path="/api/v4/leads")
    record(pipeline, name="Ana")
    drain(account)

    assert Account.objects.get().cards.get().write_settles_at is None


def test_a_call_that_was_held_back_ends_no_wait_for_an_earlier_write(account, pipeline, card, monkeypatch):
    def die(*_, **__):
        raise SystemExit("killed")

    record(pipeline, name="Ana")
    with monkeypatch.context() as patch:
        patch.setattr(KommoClient, "update_leads", die)
        with pytest.raises(SystemExit):
            drain(account)
    before = lead_of().card.write_settles_at
    assert before > timezone.now()

    record(pipeline, name="Bia")

    def refuse(*_, **__):
        raise KommoHeldError(
            "Kommo asked to wait another 5 s", operation="take a slot", retry_after=timedelta(seconds=5)
        )

    with monkeypatch.context() as patch:
        patch.setattr(DatabasePace, "acquire", refuse)
        drain(rested(account))
    card = lead_of().card
    assert (card.write_settles_at, card.tries_without_outcome) == (before, 1)
    delivery = card.deliveries.latest("id")
    # Nothing left: there is no status, no request id and no time that could be told of it.
    assert (delivery.outcome, delivery.status_code, delivery.request_id, delivery.duration_ms) == (
        "failed",
        None,
        "",
        None,
    )


def test_a_failure_is_recorded_with_its_own_call(account, pipeline, card, kommo):
    record(pipeline, name="Ana")
    kommo.fault("500", count=1, path="/api/v4/leads")
    drain(account)
    [struck] = [call for call in kommo.journal() if call["fault"] == "500"]
    delivery = card.deliveries.latest("id")
    assert (delivery.status_code, delivery.request_id) == (500, struck["request_id"])


def test_a_reading_from_before_the_next_write_was_declared_takes_no_earlier_one_for_a_persons(
    account, pipeline, kommo, card, monkeypatch
):
    """Ana's name arrived, and nobody heard; it was read just before Bia's was on its way, and is adopted after."""
    update = KommoClient.update_leads

    def die_after(client, leads, **options):
        update(client, leads, **options)
        raise SystemExit("killed")

    def die_before(client, leads, **options):
        raise SystemExit("killed")

    for name, die in (("Ana", die_after), ("Bia", die_before)):
        record(pipeline, name=name)
        with monkeypatch.context() as patch:
            patch.setattr(KommoClient, "update_leads", die)
            if name == "Bia":
                Card.objects.update(write_settles_at=timezone.now())
                read_at, reply = timezone.now(), client_for(account).lead(card.kommo_lead_id)
            with pytest.raises(SystemExit):
                drain(rested(account))
    found = adoption.adopt(card.pk, reply, None, read_at=read_at, now=timezone.now(), found_by="webhook")

    assert (found.is_outdated, found.changed, lead_of().name) == (True, {}, "Bia")
    Card.objects.update(write_settles_at=None)
    drain(rested(account))
    assert (names(kommo), lead_of().card.state) == (["Bia"], "in_sync")
