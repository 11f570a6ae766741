"""A conversation's past, told in one call: it fills in what is not known, and changes nothing that was done since."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bridge.accounts.catalogue import stored
from bridge.accounts.connection import client_for
from bridge.inbound import reconciliation
from bridge.models import AgentEvent, Card
from followups.models import Enrollment
from leads.models import Event, Lead
from tests.conftest import MARIA, drain, lead_of, record

pytestmark = pytest.mark.django_db

HISTORY = "interactions/batch/?history=true"


def tell(days_ago, *, phone=MARIA, message=None, context=None, **facts):
    body = {"lead": {"phone": phone, **facts}, "occurred_at": (timezone.now() - timedelta(days=days_ago)).isoformat()}
    if message:
        body["message"] = message
    if context:
        body["context"] = context
    return body


def message(direction, text="oi", number=1):
    return {"id": f"wamid.{number}", "direction": direction, "text": text}


def in_kommo(account, kommo, **more):
    """Somebody's card, taken in."""
    made = kommo.post("leads", {"name": "Maria", "phone": MARIA, **more})
    reconciliation.Comparison(account, client_for(account), stored(account), "poll").everything(newborn=True)
    return made.get("id") or made["lead"]["id"]


@pytest.fixture(autouse=True)
def listening(settings):
    settings.AGENT_WEBHOOK_URL = "https://agent.example/hook"


def test_the_past_moves_no_card_that_was_in_kommo_and_nothing_is_written(agent, account, pipeline, kommo):
    kommo_id = in_kommo(account, kommo)
    before = kommo.lead(kommo_id)["status_id"]
    body = [
        tell(30, message=message("inbound", number=1)),
        tell(20, qualification_score=90, bill_value=900, context={"conversation_stage": "qualificação"}),
    ]
    answer = agent.post(HISTORY, body)
    assert [item["status"] for item in answer.json()] == [200, 200]
    assert not answer.json()[1]["body"]["decision"]["changed"]
    drain(account)
    assert kommo.lead(kommo_id)["status_id"] == before
    lead = lead_of()
    assert (lead.bill_value, lead.conversation_stage) == (900, "qualificação")


def test_a_value_that_staff_set_stands_however_young_the_past_is(agent, account, pipeline, kommo):
    record(pipeline, bill_value=500)
    drain(account)
    kommo_id = lead_of().card.kommo_lead_id
    kommo.post(f"leads/{kommo_id}/edit", {"custom_fields_values": [{"field_id": 392804, "values": [{"value": "950"}]}]})
    reconciliation.Comparison(account, client_for(account), stored(account), "poll").everything()
    assert lead_of().bill_value == 950
    agent.post(HISTORY, [tell(0, bill_value=900)])
    assert lead_of().bill_value == 950


def test_nothing_is_sent_begun_or_announced(agent, account, pipeline, kommo):
    agent.post(
        HISTORY,
        [
            tell(3, message=message("inbound", number=1)),
            tell(2, message=message("outbound", number=2)),
            tell(1, message=message("staff", number=3)),
        ],
    )
    lead = lead_of()
    assert not Enrollment.objects.exists()
    assert not AgentEvent.objects.exists()
    assert not lead.in_handoff
    assert lead.last_outbound_at is not None


def test_again_and_again_it_is_told_once(agent, account, pipeline, kommo):
    body = [tell(3, message=message("inbound", number=1)), tell(2, name="Maria Souza"), tell(2, name="Maria Souza")]
    first = agent.post(HISTORY, body).json()
    events = Event.objects.count()
    # Once more, and by another road: another call's body for the same message.
    assert [item["status"] for item in agent.post(HISTORY, body).json()] == [item["status"] for item in first]
    again = [tell(3, message=message("inbound", number=1), name="Maria S.")]
    assert agent.post(HISTORY, again).json()[0]["status"] == 200
    assert Event.objects.count() == events
    assert Lead.objects.count() == 1


def test_what_was_reported_live_is_not_told_a_second_time(agent, account, pipeline, kommo):
    agent.says(message=message("inbound", number=7))
    before = Event.objects.filter(kind="interaction").count()
    assert agent.post(HISTORY, [tell(1, message=message("inbound", number=7))]).json()[0]["status"] == 200
    assert Event.objects.filter(kind="interaction").count() == before


def test_who_is_not_in_kommo_gets_a_card_where_their_past_has_led(agent, account, pipeline, kommo):
    agent.post(
        HISTORY,
        [tell(9), tell(8, qualification_score=90, bill_value=900, context={"conversation_stage": "qualificação"})],
    )
    drain(account)
    assert lead_of().stage.key == "qualified"
    assert len(kommo.leads()) == 1


def test_who_asked_for_silence_then_is_left_alone_now(agent, account, pipeline, kommo):
    agent.post(HISTORY, [tell(40, message=message("inbound", "parar"))])
    assert lead_of().opted_out_at is not None


def test_a_time_without_a_zone_is_refused_unless_the_call_names_one(agent, account, pipeline, kommo):
    naive = {"lead": {"phone": MARIA}, "occurred_at": "2026-11-01T12:00:00"}
    [item] = agent.post(HISTORY, [naive]).json()
    assert item["status"] == 400
    assert item["body"]["errors"][0]["field"] == "occurred_at"

    inner = {"lead": {"phone": MARIA}, "message": {**message("inbound"), "sent_at": "2026-11-01T12:00:00"}}
    [item] = agent.post(HISTORY, [inner]).json()
    assert item["body"]["errors"][0]["field"] == "message.sent_at"

    [item] = agent.post(f"{HISTORY}&time_zone=UTC", [naive]).json()
    assert item["status"] == 201
    assert Event.objects.get(kind="interaction").at.isoformat() == "2026-11-01T12:00:00+00:00"


def test_the_past_says_when_it_was(agent, account, pipeline, kommo):
    [item] = agent.post(HISTORY, [{"lead": {"phone": MARIA}}]).json()
    assert item["status"] == 400
    assert item["body"]["errors"][0]["field"] == "occurred_at"
    assert not Lead.objects.exists()


@pytest.mark.parametrize(
    ("query", "field"),
    [("history=perhaps", "history"), ("history=true&time_zone=Mars/Base", "time_zone"), ("time_zone=UTC", "time_zone")],
)
def test_what_a_call_cannot_mean_is_refused_by_name(agent, pipeline, query, field):
    answer = agent.post(f"interactions/batch/?{query}", [])
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_one_bad_item_spoils_no_other(agent, account, pipeline, kommo):
    answer = agent.post(HISTORY, [tell(1), {"lead": {"phone": "x"}}, tell(1, phone="+5581977770000")])
    assert [item["status"] for item in answer.json()] == [201, 400, 201]
    assert Card.objects.count() == 2


def test_live_words_after_the_import_go_on_as_ever(agent, account, pipeline, kommo):
    in_kommo(account, kommo)
    agent.post(HISTORY, [tell(30, message=message("inbound", number=1))])
    answer = agent.says(
        qualification_score=90,
        bill_value=900,
        context={"conversation_stage": "qualificação"},
        message=message("inbound", number=2),
    )
    assert answer.status_code == 200
    drain(account)
    assert lead_of().bill_value == 900
