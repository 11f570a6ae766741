"""A messenger tells the conversation by itself, on real processes: nobody reports anything."""

from __future__ import annotations

import time
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
        told = body(name, **{f"data__key__{key}": value for key, value in changes.items()})
        told["data"]["messageTimestamp"] = int(time.time())
        assert requests.post(f"{stack.web_url}{path}", json=told, timeout=10).status_code == 200

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
