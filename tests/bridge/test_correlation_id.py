"""One id from the agent's request, over our log and the card, to Kommo's own X-Request-Id."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from bridge.api import api_keys
from bridge.models import ApiKey, Card, Delivery
from leads.models import Event
from tests.conftest import MARIA, drain

SENT = "agent-42.7"


@pytest.fixture
def tell(client, pipeline):
    headers = {"authorization": f"Api-Key {api_keys.issue(ApiKey(name='agent'))}"}

    def post(request_id: str = "", **facts: object):
        more = {"x-request-id": request_id} if request_id else {}
        body = json.dumps({"lead": {"phone": MARIA, **facts}})
        return client.post("/api/v1/interactions/", body, content_type="application/json", headers=headers | more)

    return post


def test_the_agents_id_stands_on_the_answer_the_log_the_card_and_the_delivery(account, kommo, tell):
    with capture_logs() as lines:
        answer = tell(SENT, name="Maria")
        drain(account)

    assert answer["X-Request-Id"] == SENT
    assert Card.objects.get().correlation_id == SENT
    delivery = Delivery.objects.get(operation="create")
    assert delivery.correlation_id == SENT
    assert delivery.request_id
    line = next(line for line in lines if line["event"] == "delivery")
    assert (line["correlation_id"], line["request_id"]) == (SENT, delivery.request_id)
    assert Event.objects.get(kind=Event.Kind.DELIVERY).data["correlation_id"] == SENT


def test_a_later_change_is_delivered_under_its_own_id(account, kommo, tell):
    tell(SENT)
    drain(account)

    tell("agent-43", name="Maria Souza")
    drain(account)

    assert Delivery.objects.get(operation="update").correlation_id == "agent-43"


@pytest.mark.parametrize("unusable", ["", "a" * 65, "two words", "+5581999990000", "{json}"])
def test_a_request_without_a_usable_id_gets_one(tell, unusable):
    answer = tell(unusable)

    assert answer["X-Request-Id"] != unusable
    assert Card.objects.count() == 0 or Card.objects.get().correlation_id == answer["X-Request-Id"]


def test_a_request_is_one_line_without_the_webhooks_secret(client, account):
    with capture_logs() as lines:
        client.post("/webhooks/kommo/not-the-secret/", b"x=1", content_type="application/x-www-form-urlencoded")

    line = next(line for line in lines if line["event"] == "request")
    assert (line["path"], line["status"]) == ("/webhooks/kommo/<str:secret>/", 404)
    assert "not-the-secret" not in str(lines)
