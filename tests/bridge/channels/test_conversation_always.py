"""A conversation of lead, agent, people, other bots and Kommo, in any order and with processes that die at any line.

The agent answers every `message.received` by the API under the event's id, as its documentation says. Whatever
happens: nothing leaves while a person has the lead, while the pipeline is silenced or after an opt-out; each message of
the lead is told once and answered once; nothing is said twice; and in the end nothing is left lying.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import hypothesis
import time_machine
from django.core.cache import cache
from django.db.models import F
from django.test import override_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from bridge.agent import agent_events
from bridge.api import api_keys
from bridge.channels import (
    after_a_part,
    channel_kinds,
    claiming_messages,
    kommo_salesbot,
    leaving_part,
    managing_channels,
    proof_of_arrival,
    queueing_messages,
    sending_messages,
)
from bridge.channels.part_values import Outcome, Sent
from bridge.models import Account, AgentEvent, ApiKey, Card, Outgoing
from followups.signed_calls import Answer
from leads import emergency_stop, handoff, interaction_values, interactions, may_speak, message_parts, optout
from leads.interaction_values import Direction, Message
from leads.models import Lead, MessagePart, Pipeline
from leads.models import Message as Row
from leads.phone import parse
from tests.bridge.api.conftest import Agent

STEPS = [
    "lead writes", "lead writes", "told again", "person writes", "other bot writes", "given back", "silence",
    "let speak", "tell", "tell", "agent dies", "take", "call", "note", "take", "call", "note", "carry", "carry",
    "worker dies", "worker hangs", "bot speaks", "bot is told of", "bot is off", "refuse", "break", "lose", "opt out",
]  # fmt: skip
SHUT_FOR_GOOD = "opt out"
DEAD = "dead:1"
BEGUN = datetime(2026, 11, 24, 12, tzinfo=UTC)


class OneByOne:
    """In the place of threads: all sees the one transaction of the test."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> OneByOne:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    map = staticmethod(map)


@dataclass
class Call:
    """A part on its way, as one process has it: taken, handed over or not, noted or not."""

    task: leaving_part.Task
    answer: tuple[Sent, datetime] | None = None


