"""Messages to leads on real processes: in order, once, and honest about what nobody can know."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.bridge.channels.messengers import Messengers
from tests.e2e.stack import Stack, eventually, kinds, new_phone, running

# Of all that other tests here have made, these two are the pipeline's, in this order.
BOT_BEFORE_EVOLUTION = """
from bridge.models import Channel
Channel.objects.exclude(slug__in=("bot", "evo")).update(is_active=False)
for position, slug in enumerate(("bot", "evo")):
    Channel.objects.filter(slug=slug).update(position=position)
"""


@pytest.fixture(scope="module")
def messengers() -> Iterator[Messengers]:
    server = Messengers()
    yield server
    server.close()


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(kinds()[0], tmp_path_factory.mktemp("speaking")) as stack:
        yield stack


def channel(stack: Stack, kind: str, slug: str, **settings: str) -> str:
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return stack.manage("channel", kind, slug, *pairs)


def written_to(stack: Stack) -> str:
    message = {"id": f"in-{time.time_ns()}", "direction": "inbound", "text": "oi"}
    return str(stack.tell(new_phone(), message=message)["lead"]["id"])


def say(stack: Stack, lead_id: str, text: str, **more: Any) -> dict[str, Any]:
    answer = stack.call("POST", f"leads/{lead_id}/messages/", {"text": text, **more})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def message(stack: Stack, message_id: str) -> dict[str, Any]:
    return dict(stack.call("GET", f"messages/{message_id}/").json())


def test_a_person_who_writes_between_two_parts_keeps_the_third_from_leaving(speaking: Stack, messengers: Messengers):
    channel(speaking, "waha", "waha", url=messengers.url, instance="default", api_key="k")
    lead_id = written_to(speaking)
    mark = f"{time.time_ns()}"
    parts = [f"{mark} {number} " + "palavra " * 500 for number in (1, 2, 3)]
    messengers.slow = 1.0
    try:
        taken = say(speaking, lead_id, "\n\n".join(parts), channel="waha")
        assert len(taken["parts"]) == 3

        def first_has_left() -> None:
            assert [text for text in messengers.spoken if text.startswith(f"{mark} 1")]

        eventually(first_has_left)
        report = {"id": f"p-{mark}", "direction": "staff", "text": "Aqui é a Ana"}
        phone = speaking.lead(lead_id)["phone"]
        speaking.tell(phone, message=report)
    finally:
        messengers.slow = 0.0

    def refused() -> dict[str, Any]:
        row = message(speaking, taken["id"])
        assert row["state"] == "refused", row
        return row

    row = eventually(refused)
    assert row["parts"][2]["state"] == "refused"
    assert not [text for text in messengers.spoken if text.startswith(f"{mark} 3")]
    assert speaking.call("POST", f"leads/{lead_id}/messages/", {"text": "x"}).status_code == 409
    # Handed back, it goes on.
    assert speaking.call("DELETE", f"leads/{lead_id}/handoff/").ok
    again = say(speaking, lead_id, f"{mark} de volta", channel="waha")

    def sent() -> None:
        assert message(speaking, again["id"])["state"] == "sent"

    eventually(sent)


def test_inside_kommo_a_silent_bot_is_found_out_and_the_next_channel_says_it(speaking: Stack, messengers: Messengers):
    url = f"{speaking.sandbox_url}/api/v4/leads/custom_fields"
    headers = {"Authorization": "Bearer sandbox-token"}
    made = requests.post(url, json=[{"name": "Follow-up", "type": "textarea"}], headers=headers, timeout=10)
    assert made.ok, made.text
    speaking.manage("kommo_connect", "--create-missing", "--webhook-url", speaking.web_url)
    channel(speaking, "kommo_salesbot", "bot", bot_id="565", field="Follow-up")
    channel(speaking, "evolution", "evo", url=messengers.url, instance="loja", api_key="k")
    lead_id = written_to(speaking)
    card = speaking.synced(lead_id)["kommo_lead_id"]

    def state(message_id: str, wanted: str) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            row = message(speaking, message_id)
            assert row["state"] == wanted, row
            return row

        return eventually(look, within_seconds=40)

    spoken = say(speaking, lead_id, "Pelo bot", channel="bot")
    state(spoken["id"], "delivered")
    speaking.kommo.post("options", {"bots_run": False})
    try:
        began = time.monotonic()
        silent = say(speaking, lead_id, "Ninguém ouve", channel="bot")
        row = state(silent["id"], "not_delivered")
        assert 14 <= time.monotonic() - began <= 30
        assert "said nothing" in row["reason"] or "another bot" in row["reason"]
        # Where no way is named, the next one of the pipeline says what the bot did not, and says it once.
        speaking.manage("shell", "--command", BOT_BEFORE_EVOLUTION)
        mark = f"O próximo diz {time.time_ns()}"
        taken = say(speaking, lead_id, mark)
        assert taken["channel"] == "bot", taken

        def said_by_the_next() -> None:
            row = message(speaking, taken["id"])
            assert (row["state"], row["channel"]) == ("sent", "evo"), row
            assert messengers.spoken.count(mark) == 1

        eventually(said_by_the_next, within_seconds=40)
    finally:
        speaking.kommo.post("options", {"bots_run": True})
    # Nor later by the bot, once bots run again.
    said_in_kommo = [each_message["text"] for each_message in speaking.kommo.get(f"leads/{card}/chat")["messages"]]
    assert mark not in said_in_kommo
