"""What the Python client's page shows, typed as it stands there, with a messenger and a model of the reader's own."""

from __future__ import annotations

import re
import types

import kommo_bridge_client
import pytest
from kommo_bridge_client.testing import SECRET, fake_bridge

from tests.repository import ROOT, text_of

pytestmark = pytest.mark.once

CONVERSATION, EVENTS, OF_TESTS = re.findall(
    r"^```python\n(.*?)^```", text_of(ROOT / "packages" / "python-client" / "README.md"), re.MULTILINE | re.DOTALL
)
lines = []


class Messenger:
    def send(self, text: str) -> None:
        lines.append(text)

    def has(self, phone: str) -> bool:
        return phone.startswith("+55")


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines.clear()
    return {"my_model": lambda text: f"Sobre “{text}”: sim.", "my_whatsapp": Messenger()}


def test_the_conversation_is_reported_both_ways(theirs, monkeypatch):
    bridge, fake = fake_bridge()
    monkeypatch.setattr(kommo_bridge_client, "Bridge", lambda address, key: bridge)
    exec(CONVERSATION, theirs)
    assert [report["message"]["direction"] for report in fake.reports] == ["inbound", "outbound"]
    assert fake.reports[0]["lead"]["qualification_score"] == 82
    assert lines == [fake.reports[1]["message"]["text"]]


@pytest.mark.parametrize(
    ("phone", "body"), [("+5581999990000", {"text": "Sobre “Oi!”: sim."}), ("+1", {"reason": "invalid_number"})]
)
def test_a_follow_up_is_said_once_however_long_the_model_takes(theirs, phone, body):
    exec(EVENTS.replace("whsec_…", SECRET), theirs)
    _, fake = fake_bridge()
    due = fake.event("followup.due", {"lead": {"id": "1", "phone": phone}, "text": "Oi!"})
    while (answer := theirs["events"].handle(*due)).status == 503:
        pass
    assert answer.body == body
    assert len(lines) == ("text" in body)


def test_a_person_who_takes_over_silences_the_agent(theirs):
    silenced = []
    theirs["my_agent"] = types.SimpleNamespace(silence=lambda lead, reason: silenced.append((lead, reason)))
    exec(EVENTS.replace("whsec_…", SECRET), theirs)
    _, fake = fake_bridge()
    taken = fake.event("agent.paused", {"lead": {"id": "1", "phone": None}, "reason": "Ana"})
    assert theirs["events"].handle(*taken).status == 200
    assert silenced == [("1", "Ana")]


def test_an_agent_is_tested_against_a_bridge_in_memory(theirs):
    def my_agent(bridge):
        maria = kommo_bridge_client.ConversationReporter(bridge, phone="+5581999990000")
        return types.SimpleNamespace(on_message=lambda text: maria.heard(text))

    exec(OF_TESTS, theirs | {"my_agent": my_agent})
