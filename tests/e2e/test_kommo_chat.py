"""A conversation that runs wholly inside Kommo, on real processes, with the example agent answering."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.demo.stage import free_port
from tests.e2e.stack import Stack, eventually, kinds, new_phone, port, running

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EXAMPLE = ROOT / "examples/kommo_chat_agent.py"


@pytest.fixture
def chatting(tmp_path: Path) -> Iterator[Stack]:
    agent_port = free_port(port())
    settings = {
        "AGENT_WEBHOOK_URL": f"http://127.0.0.1:{agent_port}/",
        "AGENT_WEBHOOK_SECRET": SECRET,
        # Longer than a busy machine may take from one bubble to the next, the worker's new start included.
        "AGENT_DEBOUNCE_SECONDS": "10",
    }
    with running(kinds()[0], tmp_path, **settings) as stack:
        stack.manage("channel", "kommo_chats", "chats")
        file = tmp_path / "rules.yaml"
        stack.manage("bridge_config", "export", str(file))
        text = file.read_text(encoding="utf-8")
        text = re.sub(r"(?m)^  - slug: solar$", "  - slug: solar\n    conversations: kommo\n    channel: chats", text)
        file.write_text(text, encoding="utf-8")
        stack.manage("bridge_config", "import", str(file))
        environment = os.environ | {"BRIDGE": stack.web_url, "KEY": stack.key, "AGENT_WEBHOOK_SECRET": SECRET}
        command = [sys.executable, str(EXAMPLE), "--port", str(agent_port)]
        process = subprocess.Popen(command, env=environment)
        try:
            eventually(lambda: _listens(stack))
            yield stack
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _listens(stack: Stack) -> None:
    hooks = stack.kommo.get("webhooks")["subscriptions"]
    assert any("add_message" in hook["settings"] for hook in hooks), hooks


def chat(stack: Stack, lead_id: int) -> list[tuple[str, str]]:
    messages = stack.kommo.get(f"leads/{lead_id}/chat")["messages"]
    return [(message["author"]["type"], message["text"]) for message in messages]


def writes(stack: Stack, lead_id: int, text: str, **more: Any) -> None:
    stack.kommo.post(f"leads/{lead_id}/message", {"direction": "incoming", "text": text, **more})


def answers(stack: Stack, lead_id: int) -> list[str]:
    return [text for author, text in chat(stack, lead_id) if author == "bot"]


def test_five_bubbles_are_one_call_also_when_everything_is_killed_in_the_middle(chatting: Stack):
    stack = chatting
    lead_id = int(stack.kommo.post("leads", {"name": "Maria Souza", "phone": new_phone()})["id"])
    for number, telling in enumerate(["once", "twice", "late", "once", "placeholder_first"]):
        writes(
            stack, lead_id, f"bolha {number}", told=telling, kind="voice" if telling == "placeholder_first" else "text"
        )
        if number == 2:
            stack.kill("worker")
            stack.start_worker("worker")
        time.sleep(1)

    def answered() -> None:
        assert answers(stack, lead_id) == ["Maria, você escreveu 5 mensagem(ns). Qual o valor da sua conta de luz?"], (
            chat(stack, lead_id)
        )

    eventually(answered)

    stack.kommo.post(f"leads/{lead_id}/message", {"direction": "outgoing", "text": "Oi, aqui é a Ana"})

    def silent() -> None:
        found = stack.call("GET", "leads/").json()["results"]
        [lead] = [row for row in found if row["kommo_lead_id"] == lead_id]
        assert not stack.lead(lead["id"])["agent"]["may_reply"]

    eventually(silent)
    writes(stack, lead_id, "e o preço?")
    found = stack.call("GET", "leads/").json()["results"]
    [lead] = [row for row in found if row["kommo_lead_id"] == lead_id]
    assert stack.call("DELETE", f"leads/{lead['id']}/handoff/").ok

    def goes_on() -> None:
        assert len(answers(stack, lead_id)) == 2, chat(stack, lead_id)
        assert "1 mensagem" in answers(stack, lead_id)[1]

    eventually(goes_on)


def test_the_example_is_short():
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 60
