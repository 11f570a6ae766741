"""Two agents of different making adopt the bridge: doubles with the shapes of their calls, on the examples."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from queue import Queue
from typing import Any

import httpx
import pytest
from kommo_bridge_client import AsyncBridge
from kommo_bridge_client.testing import SECRET, fake_bridge

from bridge.api import api_keys
from bridge.models import ApiKey
from bridge.wsgi import application
from leads.models import Lead
from tests.repository import ROOT

sys.path.insert(0, str(ROOT / "examples" / "adopting"))
from chat_webhook import Outcome, listen
from crm_service import KommoService

PHONE = "+5581999990000"


class SalesAgent:
    """Hears and speaks by a WhatsApp API, thinks on an event loop, and has a CRM service that all its parts call."""

    def __init__(self, crm: KommoService) -> None:
        self.crm, self.sent = crm, list[str]()

    async def on_message(self, text: str, *, id: str, thinks: dict[str, Any]) -> None:
        lead = await self.crm.get_lead_by_phone(PHONE)
        lead_id = PHONE if lead else await self.crm.create_lead(PHONE, "Maria")
        if not await self.crm.log_message(lead_id, text, id=id, is_lead=True):
            return
        await self.crm.update_lead(lead_id, thinks["facts"])
        await self.crm.move_to_stage(lead_id, thinks["stage"])
        if thinks.get("objections"):
            await self.crm.add_tags(lead_id, thinks["objections"])
        if not await self.crm.is_paused(PHONE):
            self.sent.append(f"answer to {text}")
            await self.crm.log_message(lead_id, self.sent[-1], id=f"{id}-answer", is_lead=False)

    async def books(self, starts_at: datetime) -> None:
        await self.crm.book_meeting(PHONE, "evt-1", starts_at, "https://meet.example/1")


class InProcess(httpx.AsyncBaseTransport):
    """The bridge itself: asked from an event loop, it answers in the test's own thread, which holds the transaction."""

    def __init__(self) -> None:
        self._inner = httpx.WSGITransport(application)
        self._asked: Queue[tuple[httpx.Request, Future[httpx.Response]] | None] = Queue()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        answered: Future[httpx.Response] = Future()
        self._asked.put((request, answered))
        return await asyncio.wrap_future(answered)

    def serve(self, talk: Callable[[], Coroutine[Any, Any, SalesAgent]]) -> SalesAgent:
        """Run a conversation on a loop of its own, and answer what it asks until it has ended."""
        with ThreadPoolExecutor(1) as loop:
            talking = loop.submit(lambda: asyncio.run(talk()))
            talking.add_done_callback(lambda _: self._asked.put(None))
            while asked := self._asked.get():
                request, answered = asked
                answer = self._inner.handle_request(request)
                answered.set_result(
                    httpx.Response(answer.status_code, headers=answer.headers, content=answer.read(), request=request)
                )
            return talking.result()


def test_an_agent_with_a_crm_service_goes_on_calling_it(pipeline, connections_stay):
    bridge = InProcess()
    key = api_keys.issue(ApiKey(name="adopting"))
    facts = {"bill_value": "R$ 4.500,00", "qualification_score": 82, "roof": "tiles"}
    stages = []

    async def talk() -> SalesAgent:
        async with AsyncBridge("http://127.0.0.1", key, transport=bridge) as asked:
            agent = SalesAgent(KommoService(asked))

            async def note_stage() -> None:
                stages.append((await agent.crm.get_lead_by_phone(PHONE))["stage"])

            await agent.on_message("oi", id="1", thinks={"facts": {}, "stage": "estágio_0_coleta_nome"})
            await note_stage()
            thinks = {"facts": facts, "stage": "qualificação", "objections": ["preço"]}
            await agent.on_message("minha conta vem 4.500", id="2", thinks=thinks)
            await note_stage()
            await agent.books(datetime.now(UTC) + timedelta(days=2))
            await note_stage()
            await agent.crm.cancel_meeting(PHONE, "evt-1")
            await note_stage()
            await agent.crm.transfer_to_human(PHONE, "wants to talk with Ana")
            await agent.on_message("olá?", id="3", thinks={"facts": {}, "stage": "qualificação"})
            return agent

    agent = bridge.serve(talk)
    assert stages == ["new", "qualified", "meeting_scheduled", "qualified"]
    assert agent.sent == ["answer to oi", "answer to minha conta vem 4.500"]
    lead = Lead.objects.get()
    assert (lead.name, lead.bill_value, lead.custom) == ("Maria", 4500, {"roof": "tiles"})
    assert [objection.name for objection in lead.objections.all()] == ["preço"]


def received(fake, *texts: str, id: str, **lead: Any):
    lead_body = {"id": "0f9c7c1e-6a0b-4f5e-9d6b-1f2a3b4c5d6e", "phone": PHONE, "addresses": [], **lead}
    data = {"lead": lead_body, "messages": [{"text": text} for text in texts], "may_reply": True}
    return fake.event("message.received", data, id=id)


def heard(events, event: Any, id: str) -> int:
    """Tell an event as the bridge does: again, when it is asked to come again. Returns the last status."""
    first = events.handle(*event).status
    for thread in [running for running in threading.enumerate() if running.name == f"event-{id}"]:
        thread.join()
    return events.handle(*event).status if first == 503 else first


def chat_agent(seen: list[str]):
    """Thinks of one turn: texts in, an answer and what was learned out. Its receiver and its Salesbot are gone."""

    def turn(lead_id: str, text: str) -> Outcome:
        seen.append(text)
        if "pessoa" in text:
            return Outcome(person="asked for a person")
        return Outcome("Qual o valor da conta?", stage="qualificação", facts={"qualification_score": 60})

    return turn


def test_an_agent_in_kommos_chats_keeps_its_turn_alone():
    bridge, fake = fake_bridge()
    seen: list[str] = []
    events = listen(bridge, SECRET, chat_agent(seen))
    event = received(fake, "oi", "tudo bem?", id="m1")
    assert [heard(events, event, "m1"), heard(events, event, "m1")] == [200, 200]
    # The bubbles of one pause are one turn, and an event that comes twice is one too.
    assert seen == ["oi\ntudo bem?"]
    assert [message["text"] for message in fake.sent] == ["Qual o valor da conta?"]
    assert fake.reports[0]["lead"] == {"phone": PHONE, "qualification_score": 60}
    assert fake.reports[0]["context"] == {"conversation_stage": "qualificação"}
    assert heard(events, received(fake, "quero falar com uma pessoa", id="m2"), "m2") == 200
    assert fake.agent["reason"] == "asked for a person"
    # Who has no phone is named by their address, and while a person has the lead nothing is said.
    address = {"kind": "kommo_contact", "value": "77"}
    assert heard(events, received(fake, "oi", id="m3", phone=None, addresses=[address]), "m3") == 200
    assert fake.reports[-1]["lead"]["addresses"] == [address]
    assert len(fake.sent) == 1


@pytest.mark.parametrize("name", ["crm_service.py", "chat_webhook.py"])
def test_the_page_counts_the_lines_that_each_needs(name):
    source = (ROOT / "examples" / "adopting" / name).read_text(encoding="utf-8")
    [count] = re.findall(rf"/{name}\) \| (\d+) \|", (ROOT / "docs" / "adopting.md").read_text(encoding="utf-8"))
    assert lines_of_code(source) == int(count)


def lines_of_code(source: str) -> int:
    """Count what is neither empty, nor a comment, nor a docstring."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docstrings |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(1 for number, line in lines if line.strip() and line.strip()[0] != "#" and number not in docstrings)
