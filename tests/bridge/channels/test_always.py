"""Whatever happens in whatever order: nothing is said while a person has the lead, twice, or to who opted out."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from unittest.mock import patch

import hypothesis
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from bridge.channels import (
    channel_kinds,
    claiming_messages,
    managing_channels,
    queueing_messages,
    send_gate,
    sending_messages,
)
from bridge.models import Outgoing
from followups.signed_calls import Answer
from leads import handoff, interaction_values, interactions, message_parts, optout, same_message
from leads.interaction_values import Direction, Message
from leads.models import Lead, MessagePart, Pipeline
from leads.models import Message as Row
from leads.phone import parse

STEPS = [
    "lead writes", "person writes", "given back", "agent says", "agent says more", "carry", "carry", "carry",
    "refuse", "break", "lose", "delivered", "failed", "die", "opt out",
]  # fmt: skip


class World:
    """One lead, two channels, and everybody who may do something; time goes on by a few seconds with each step."""

    def __init__(self) -> None:
        self.pipeline = Pipeline.objects.get(slug="solar")
        self.now = timezone.now()
        self.said: list[str] = []
        self.answers: list[str] = []
        self.count = 0
        settings = {"url": "http://127.0.0.1:1", "instance": "i", "api_key": "k"}
        for kind in ("evolution", "waha"):
            managing_channels.establish(kind, kind, settings=settings)
        self.lead = self.record(Direction.INBOUND, "oi")

    def record(self, direction: Direction, text: str) -> Lead:
        self.count += 1
        interaction = interaction_values.Interaction(
            phone=parse("+5581999990000", region="BR"),
            occurred_at=self.now,
            message=Message(direction, id=f"m{self.count}", text=text),
        )
        self.pipeline.refresh_from_db()
        return interactions.record(interaction, pipeline=self.pipeline, now=self.now).lead

    def call(self, request: object) -> Answer:
        """Stand in for both messengers."""
        self.lead.refresh_from_db()
        assert not self.lead.in_handoff, "said while a person has the lead"
        assert not self.lead.opted_out_at, "said to somebody who opted out"
        answer = self.answers.pop() if self.answers else ""
        if answer == "refuse":
            return Answer(400, {"message": "no"})
        if answer == "break":
            return Answer(503, {})
        self.said.append(request.body["text"])  # type: ignore[attr-defined]
        if answer == "lose":
            return Answer(None, error="ReadTimeout")
        self.count += 1
        return Answer(201, {"id": f"w{self.count}", "key": {"id": f"w{self.count}"}})

    def do(self, step: str) -> None:
        self.now += timedelta(seconds=7)
        self.lead.refresh_from_db()
        if step == "lead writes":
            self.record(Direction.INBOUND, "sim")
        elif step == "person writes":
            self.record(Direction.STAFF, "Aqui é a Ana")
        elif step == "given back" and self.lead.in_handoff:
            handoff.resume(self.lead, by=Lead.Actor.STAFF, reason="given back", now=self.now)
        elif step.startswith("agent says"):
            self.say(3 if step.endswith("more") else 1)
        elif step == "carry":
            self.carry()
        elif step in ("refuse", "break", "lose"):
            self.answers.append(step)
        elif step in ("delivered", "failed"):
            known = MessagePart.objects.exclude(their_id="").order_by("-pk").first()
            state = "delivered" if step == "delivered" else "not_delivered"
            if known:
                same_message.note_news([message_parts.News((known.their_id,), state, self.now)])
        elif step == "die":
            # Claimed, stored as leaving, and killed: whether before or after the call, nobody knows.
            for task in claiming_messages.claim("dead:1", self.now, limit=8) or ():
                if not task.is_look and self.count % 2:
                    sending_messages.say(task, lambda: self.now)
            claiming_messages.free(["dead:1"])
        elif step == "opt out":
            optout.opt_out(self.lead, by=Lead.Actor.LEAD, reason="pare", now=self.now)

    def say(self, parts: int) -> None:
        self.count += 1
        lead = Lead.objects.select_related("pipeline", "stage").get(pk=self.lead.pk)
        if send_gate.refusal(lead, None, self.now):
            return
        text = "\n\n".join(f"texto {self.count} parte {number}" for number in range(parts))
        with patch("bridge.channels.evolution.LIMIT", 20), patch("bridge.channels.waha.LIMIT", 20):
            queueing_messages.take(lead, text, pipeline=self.pipeline, card=None, now=self.now)

    def carry(self) -> None:
        sending_messages.carry(
            holder="alive:1",
            until=self.now + timedelta(seconds=10),
            pool=sending_messages.Inline(),
            clock=lambda: self.now,
            stay=timedelta(0),
        )

    def check(self) -> None:
        for text, times in Counter(self.said).items():
            # Once by each way at most: again only where a messenger said that it did not arrive.
            failed = Outgoing.objects.filter(message__parts__text=text).exclude(tried=[]).exists()
            assert times == 1 or failed, text
        for row in Row.objects.filter(queued_at__isnull=False):
            states = set(row.parts.values_list("state", flat=True))
            if row.state == Row.State.DELIVERED:
                assert states == {"delivered"}
            if states <= {"queued"}:
                assert row.sent_at is None

    def end(self) -> None:
        """Let all that can still leave do so; nothing stays under way for ever."""
        self.answers.clear()
        for _ in range(6):
            self.now += timedelta(minutes=10)
            self.carry()
        assert not Outgoing.objects.filter(state="due").exists()
        assert not Row.objects.filter(state="queued").exists()
        heard = [text for text in self.said if text.endswith("parte 0")]
        numbers = [int(text.split()[1]) for text in dict.fromkeys(heard)]
        assert numbers == sorted(numbers), "in order"


class Always(TestCase):
    @hypothesis.given(st.lists(st.sampled_from(STEPS), min_size=4, max_size=25))
    @hypothesis.settings(max_examples=40, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
    def test_in_any_order(self, steps: list[str]) -> None:
        world = World()
        with patch.object(channel_kinds, "_call", world.call):
            for step in steps:
                world.do(step)
                world.check()
            world.end()
            world.check()
