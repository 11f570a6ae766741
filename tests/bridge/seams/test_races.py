"""What happens while a call is under way, or between planning and sending: nothing of it is lost or overwritten."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge.accounts import catalogue as catalogues
from bridge.accounts.connection import client_for
from bridge.accounts.rate_limit import DatabasePace
from bridge.cards import account_lease, outbox
from bridge.inbound import adoption
from bridge.kommo.client import KommoClient
from bridge.models import Account, Card, Delivery
from leads.models import FieldMapping, Stage
from tests.conftest import MARIA, drain, lead_of, record
from tests.saying import saying

QUALIFIED, MEETING = 89709467, 89709595


@pytest.fixture
def meanwhile(monkeypatch):
    """Let something happen once: `before` a write leaves, or `after` Kommo has applied it and before we hear of it."""

    def order(when, action):
        original = KommoClient.update_leads
        waiting = [action]

        def update_leads(self, leads, **more):
            if when == "before" and waiting:
                waiting.pop()()
            answers = original(self, leads, **more)
            if when == "after" and waiting:
                waiting.pop()()
            return answers

        monkeypatch.setattr(KommoClient, "update_leads", update_leads)

    return order


def read_back(account, card):
    """Adopt what Kommo holds now, as a webhook or a poll does."""
    now = timezone.now()
    reply = client_for(account).lead(card.kommo_lead_id)
    adoption.adopt(card.pk, reply, catalogues.stored(account), read_at=now, now=now, found_by="webhook")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_change_during_a_call_is_delivered_too_though_the_configuration_has_gaps(
    account, pipeline, kommo, card, meanwhile, when
):
    FieldMapping.objects.filter(attribute="bill_value").update(kommo_field_id=None)
    pipeline.rules_changed()
    record(pipeline, name="Maria", bill_value=500)
    meanwhile(when, lambda: record(pipeline, name="Maria Souza"))

    drain(account)

    card.refresh_from_db()
    assert kommo.lead(card.kommo_lead_id)["name"] == "Maria Souza"
    assert card.state == "blocked"
    assert "Valor Conta Energia" in card.waiting_reason


def test_a_change_while_a_card_is_found_blocked_keeps_it_due(account, pipeline, kommo, monkeypatch):
    from bridge.delivery import delivery_outcomes

    Stage.objects.filter(key="new").update(kommo_status_id=None)
    pipeline.rules_changed()
    record(pipeline)
    original, waiting = delivery_outcomes.nothing_to_send, [Stage.objects.get(key="new")]

    def bound_meanwhile(entries, *, now):
        if waiting:
            stage = waiting.pop()
            stage.kommo_status_id = 89709459
            Stage.objects.filter(pk=stage.pk).update(kommo_status_id=stage.kommo_status_id)
            pipeline.rules_changed()
            record(pipeline, name="Maria")
        original(entries, now=now)

    monkeypatch.setattr(delivery_outcomes, "nothing_to_send", bound_meanwhile)
    drain(account)

    assert lead_of().card.state == "in_sync"
    assert [lead["name"] for lead in kommo.leads()] == ["Maria"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_person_who_moves_the_card_during_our_move_wins(account, pipeline, kommo, card, meanwhile, when):
    record(pipeline, qualification_score=90, context={"conversation_stage": "qualificação"})

    def staff_move():
        kommo.post(f"leads/{card.kommo_lead_id}/move", {"status_id": MEETING})
        read_back(account, card)

    meanwhile(when, staff_move)
    drain(account)
    drain(account)

    card.refresh_from_db()
    assert kommo.lead(card.kommo_lead_id)["status_id"] == MEETING
    assert (card.state, card.observed["status_id"], card.in_doubt) == ("in_sync", MEETING, {})
    assert lead_of().stage.key == "meeting_scheduled"


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_a_card_that_staff_close_during_a_call_stays_closed(account, pipeline, kommo, card, meanwhile, outcome):
    record(pipeline, name="Maria")
    if outcome == "failed":
        kommo.fault("500", count=1, path="/api/v4/leads")
    meanwhile("before", lambda: outbox.close(Card.objects.all(), reason="closed by ada"))

    drain(account)

    card.refresh_from_db()
    assert (card.state, card.due_at, card.waiting_reason) == ("closed", None, "closed by ada")


def test_a_plan_that_was_overtaken_is_dropped_with_its_reason_and_made_afresh(
    account, pipeline, kommo, card, monkeypatch
):
    record(pipeline, name="Maria")
    original, waiting = DatabasePace.acquire, ["Maria Souza"]

    def acquire(self, lane, *, ahead=0.0):
        # The slot is waited for, and meanwhile the conversation goes on.
        if waiting:
            record(pipeline, name=waiting.pop())
        return original(self, lane, ahead=ahead)

    monkeypatch.setattr(DatabasePace, "acquire", acquire)
    before = len(kommo.writes())
    drain(account)

    assert [item["name"] for write in kommo.writes()[before:] for item in write["body"]] == ["Maria Souza"]
    dropped = card.deliveries.get(outcome=Delivery.Outcome.DROPPED)
    assert "moved on" in dropped.error
    assert saying(card.lead.events, dropped.error)


def test_whoever_lost_the_lease_while_it_waited_sends_nothing(account, pipeline, kommo, card, monkeypatch):
    record(pipeline, name="Maria")
    original = DatabasePace.acquire

    def acquire(self, lane, *, ahead=0.0):
        Account.objects.update(lease_holder="elsewhere:1:x")
        return original(self, lane, ahead=ahead)

    monkeypatch.setattr(DatabasePace, "acquire", acquire)
    before = len(kommo.writes())
    drain(account)

    assert len(kommo.writes()) == before
    assert lead_of().card.state == "due"


def test_what_becomes_due_while_the_lease_is_let_go_is_asked_for_again(account, pipeline, kommo, card, monkeypatch):
    from bridge import tasks
    from bridge.cards import nudge

    nudged: list[int] = []
    monkeypatch.setattr(nudge, "send", nudged.append)
    original = account_lease.Lease.release

    def release(self):
        # Too late for this drain, and nudged for in vain: the lease is still held.
        record(pipeline, name="Maria")
        assert not outbox.claim_nudge(account.pk, now=timezone.now())
        original(self)

    monkeypatch.setattr(account_lease.Lease, "release", release)
    tasks.deliver(account.pk)

    assert nudged == [account.pk]
    assert lead_of(MARIA).card.state == "due"
