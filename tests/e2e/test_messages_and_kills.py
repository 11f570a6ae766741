"""Processes that die with messages on their way, by ways out of every kind: nothing twice, nothing lost, and honest."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from bridge.models import Channel
from tests.bridge.channels.messengers import Messengers
from tests.e2e.stack import Stack, eventually, kinds, running
from tests.e2e.test_followups import SECRET, Agent
from tests.e2e.test_ways_out import channel, message, say, written_to

KILLS = 6
LEADS = 2
SLOW_SECONDS = 0.05
FIELD = "Follow-up"
# What a part may come to whose sender died at it, besides having been said.
UNKNOWN, UNSAID = "unconfirmed", "the bot said nothing"


class Mouth(Agent):
    """The agent as a way out: it says what it is told to say, once per `webhook-id`, as it has to."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, str]] = []
        self.told: dict[str, int] = defaultdict(int)

    def take(self, webhook_id: str, body: dict[str, Any]) -> None:
        if body["type"] != "message.due":
            return
        time.sleep(SLOW_SECONDS)
        with self._lock:
            self.told[webhook_id] += 1
            if self.told[webhook_id] == 1:
                self.said.append((body["data"]["lead"]["id"], body["data"]["text"]))


@dataclass
class Scene:
    """A stack whose pipeline speaks by a way out of every kind, and what people have heard by each."""

    stack: Stack
    messengers: Messengers
    mouth: Mouth
    # By slug: the leads that are written to by it; by lead, the chat in Kommo where they have one.
    leads: dict[str, list[str]] = field(default_factory=dict)
    cards: dict[str, int] = field(default_factory=dict)

    def heard(self, lead_id: str) -> list[str]:
        """Return what this lead was told, in order, by whichever way."""
        by_messengers = [text for text in self.messengers.spoken if lead_id[:8] in text]
        by_agent = [text for who, text in self.mouth.said if who == lead_id]
        if lead_id not in self.cards:
            return by_messengers + by_agent
        in_kommo = self.stack.kommo.get(f"leads/{self.cards[lead_id]}/chat")["messages"]
        return (
            by_messengers
            + by_agent
            + [chat_message["text"] for chat_message in in_kommo if chat_message["direction"] == "outgoing"]
        )


@pytest.fixture
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    messengers, mouth = Messengers(), Mouth()
    directory = tmp_path_factory.mktemp("killed")
    settings = {"AGENT_WEBHOOK_URL": mouth.url, "AGENT_WEBHOOK_SECRET": SECRET}
    try:
        with running(kinds()[0], directory, **settings) as stack:
            yield Scene(stack, messengers, mouth)
    finally:
        messengers.close()
        mouth.close()


def ways_of_all_kinds(scene: Scene) -> list[str]:
    stack, url = scene.stack, scene.messengers.url
    made = requests.post(
        f"{stack.sandbox_url}/api/v4/leads/custom_fields",
        json=[{"name": FIELD, "type": "textarea"}],
        headers={"Authorization": "Bearer sandbox-token"},
        timeout=10,
    )
    assert made.ok, made.text
    stack.manage("kommo_connect", "--create-missing", "--webhook-url", stack.web_url)
    settings: dict[str, dict[str, str]] = {
        "evolution": {"url": url, "instance": "loja", "api_key": "k"},
        "waha": {"url": url, "instance": "default", "api_key": "k"},
        "zapi": {"url": url, "instance": "i", "api_key": "k"},
        "whatsapp_cloud": {"url": url, "phone_number_id": "555", "token": "t"},
        "chatwoot": {"url": url, "account_id": "3", "token": "t"},
        "kommo_chats": {},
        "kommo_salesbot": {"bot_id": "565", "field": FIELD},
        "agent": {},
    }
    assert {*settings, "log"} == set(Channel.Kind.values)
    for kind, its in settings.items():
        channel(stack, kind, kind.replace("_", "-"), **its)
    return [kind.replace("_", "-") for kind in settings]


def test_nothing_is_said_twice_or_lost_whoever_dies_at_it(scene: Scene):
    stack = scene.stack
    slugs = ways_of_all_kinds(scene)
    for slug in slugs:
        scene.leads[slug] = [written_to(stack) for _ in range(LEADS)]
    for lead_id in itertools.chain(scene.leads["kommo-chats"], scene.leads["kommo-salesbot"]):
        scene.cards[lead_id] = stack.synced(lead_id)["kommo_lead_id"]
        # The add-on and bots speak in chats that there are.
        stack.kommo.post(f"leads/{scene.cards[lead_id]}/message", {"direction": "incoming", "text": "oi"})
    scene.messengers.slow = SLOW_SECONDS
    stack.kommo.post("options", {"latency": SLOW_SECONDS})
    texts: dict[str, str] = {}
    order: dict[str, list[str]] = defaultdict(list)
    for turn in range(KILLS):
        for slug, leads in scene.leads.items():
            for lead_id in leads:
                text = f"{slug} {lead_id[:8]} {turn}"
                texts[say(stack, lead_id, text, channel=slug)["id"]] = text
                order[lead_id].append(text)
        time.sleep(0.15 * turn)
        stack.kill("worker")
        stack.start_worker("worker")

    def ended() -> list[dict[str, Any]]:
        rows = [message(stack, wanted) for wanted in texts]
        assert not [row for row in rows if row["state"] == "queued"]
        awaited = [row for row in rows if row["channel"] in ("kommo-salesbot", "agent")]
        assert not [row for row in awaited if row["state"] == "sent"]
        return rows

    rows = eventually(ended, within_seconds=240)
    heard = {lead_id: scene.heard(lead_id) for lead_id in order}
    for row in rows:
        times = heard[row["lead"]].count(texts[row["id"]])
        assert times <= 1, row
        if row["state"] in ("sent", "delivered"):
            assert times == 1, row
        elif row["channel"] == "kommo-salesbot":
            # Kommo tells what its bot has said.
            assert times == 0 and row["reason"].startswith((UNSAID, UNKNOWN)), row
        else:
            # Said or not: nobody knows, and so it is told.
            assert row["channel"] != "agent" and row["reason"].startswith(UNKNOWN), row
    for lead_id, theirs in order.items():
        assert heard[lead_id] == [text for text in theirs if text in heard[lead_id]], lead_id
