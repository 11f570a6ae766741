"""A messenger tells the conversation by itself, on real processes: nobody reports anything."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from tests.bridge.intakes.bodies import body
from tests.e2e.stack import Stack, eventually, new_phone


def test_a_lead_heard_by_a_way_in_gets_a_card_and_staff_on_the_phone_silence_the_agent(stack: Stack):
    path = stack.manage("intake", "evolution", "e2e")
    jid = f"{new_phone().lstrip('+')}@s.whatsapp.net"
    hidden = f"{time.time_ns()}"[-15:] + "@lid"

    def hear(name: str, number: int, chat: str, alt: str | None) -> None:
        changes = {"remoteJid": chat, "remoteJidAlt": alt, "id": f"E2E{hidden}{number}"}
        call = body(name, **{f"data__key__{key}": value for key, value in changes.items()})
        call["data"]["messageTimestamp"] = int(time.time())
        assert requests.post(f"{stack.web_url}{path}", json=call, timeout=10).status_code == 200

    def card(address: str) -> dict[str, Any]:
        found = stack.call("GET", f"leads/?address={address}").json()["results"]
        assert [bool(lead["kommo_lead_id"]) for lead in found] == [True]
        return dict(found[0])

    hear("evolution/01", 1, hidden, None)
    first = eventually(lambda: card(f"lid:{hidden}"))
    hear("evolution/01", 2, hidden, jid)
    both = eventually(lambda: card(f"whatsapp:{jid}"))
    assert (both["id"], both["kommo_lead_id"]) == (first["id"], first["kommo_lead_id"])

    def may_reply() -> bool:
        return bool(stack.call("GET", f"agent/may-reply/?address=lid:{hidden}").json()["may_reply"])

    assert may_reply()
    hear("evolution/03", 3, jid, hidden)

    def silent() -> None:
        assert not may_reply()

    eventually(silent)


def test_a_lead_of_instagram_books_by_calendar_and_their_number_comes_to_the_card(stack: Stack):
    chat, calendar = stack.manage("intake", "chatwoot", "e2e-insta"), stack.manage("intake", "calcom", "e2e-agenda")
    user, phone, moment = f"{time.time_ns()}"[-16:], new_phone(), f"{time.time_ns()}"
    nobody = {"sender__phone_number": None, "conversation__meta__sender__phone_number": None}
    channel = {"conversation__channel": "Channel::Instagram", "conversation__contact_inbox__source_id": user}
    call = body("chatwoot/01", **nobody, **channel, id=int(moment[-9:]), source_id=f"ig{moment}")
    for _ in range(2):
        assert requests.post(f"{stack.web_url}{chat}", json=call, timeout=10).status_code == 200

    def heard() -> dict[str, Any]:
        found = stack.call("GET", f"leads/?address=instagram:{user}").json()["results"]
        assert len(found) == 1
        return dict(found[0])

    lead = eventually(heard)
    assert lead["phone"] is None
    first = stack.synced(lead["id"])
    # The agent reports the same message as well, under the messenger's id.
    report = {
        "lead": {"addresses": [{"kind": "instagram", "value": user}]},
        "message": {"id": f"ig{moment}", "direction": "inbound", "text": call["content"]},
    }
    assert stack.call("POST", "interactions/", report).status_code == 200
    messages = [row for row in stack.timeline(lead["id"]) if row["data"].get("message")]
    assert [row["data"]["message"]["text"] for row in messages] == [call["content"]]

    starts_at = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%dT%H:00:00Z}"
    booked = {"metadata__lead": lead["id"], "startTime": starts_at, "uid": f"uid{moment}"}
    booking = body(
        "calcom/01",
        createdAt=datetime.now(UTC).isoformat(),
        **{f"payload__{path}": value for path, value in booked.items()},
        payload__responses__attendeePhoneNumber={"label": "phone_number", "value": phone, "isHidden": False},
    )
    assert requests.post(f"{stack.web_url}{calendar}", json=booking, timeout=10).status_code == 200

    def in_the_diary() -> dict[str, Any]:
        found = stack.lead(lead["id"])
        assert (found["stage"], found["meeting"] and found["meeting"]["id"]) == ("meeting_scheduled", f"uid{moment}")
        return found

    assert eventually(in_the_diary)["phone"] == phone
    card = eventually(lambda: stack.card(phone))
    assert card["id"] == first["kommo_lead_id"]


def test_twenty_clients_at_once_lose_and_double_nothing(stack: Stack):
    url = stack.web_url + stack.manage("intake", "evolution", "e2e-many")
    phones = [new_phone() for _ in range(20)]
    words = [f"mensagem {number}" for number in range(5)]
    written_at = int(time.time()) - 60

    def bodies(phone: str) -> list[Any]:
        calls = [
            body(
                "evolution/01",
                data__key__remoteJid=f"{phone[1:]}@s.whatsapp.net",
                data__key__remoteJidAlt=None,
                data__key__id=f"MANY{phone}{number}",
                data__message={"conversation": text},
                data__messageTimestamp=written_at + number,
            )
            for number, text in enumerate(words)
        ]
        # Each twice, in any order.
        return random.Random(phone).sample(calls * 2, 2 * len(calls))

    def speak(phone: str) -> list[int]:
        with requests.Session() as client:
            return [client.post(url, json=call, timeout=60).status_code for call in bodies(phone)]

    with ThreadPoolExecutor(len(phones)) as clients:
        answers = [code for codes in clients.map(speak, phones) for code in codes]
    assert answers == [200] * (2 * len(words) * len(phones))

    def texts(phone: str) -> list[str]:
        found = stack.call("GET", f"leads/?address=phone:%2B{phone[1:]}").json()["results"]
        assert len(found) == 1
        return [row["text"] for row in stack.call("GET", f"leads/{found[0]['id']}/messages/").json()["results"]]

    def all_heard() -> None:
        assert {tuple(texts(phone)) for phone in phones} == {tuple(words)}

    eventually(all_heard)
