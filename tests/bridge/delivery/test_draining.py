"""From a recorded interaction to the sandbox's card, over real HTTP."""

from __future__ import annotations

import time
from datetime import timedelta

from django.utils import timezone
from structlog.testing import capture_logs

from bridge.delivery.draining import LONGEST_HEAD_START_SECONDS, READY_BEFORE_SECONDS, Drain
from bridge.kommo.client import KommoClient
from bridge.models import Account, Card, Delivery
from leads.interaction_values import Meeting
from tests.conftest import MARIA, drain, lead_of, record

QUALIFYING, QUALIFIED = 89709463, 89709467


def test_first_message_creates_the_card_with_contact_and_phone(account, pipeline, kommo):
    record(pipeline)

    drain(account)

    lead = lead_of()
    in_kommo = kommo.lead(lead.card.kommo_lead_id)
    assert lead.card.state == "in_sync"
    assert in_kommo["status_id"] == 89709459
    assert in_kommo["name"] == MARIA
    assert lead.card.kommo_contact_id


def test_one_interaction_that_changes_everything_is_one_write_and_its_repetition_none(account, pipeline, kommo):
    record(pipeline)
    drain(account)
    before = len(kommo.writes())
    report = {
        "name": "Maria Souza",
        "bill_value": 4500,
        "chosen_flow": "Aluguel de Lote",
        "qualification_score": 82,
        "context": {"conversation_stage": "qualificação", "objections": ["preço"]},
    }

    record(pipeline, **report)
    drain(account)
    record(pipeline, **report)
    drain(account)

    written = kommo.writes()[before:]
    assert [call["method"] for call in written] == ["PATCH"]
    in_kommo = kommo.lead(lead_of().card.kommo_lead_id)
    assert (in_kommo["name"], in_kommo["status_id"]) == ("Maria Souza", QUALIFIED)
    assert {tag["name"] for tag in in_kommo["_embedded"]["tags"]} == {"fluxo_aluguel_de_lote", "objecao_preço"}


def test_a_hundred_new_leads_take_two_creates_and_no_update(account, pipeline, kommo):
    for number in range(100):
        record(pipeline, f"+5581988{number:06d}")

    drain(account)

    assert [write["method"] for write in kommo.writes()] == ["POST", "POST"]
    assert account.cards.filter(state="in_sync").count() == 100


def test_a_batch_is_planned_while_its_slot_becomes_free(account, pipeline, kommo, monkeypatch):
    for number in range(3):
        record(pipeline, f"+55819999800{number:02d}")
    Account.objects.update(batch_size=1)
    waited, planning = [], Drain.plan_all

    def wait(self, lane, *, ahead=0.0):
        waited.append(ahead)

    def plan_slowly(self, cards):
        time.sleep(0.02)
        return planning(self, cards)

    # The people were looked for just now: no call is needed for that.
    account.cards.update(looked_for_at=timezone.now())
    monkeypatch.setattr(KommoClient, "wait", wait)
    monkeypatch.setattr(Drain, "plan_all", plan_slowly)
    drain(account)

    # Before each plan as long before the slot as the last one took, and before each call for the slot itself.
    assert waited[0] == READY_BEFORE_SECONDS
    # After the last it is looked whether more is due, until its answer is settled.
    assert len(kommo.writes()) == 3
    before_plans, before_calls = waited[2:6:2], waited[1:6:2]
    assert set(before_calls) == {READY_BEFORE_SECONDS}
    took = [ahead - READY_BEFORE_SECONDS for ahead in before_plans]
    assert all(0.019 <= seconds <= LONGEST_HEAD_START_SECONDS for seconds in took)


def test_booked_meeting_moves_the_card(account, pipeline, kommo):
    record(pipeline, context={"meeting": Meeting("scheduled", id="evt_1")})

    drain(account)

    assert kommo.lead(lead_of().card.kommo_lead_id)["status_id"] == 89709595


def test_what_was_said_during_a_call_has_waited_only_since_then(account, pipeline, kommo, monkeypatch):
    """A lead that never rests is delivered all the time, and does not look like a card that never arrives."""
    record(pipeline)
    drain(account)
    record(pipeline, name="Ana")
    Card.objects.update(pending_since=timezone.now() - timedelta(hours=1))
    update, sent = KommoClient.update_leads, []

    def meanwhile(client, leads, **options):
        if not sent:
            sent.append(record(pipeline, name="Ana Lima"))
        return update(client, leads, **options)

    monkeypatch.setattr(KommoClient, "update_leads", meanwhile)
    drain(account)

    first, second = Delivery.objects.filter(operation="update").order_by("id")
    assert first.lag_ms >= 3_600_000
    assert second.lag_ms < 600_000
    assert kommo.lead(lead_of().card.kommo_lead_id)["name"] == "Ana Lima"


def test_a_call_is_one_line_of_the_log_and_each_of_its_cards_one_for_who_debugs(account, pipeline, kommo):
    for number in range(3):
        record(pipeline, f"+558198800000{number}")

    with capture_logs() as lines:
        drain(account)

    line = [line for line in lines if line["event"] == "delivery"]
    [whole] = [line for line in line if line["log_level"] == "info"]
    assert (whole["cards"], whole["operation"], whole["outcome"]) == (3, "create", "delivered")
    assert len([line for line in line if line["log_level"] == "debug"]) == 3