@dataclass
class World:
    clock: time_machine.Traveller
    now: datetime = BEGUN
    # What stands in a chat, and what the bot was started for and has not said; by whichever way.
    spoken: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    under_way: list[Call] = field(default_factory=list)
    # Message of the lead -> the events that told of it.
    told_of: dict[str, set[str]] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        cache.clear()
        self.pipeline = Pipeline.objects.get(slug="solar")
        self.agent = Agent(api_keys.issue(ApiKey(name="agent")))
        managing_channels.establish("kommo_salesbot", "bot", settings={"bot_id": "565", "field": "Follow-up"})
        managing_channels.establish(
            "waha", "waha", settings={"url": "http://127.0.0.1:1", "instance": "i", "api_key": "k"}
        )
        account = Account.objects.create(name="a", base_url="https://a.kommo.com", state=Account.State.ACTIVE)
        account.connected_at = account.polled_at = account.compared_at = account.takeovers_looked_at = self.now
        account.save()
        self.lead = self.hear(Direction.INBOUND)
        Card.objects.update_or_create(
            lead=self.lead,
            defaults={
                "account": account,
                "kommo_lead_id": 7,
                "kommo_contact_id": 8,
                "state": Card.State.IN_SYNC,
                "due_at": None,
            },
        )

    # --- What is written in the chat

    def hear(self, direction: Direction, id: str = "") -> Lead:
        number = next(self.numbers)
        interaction = interaction_values.Interaction(
            phone=parse("+5581999990000", region="BR"),
            occurred_at=self.now,
            message=Message(direction, id=id or f"m{number}", text=f"texto {number}", sent_at=self.now),
            via="kommo",
            heard_at=self.now,
        )
        self.pipeline = Pipeline.objects.get(pk=self.pipeline.pk)
        return interactions.record(interaction, pipeline=self.pipeline, now=self.now).lead

    def is_shut(self) -> str:
        lead = Lead.objects.select_related("pipeline", "stage").get(pk=self.lead.pk)
        found = may_speak.refusal(lead)
        return str(found.shut) if found else ""

    # --- The agent

    def ask(self, url: str, secret: str, webhook_id: str, body: dict, *, now: datetime) -> Answer:
        """Stand in for the agent: it answers what the lead wrote, at once, by the API."""
        if body["type"] != "message.received":
            return Answer(200, {})
        shut = self.is_shut()
        assert shut in ("", "opted_out"), f"told of what a lead wrote: {shut}"
        # They may have opted out since it was written down: then the answer is refused.
        assert body["data"]["may_reply"] or shut == "opted_out", shut
        for message in body["data"]["messages"]:
            self.told_of.setdefault(message["id"], set()).add(webhook_id)
        answer = self.agent.post(
            f"leads/{self.lead.pk}/messages/",
            {"text": f"resposta a {webhook_id}\n\nsegunda parte de {webhook_id}"},
            **{"idempotency-key": webhook_id},
        )
        # Told once more under the same id, it answers the same again, though the gate has shut meanwhile.
        assert answer.status_code in (202, 409), answer.content
        return Answer(200, {})

    def tell(self) -> None:
        with (
            patch("followups.signed_calls.post", self.ask),
            patch.object(agent_events, "ThreadPoolExecutor", OneByOne),
            patch.object(agent_events, "sleep", lambda seconds: None),
        ):
            clock = itertools.chain([self.now] * 60, itertools.repeat(self.now + timedelta(seconds=5)))
            agent_events.deliver_due(until=self.now + timedelta(seconds=1), clock=lambda: next(clock))

    # --- The ways out

    def by_messenger(self, request: object) -> Answer:
        answer = self.answers.pop() if self.answers else ""
        if answer == "refuse":
            return Answer(400, {"message": "no"})
        if answer == "break":
            return Answer(503, {})
        self.spoken.append(request.body["text"])  # type: ignore[attr-defined]
        if answer == "lose":
            return Answer(None, error="ReadTimeout")
        return Answer(201, {"id": f"w{next(self.numbers)}"})

    def by_bot(self, account: object, settings: object, person: object, part: object, *, now: datetime) -> Sent:
        answer = self.answers.pop() if self.answers else ""
        if answer in ("refuse", "break"):
            return Sent(Outcome.FAILED if answer == "refuse" else Outcome.RETRY, "no")
        self.started.append(part.text)  # type: ignore[attr-defined]
        return Sent(Outcome.UNCONFIRMED if answer == "lose" else Outcome.SENT)

    def was_said(self, client: object, person: object, part: MessagePart) -> bool:
        """Stand in for Kommo's events feed, which knows what the bot has said; what it has not by now it never will."""
        self.started = [text for text in self.started if text != part.text]
        return part.text in self.spoken

    def bot_speaks(self, *, is_told: bool) -> None:
        self.spoken += self.started
        self.untold += self.started
        self.started.clear()
        while is_told and self.untold:
            text = self.untold.pop(0)
            message_parts.arrived([self.lead.pk], text, their_id=f"k{next(self.numbers)}", at=self.now, now=self.now)

    def take(self, holder: str = DEAD) -> None:
        shut = self.is_shut()
        for task in claiming_messages.claim(holder, self.now, limit=4) or ():
            assert task.is_look or not shut, f"a part left: {shut}"
            self.under_way.append(Call(task))

    def call(self) -> None:
        for call in self.under_way:
            call.answer = call.answer or sending_messages.say(call.task, lambda: self.now)

    def note(self) -> None:
        for call in [exchange for exchange in self.under_way if exchange.answer]:
            after_a_part.note(call.task, *call.answer)  # type: ignore[misc]
            self.under_way.remove(call)

    def carry(self) -> None:
        while True:
            before = len(self.under_way)
            self.take("alive:1")
            self.call()
            self.note()
            if before == len(self.under_way) and not claiming_messages.has_work(self.now):
                return

    # --- What happens

    def do(self, step: str) -> None:
        self.now += timedelta(seconds=7)
        self.clock.move_to(self.now)
        Account.objects.update(polled_at=self.now, compared_at=self.now, takeovers_looked_at=self.now)
        self.lead = Lead.objects.get(pk=self.lead.pk)
        if step == "lead writes":
            self.hear(Direction.INBOUND)
        elif step == "told again":
            for row in Row.objects.filter(direction="inbound"):
                self.hear(Direction.INBOUND, id=row.message_id)
        elif step == "person writes":
            self.hear(Direction.STAFF)
        elif step == "other bot writes":
            self.hear(Direction.BOT)
        elif step == "given back" and self.lead.in_handoff:
            handoff.resume(self.lead, by=Lead.Actor.STAFF, reason="given back", now=self.now)
        elif step == "silence":
            emergency_stop.silence(self.pipeline, by="ana", reason="", now=self.now)
        elif step == "let speak":
            emergency_stop.let_speak(self.pipeline, by="ana", now=self.now)
        elif step == "tell":
            self.tell()
        elif step == "agent dies":
            # Told, and whoever told it has died before it noted so.
            with patch.object(agent_events, "_settle"):
                self.tell()
            AgentEvent.objects.filter(state="due").exclude(holder="").update(holder=DEAD)
            agent_events.free([DEAD], now=self.now)
        elif step in ("take", "call", "note", "carry"):
            getattr(self, step)()
        elif step == "worker dies":
            self.under_way.clear()
            claiming_messages.free([DEAD])
        elif step == "worker hangs":
            # Nobody hears of it for longer than it may hold anything; then it goes on as if nothing were.
            Outgoing.objects.exclude(held_until=None).update(held_until=F("held_until") - claiming_messages.HELD_FOR)
        elif step in ("bot speaks", "bot is told of"):
            self.bot_speaks(is_told=step == "bot is told of")
        elif step == "bot is off":
            self.started.clear()
        elif step in ("refuse", "break", "lose"):
            self.answers.append(step)
        elif step == SHUT_FOR_GOOD:
            optout.opt_out(self.lead, by=Lead.Actor.LEAD, reason="pare", now=self.now)

    def check(self) -> None:
        for text, times in Counter(self.spoken).items():
            assert times == 1, text
        for message_id, events in self.told_of.items():
            assert len(events) == 1, message_id
        answers = Row.objects.filter(queued_at__isnull=False).values_list("text", flat=True)
        assert len(set(answers)) == len(answers), "two answers to the same messages"
        for row in Row.objects.filter(queued_at__isnull=False).prefetch_related("parts"):
            assert row.state == message_parts.summed(list(row.parts.all())).state

    def end(self) -> None:
        """Let everybody be well again: all that is under way ends, and nothing the lead wrote is forgotten."""
        self.answers.clear()
        self.do("worker dies")
        self.do("given back")
        self.do("let speak")
        for _ in range(12):
            self.now += timedelta(minutes=6)
            self.do("tell")
            self.do("carry")
            self.do("bot is told of")
            self.check()
        assert not Outgoing.objects.filter(state="due").exists()
        assert not Row.objects.filter(state="queued").exists()
        assert not AgentEvent.objects.filter(state="due").exists()
        inbound = Row.objects.filter(direction="inbound")
        assert not inbound.filter(telling__in=["waiting", "held"]).exists()
        dropped = AgentEvent.objects.filter(state="dropped").values_list("data", flat=True)
        answered_by_others = {message["id"] for data in dropped for message in data.get("messages", ())}
        for row in inbound.filter(telling="told"):
            assert row.message_id in self.told_of.keys() | answered_by_others, "never told"
        in_order = [text.split()[2] for text in self.spoken if text.startswith("resposta")]
        events = {str(pk): at for pk, at in AgentEvent.objects.values_list("pk", "created_at")}
        assert [events[webhook_id] for webhook_id in in_order] == sorted(
            events[webhook_id] for webhook_id in in_order
        ), "in order"


@override_settings(AGENT_WEBHOOK_URL="http://127.0.0.1:9/agent", AGENT_DEBOUNCE_SECONDS=6)
class Always(TestCase):
    @hypothesis.given(st.lists(st.sampled_from(STEPS), min_size=6, max_size=30))
    @hypothesis.settings(max_examples=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
    def test_in_any_order(self, steps: list[str]) -> None:
        with (
            patch.object(channel_kinds, "_call", lambda request: world.by_messenger(request)),
            patch.object(kommo_salesbot, "send", lambda *args, **more: world.by_bot(*args, **more)),
            patch.object(proof_of_arrival, "_was_said", lambda *args, **more: world.was_said(*args)),
            patch.object(proof_of_arrival, "_likeliest", lambda *args: proof_of_arrival.SILENT),
            patch.object(queueing_messages, "nudge", lambda: None),
            time_machine.travel(BEGUN, tick=False) as clock,
        ):
            world = World(clock)
            for step in steps:
                world.do(step)
                world.check()
            world.end()
