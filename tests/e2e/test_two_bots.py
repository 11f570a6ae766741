"""Bots that talk to each other, and a foreign bot in Kommo's chat, on real processes: noticed, stopped, told."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from leads.bot_loops import MOST_AT_ONCE
from tests.e2e.stack import Stack, eventually, kinds, new_phone, running
from tests.e2e.test_followups import SECRET, Agent

OURS = "Respondo"


class Talker(Agent):
    """An agent that answers whatever a lead writes, at once, by way of the bridge."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []
        self.stack: Stack | None = None

    def take(self, webhook_id: str, body: dict[str, Any]) -> None:
        with self._lock:
            self.events.append(body)
        if body["type"] == "message.received" and body["data"]["may_reply"] and self.stack:
            text = body["data"]["messages"][-1]["text"]
            requests.post(
                f"{self.stack.web_url}/api/v1/leads/{body['data']['lead']['id']}/messages/",
                json={"text": f"{OURS} a: {text}"},
                headers={"Authorization": f"Api-Key {self.stack.key}", "Idempotency-Key": webhook_id},
                timeout=30,
            )

    def heard(self, lead_id: int, type_: str) -> list[dict[str, Any]]:
        with self._lock:
            about = [event for event in self.events if event["data"]["lead"]["kommo_lead_id"] == lead_id]
        return [event["data"] for event in about if event["type"] == type_]


class Echo:
    """A lead who is a bot: it answers each message of ours within a moment."""

    def __init__(self, stack: Stack, lead_id: int) -> None:
        self._stack, self._lead_id, self._over = stack, lead_id, threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)

    def __enter__(self) -> Echo:
        write(self._stack, self._lead_id, "Olá! Sou a assistente virtual.")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _talk(self) -> None:
        answered = 0
        while not self._over.wait(0.05):
            texts = ours(self._stack, self._lead_id)
            if len(texts) > answered:
                answered = len(texts)
                write(self._stack, self._lead_id, f"Não entendi ({answered}). Escolha uma opção.")


@pytest.fixture(scope="module")
def talker() -> Iterator[Talker]:
    talker = Talker()
    yield talker
    talker.close()


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory, talker: Talker) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("talking")
    settings = {"AGENT_WEBHOOK_URL": talker.url, "AGENT_WEBHOOK_SECRET": SECRET, "AGENT_DEBOUNCE_SECONDS": "0"}
    with running(kinds()[0], directory, **settings) as stack:
        stack.manage("channel", "kommo_chats", "chats")
        rules = directory / "rules.yaml"
        stack.manage("bridge_config", "export", str(rules))
        more = "\n    conversations: kommo\n    channel: chats\n    yields_to_bots: true"
        rules.write_text(re.sub(r"(?m)^  - slug: solar$", f"  - slug: solar{more}", rules.read_text("utf-8")), "utf-8")
        stack.manage("bridge_config", "import", str(rules))
        talker.stack = stack

        def hears_of_chats() -> None:
            hooks = stack.kommo.get("webhooks")["subscriptions"]
            assert any("add_message" in hook["settings"] for hook in hooks), hooks

        eventually(hears_of_chats)
        yield stack
        talker.stack = None


def write(stack: Stack, lead_id: int, text: str) -> None:
    stack.kommo.post(f"leads/{lead_id}/message", {"direction": "incoming", "text": text})


def ours(stack: Stack, lead_id: int) -> list[str]:
    messages = stack.kommo.get(f"leads/{lead_id}/chat")["messages"]
    return [message["text"] for message in messages if message["text"].startswith(OURS)]


def somebody(stack: Stack) -> int:
    return int(stack.kommo.post("leads", {"name": "Maria Souza", "phone": new_phone()})["id"])


def known(stack: Stack, lead_id: int) -> str:
    """Return the lead's id here; StopIteration while it is not known yet."""
    found = stack.call("GET", "leads/").json()["results"]
    return next(str(lead["id"]) for lead in found if lead["kommo_lead_id"] == lead_id)


def agent_of(stack: Stack, lead_id: int) -> dict[str, Any]:
    return dict(stack.lead(known(stack, lead_id))["agent"])


def kept(stack: Stack, lead_id: int, text: str) -> list[str]:
    """Wait until what a lead wrote stands in their conversation; return who has written there."""

    def look() -> list[str]:
        messages = stack.call("GET", f"leads/{known(stack, lead_id)}/messages/?limit=200").json()["results"]
        assert text in {message["text"] for message in messages if message["direction"] == "inbound"}
        return [message["direction"] for message in messages]

    return eventually(look)


def test_two_bots_that_answer_each_other_are_stopped_and_a_person_is_called(talking: Stack, talker: Talker):
    lead_id = somebody(talking)
    with Echo(talking, lead_id):

        def stopped() -> dict[str, Any]:
            agent = agent_of(talking, lead_id)
            assert not agent["may_reply"], len(ours(talking, lead_id))
            return agent

        agent = eventually(stopped, within_seconds=180)
        assert agent["reason"].startswith("two bots seem to talk to each other"), agent

        def pause_is_told() -> None:
            assert [event["reason"] for event in talker.heard(lead_id, "agent.paused")] == [agent["reason"]]

        eventually(pause_is_told)
        # What was on its way when the gate shut has left or never will; then it is quiet, whatever the other one says.
        count = len(ours(talking, lead_id))
        assert MOST_AT_ONCE <= count <= MOST_AT_ONCE + 1
        write(talking, lead_id, "Ainda está aí?")
        heard = len(talker.heard(lead_id, "message.received"))
        kept(talking, lead_id, "Ainda está aí?")
        assert len(ours(talking, lead_id)) == count
        assert len(talker.heard(lead_id, "message.received")) == heard


def test_a_foreign_bot_that_answers_in_kommos_chat_is_told_and_yielded_to(talking: Stack, talker: Talker):
    lead_id = somebody(talking)
    write(talking, lead_id, "oi")

    def answered() -> None:
        assert ours(talking, lead_id) == [f"{OURS} a: oi"]

    eventually(answered)
    talking.kommo.post(f"leads/{lead_id}/robot", {"text": "Sou a IA do Kommo, como posso ajudar?"})

    def yielded() -> None:
        agent = agent_of(talking, lead_id)
        assert not agent["may_reply"]
        assert agent["reason"].startswith("another bot answers the lead: “Sou a IA do Kommo"), agent

    eventually(yielded)
    write(talking, lead_id, "e o preço?")

    assert "bot" in kept(talking, lead_id, "e o preço?")
    assert ours(talking, lead_id) == [f"{OURS} a: oi"]
    assert len(talker.heard(lead_id, "message.received")) == 1
