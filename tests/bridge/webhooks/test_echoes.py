"""The whole body of an account's webhook is known for an echo without asking Kommo."""

from __future__ import annotations

import threading
import time

import pytest
from django.utils import timezone

from benchmarks import bodies
from bridge.cards import write_ahead
from bridge.delivery import delivery_outcomes
from bridge.kommo.client import KommoClient
from bridge.models import WebhookEvent, WebhookItem
from bridge.webhooks import reading_webhooks
from bridge.webhooks.echoes import says_nothing_new
from bridge.webhooks.parsing import parse
from leads.models import Lead
from tests.conftest import drain, lead_of, record
from tests.heard import HANDOFF, carded, hear, hook


def test_a_whole_body_that_says_what_the_card_holds_costs_no_call(account, pipeline, kommo):
    kommo_id = carded(account, pipeline, name="João & Maria", bill_value=500, chosen_flow="Aluguel de Lote")
    observed = lead_of().card.observed
    body = bodies.lead_updated(account.kommo_account_id, kommo_id, observed, at=int(time.time()), price=0)
    [item] = parse(body).items
    assert says_nothing_new(observed, item.data)
    calls = len(kommo.journal())
    hear(account, body.decode())
    assert len(kommo.journal()) == calls
    assert WebhookItem.objects.latest("id").result == WebhookItem.Result.ECHO


def test_what_we_created_is_known_by_its_webhook_which_tells_who_is_responsible(account, pipeline, kommo):
    for number in range(40):
        record(pipeline, f"+5581955{number:06d}", name=f"Ana {number}")
    drain(account)
    before = len(reads(kommo))
    hooks = [_hook_of(account, card, responsible_user_id=77).replace("update", "add") for card in account.cards.all()]
    hear(account, *hooks)
    assert len(reads(kommo)) == before
    assert {card.observed["responsible_user_id"] for card in account.cards.all()} == {77}
    assert set(account.cards.values_list("lead__kommo_responsible_id", flat=True)) == {77}
    # By now it is known: somebody else is news.
    card = account.cards.first()
    hear(account, _hook_of(account, card, responsible_user_id=78))
    assert len(reads(kommo)) == before + 1


def test_the_webhook_of_a_create_whose_answer_is_still_to_come_waits_for_it(account, pipeline, kommo, monkeypatch):
    record(pipeline, name="Ana")
    drain(account)
    card = account.cards.get()
    body = _hook_of(account, card, responsible_user_id=77).replace("update", "add")
    kommo_id, waits = card.kommo_lead_id, []
    account.cards.update(kommo_lead_id=None, write_settles_at=timezone.now() + write_ahead.LONGEST_WRITE)

    def answer_comes(seconds):
        waits.append(seconds)
        account.cards.update(kommo_lead_id=kommo_id, write_settles_at=None)

    monkeypatch.setattr(reading_webhooks.time, "sleep", answer_comes)
    before = len(reads(kommo))
    hear(account, body)
    assert (len(waits), len(reads(kommo)) - before) == (1, 0)
    assert WebhookItem.objects.latest("id").result == WebhookItem.Result.ECHO


@pytest.fixture
def under_way(account, pipeline, kommo, monkeypatch):
    """Cards whose new name is on its way to Kommo, which tells of it before it answers."""
    phones = [f"+5581955{number:06d}" for number in range(30)]
    for phone in phones:
        record(pipeline, phone)
    drain(account)
    hear(account, *(_hook_of(account, card) for card in account.cards.all()))
    for phone in phones:
        record(pipeline, phone, name=f"Ana {phone[-2:]}")
    original = KommoClient.update_leads
    heard: list[threading.Thread] = []

    def update_leads(client, leads, **more):
        answer = original(client, leads, **more)
        bodies = [_hook_of(account, account.cards.get(kommo_lead_id=lead["id"]), name=lead["name"]) for lead in leads]
        for body in bodies:
            WebhookEvent.objects.create(account=account, received_at=timezone.now(), body=body.encode())
        return answer

    monkeypatch.setattr(KommoClient, "update_leads", update_leads)
    return heard


def _hook_of(account, card, **changed):
    observed = {**card.observed, **changed}
    return bodies.lead_updated(
        account.kommo_account_id, card.kommo_lead_id, observed, at=int(time.time()), price=0
    ).decode()


def reads(kommo):
    return [call for call in kommo.answered() if call["method"] == "GET" and call["path"] == "/api/v4/leads"]


def test_a_webhook_about_a_write_that_is_under_way_waits_for_its_answer_and_costs_no_reading(
    account, under_way, kommo, monkeypatch
):
    """The inbox looks while the write has not been settled: there is nobody else here to settle it but its wait."""
    waits = []

    def answer_comes(seconds):
        waits.append(seconds)
        # What was sent is known to be there now, as it is when the drain has its answer.
        for card in account.cards.all():
            card.observed, card.in_doubt = {**card.observed, **card.in_doubt}, {}
            card.write_settles_at = None
            card.save()

    before = len(reads(kommo))
    with monkeypatch.context() as patch:
        patch.setattr(delivery_outcomes, "updated", lambda *_, **__: [])
        drain(account)
    assert account.cards.filter(write_settles_at__gt=timezone.now()).count() == 30
    monkeypatch.setattr(reading_webhooks.time, "sleep", answer_comes)
    reading_webhooks.process_inbox(account.pk)
    assert (len(reads(kommo)) - before, len(waits)) == (0, 1)
    assert set(WebhookItem.objects.filter(data__name__startswith="Ana").values_list("result", flat=True)) == {"echo"}


def test_it_waits_for_no_answer_that_was_lost_and_what_was_deleted_waits_for_none(
    account, under_way, kommo, monkeypatch
):
    card = account.cards.first()
    other = account.cards.last()
    soon = timezone.now() + write_ahead.LINGERS_FOR
    account.cards.update(write_settles_at=soon, in_doubt={"name": "Ana"})
    before = len(reads(kommo))
    hear(account, hook(card.kommo_lead_id, "update"))
    assert len(reads(kommo)) == before + 1
    account.cards.update(write_settles_at=timezone.now() + write_ahead.LONGEST_WRITE, in_doubt={"name": "Ana"})
    kommo.post(f"leads/{other.kommo_lead_id}/delete")
    hear(account, hook(other.kommo_lead_id, "delete"))
    other.refresh_from_db()
    assert other.state == "gone"


def test_while_one_waits_the_others_are_heard_at_once(account, under_way, kommo, monkeypatch):
    first, second = account.cards.order_by("pk")[:2]
    account.cards.filter(pk=first.pk).update(
        write_settles_at=timezone.now() + write_ahead.LONGEST_WRITE, in_doubt={"name": "Ana"}
    )
    kommo.post(f"leads/{second.kommo_lead_id}/move", {"status_id": HANDOFF})
    seen = []

    def look(seconds):
        seen.append(Lead.objects.get(pk=second.lead_id).in_handoff)
        account.cards.filter(pk=first.pk).update(write_settles_at=None)

    monkeypatch.setattr(reading_webhooks.time, "sleep", look)
    hear(account, hook(first.kommo_lead_id, "update"), hook(second.kommo_lead_id, "status"))
    assert seen and seen[-1]
