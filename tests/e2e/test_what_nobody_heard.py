"""On real processes, in seconds instead of days: what was declined, only logged or only shown gives nobody up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.stack import Stack, eventually, kinds, new_phone, running
from tests.e2e.test_followups import NOT_INTERESTED, SECRET, Agent, agent_writes, configure

ENDING = {"give_up_after": "PT1S", "give_up_stage": "not_interested"}


class Choosy(Agent):
    """An agent that declines what it should say to some people."""

    def __init__(self) -> None:
        super().__init__()
        self.declines: set[str] = set()

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        declined = body["type"] == "followup.due" and body["data"]["lead"]["phone"] in self.declines
        return {"skip": True, "reason": "já combinado por telefone"} if declined else {}


@pytest.fixture(scope="module")
def agent() -> Iterator[Choosy]:
    agent = Choosy()
    yield agent
    agent.close()


@pytest.fixture(scope="module", params=kinds()[-1:])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, agent: Choosy) -> Iterator[Stack]:
    agent_settings = {"AGENT_WEBHOOK_URL": agent.url, "AGENT_WEBHOOK_SECRET": SECRET}
    with running(request.param, tmp_path_factory.mktemp("heard"), **agent_settings) as stack:
        configure(stack, ["PT1S", "PT1S", "PT1S"], **ENDING)
        yield stack


@pytest.fixture(scope="module", params=kinds()[-1:])
def mute(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that was told of no agent to call."""
    with running(request.param, tmp_path_factory.mktemp("mute")) as stack:
        configure(stack, ["PT1S", "PT1S", "PT1S"], **ENDING)
        yield stack


def begins(stack: Stack, phone: str) -> str:
    return str(stack.call("POST", "interactions/", agent_writes(phone)).json()["lead"]["id"])


def over(stack: Stack, lead_id: str) -> list[dict[str, Any]]:
    """Wait until the lead's sequence has ended; return what the timeline tells of its messages."""

    def ended() -> None:
        assert stack.lead(lead_id)["followup"]["state"] in ("finished", "cancelled")

    eventually(ended)
    return [event for event in stack.timeline(lead_id) if event["kind"] == "followup" and "attempt_id" in event["data"]]


def outcomes(stack: Stack) -> dict[str, float]:
    lines = requests.get(f"{stack.web_url}/metrics", timeout=30).text.splitlines()
    counted = [line for line in lines if line.startswith("bridge_followups_total{")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in counted}


def test_a_lead_whose_messages_were_all_declined_is_not_given_up_on(stack: Stack, agent: Choosy):
    declined, silent = new_phone(), new_phone()
    agent.declines.add(declined)
    lead_id = begins(stack, declined)
    begins(stack, silent)

    events = over(stack, lead_id)
    assert [event["data"]["outcome"] for event in events] == ["declined"] * 3
    assert "já combinado por telefone" in events[0]["reason"]

    def given_up() -> None:
        assert stack.card(silent)["status_id"] == NOT_INTERESTED

    # Whoever was written to and stays silent is given up on; by then the other would have been, too.
    eventually(given_up)
    assert stack.lead(lead_id)["stage"] == "new"
    assert stack.card(declined)["status_id"] != NOT_INTERESTED


def test_in_shadow_nobody_hears_anything_and_nothing_is_concluded(stack: Stack, agent: Choosy):
    stack.manage("account", "shadow")
    phone = new_phone()
    lead_id = begins(stack, phone)

    events = over(stack, lead_id)
    assert [event["data"]["outcome"] for event in events] == ["would_send"] * 3
    assert [event["data"]["text"] for event in events] == ["Passo PT1S"] * 3
    assert agent.steps_of(phone) == []
    assert stack.lead(lead_id)["stage"] == "new"

    def counted() -> None:
        assert outcomes(stack).get("would_send") == 3

    eventually(counted)
    stack.manage("account", "active")
    # Nothing of what was shown comes after all; what begins from now on is said.
    later = new_phone()
    begins(stack, later)

    def heard() -> None:
        assert agent.steps_of(later) == [1, 2, 3]

    eventually(heard)
    assert agent.steps_of(phone) == []


def test_without_an_agent_nothing_counts_as_sent_and_doctor_says_so(mute: Stack):
    phone = new_phone()
    lead_id = begins(mute, phone)

    events = over(mute, lead_id)
    assert [event["data"]["outcome"] for event in events] == ["not_sent"] * 3
    assert all("AGENT_WEBHOOK_URL is empty" in event["reason"] for event in events)
    assert mute.lead(lead_id)["stage"] == "new"
    assert mute.synced(lead_id)["stage"] == "new"
    assert mute.card(phone)["status_id"] != NOT_INTERESTED

    def counted() -> None:
        assert outcomes(mute) == {"not_sent": 3.0}

    eventually(counted)
    report = json.loads(mute.manage("doctor", "--json"))
    [found] = [finding for finding in report["findings"] if finding["check"] == "follow-ups"]
    assert "3 messages of the last day" in found["message"]
    assert "set AGENT_WEBHOOK_URL" in found["remedy"]
