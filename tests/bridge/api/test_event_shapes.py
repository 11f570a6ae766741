"""What the agent is told is told as the API's description has it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from django.test import Client
from django.utils import timezone
from jsonschema import Draft202012Validator, FormatChecker

from bridge.agent import agent_events
from bridge.api import event_shapes
from leads import handoff
from leads.interaction_values import Direction, Meeting, Message
from leads.models import Lead
from tests.bridge.agent.test_agent_events import deliver
from tests.conftest import record
from tests.followups.conftest import agent, conversation, receiver  # noqa: F401  (fixtures)

# Contract of the product: what an agent may be told of.
TYPES = {
    "followup.due", "agent.paused", "agent.resumed", "lead.stage_changed",
    "message.received", "message.due", "message.delivered", "message.not_delivered",
}  # fmt: skip


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return dict(yaml.safe_load(Client().get("/api/schema/").content))


def strictly(schema: Any) -> Any:
    """Refuse keys that are not described: an event that says more than its description is described too little."""
    if isinstance(schema, dict):
        closed = {name: strictly(inner) for name, inner in schema.items()}
        if closed.get("type") == "object" and "properties" in closed:
            closed.setdefault("additionalProperties", False)
        return closed
    return [strictly(part) for part in schema] if isinstance(schema, list) else schema


def assert_as_described(description: dict[str, Any], body: dict[str, Any]) -> None:
    called = description["webhooks"][body["type"]]["post"]
    reference = called["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = {"$ref": reference, "components": strictly(description["components"])}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(body)


def test_every_event_is_described_with_the_headers_it_has(description, agent, pipeline):  # noqa: F811
    assert description["openapi"].startswith("3.1")
    assert set(description["webhooks"]) >= TYPES
    handoff.pause(
        record(pipeline).lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="…", now=timezone.now()
    )
    deliver()
    [(headers, _)] = agent.requests
    for calls in description["webhooks"].values():
        assert (
            {parameter["name"] for parameter in calls["post"]["parameters"]}
            == set(event_shapes.HEADERS)
            <= set(headers)
        )


def test_pauses_and_moves_are_told_as_described(description, agent, pipeline):  # noqa: F811
    meeting = Meeting(
        status="scheduled", id="evt_1", starts_at=timezone.now() + timedelta(days=3), link="https://m.example"
    )
    record(pipeline)
    lead = record(pipeline, name="Maria", email="m@example.com", bill_value=450, context={"meeting": meeting}).lead
    handoff.pause(lead, source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="", now=timezone.now())
    handoff.resume(lead, by=Lead.Actor.STAFF, reason="done", now=timezone.now())
    deliver()
    assert {body["type"] for body in agent.bodies()} == {
        agent_events.PAUSED, agent_events.RESUMED, agent_events.STAGE_CHANGED
    }  # fmt: skip
    for body in agent.bodies():
        assert_as_described(description, body)


def test_a_follow_up_is_told_as_described(description, agent, conversation):  # noqa: F811
    conversation.lead_writes()
    conversation.agent_writes()
    conversation.run(timedelta(hours=1))
    events = [body for body in agent.bodies() if body["type"] == "followup.due"]
    assert events
    for body in events:
        assert_as_described(description, body)


def test_what_a_lead_wrote_is_told_as_described(description, agent, pipeline, settings):  # noqa: F811
    settings.AGENT_DEBOUNCE_SECONDS = 0
    for direction, text in ((Direction.INBOUND, "Oi"), (Direction.BOT, "Olá!")):
        message = Message(direction, id=text, sent_at=timezone.now(), text=text, author="Salesbot")
        record(pipeline, message=message, via="kommo")
    deliver()
    [body] = [body for body in agent.bodies() if body["type"] == "message.received"]
    assert body["data"]["answered_by_bot"]["text"] == "Olá!"
    assert_as_described(description, body)


def test_no_media_type_but_json_is_described(description):
    kinds = set()
    for calls in [*description["paths"].values(), *description["webhooks"].values()]:
        for call in calls.values():
            kinds |= set(call.get("requestBody", {}).get("content", {}))
    assert kinds == {"application/json"}


def test_no_type_is_named_after_its_place_in_a_row_of_names(description):
    """`StatusEnum` becomes `Status3aEnum` when another list of that name comes, and clients no longer compile."""
    assert not [name for name in description["components"]["schemas"] if name.endswith("Enum")]
