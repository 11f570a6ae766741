"""The demo's own parts: rules in a hurry, an agent that acts once, ports that two demos do not share, and patience."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import yaml
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.configuration import exporting, yaml_file
from bridge.demo import stage
from bridge.demo.agent import Mailbox, Reply, answer
from bridge.demo.checking import Agent
from bridge.demo.conversations import CONVERSATIONS
from bridge.demo.rules import hurried
from bridge.demo.stage import Stage, StageError, free_port
from bridge.installed_paths import CODE
from common.name_spellings import name_key
from leads.models import Stage as LeadStage

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# A server that takes its time before it listens.
WAITS = """
import sys, time
from http.server import HTTPServer, SimpleHTTPRequestHandler
{nap}
HTTPServer(("127.0.0.1", int(sys.argv[1])), SimpleHTTPRequestHandler).serve_forever()
"""


def signed(event_id, body):
    now = datetime.now(UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(event_id, now, body),
    }


def test_the_conversations_reach_every_stage_of_the_pipeline(pipeline):
    reached = {name_key(conversation.stage) for conversation in CONVERSATIONS}
    to_reach = pipeline.stages.filter(kind=LeadStage.Kind.OPEN).values_list("name", flat=True)
    assert reached == {name_key(name) for name in to_reach}


def test_rules_in_a_hurry_differ_in_how_long_they_wait_and_in_who_hears_kommos_chats(pipeline):
    before = yaml_file.dump(exporting.read())
    after = yaml.safe_load(hurried(before, seconds=2))["pipelines"][0]
    was = yaml.safe_load(before)["pipelines"][0]
    assert "quiet_hours" in was and "quiet_hours" not in after
    assert {step["delay"] for step in after["sequences"][0]["steps"]} == {"PT2S"}
    assert after.pop("conversations") == "kommo"
    for document in (after, was):
        document.pop("quiet_hours", None), document.pop("sequences"), document.pop("conversations", None)
    assert after == was


def test_the_agent_takes_an_event_once_and_only_from_the_bridge():
    mailbox = Mailbox(SECRET)
    body = '{"type": "followup.due", "data": {"lead": {"phone": "+5581999990000"}, "text": "Oi!"}}'
    for _ in range(2):
        mailbox.take(body.encode(), signed("one", body))
    mailbox.take(body.encode(), signed("other", body))
    with pytest.raises(WebhookVerificationError):
        mailbox.take(body.encode(), signed("one", body + " "))
    assert mailbox.heard() == {"+5581999990000": ["followup.due", "followup.due"]}


@pytest.mark.parametrize(
    ("texts", "reply"),
    [
        (["Oi! Quanto dá para economizar?"], Reply()),
        (
            ["Uns", "R$ 4.800"],
            Reply("Com essa conta compensa muito. Marquei nossa conversa para terça às 14h!", "R$ 4.800"),
        ),
    ],
)
def test_the_agent_answers_once_it_is_told_the_bill(texts, reply):
    assert answer([{"text": text} for text in texts]) == reply


def test_the_agent_answers_in_kommos_chats_what_it_may_and_once():
    lines = []
    mailbox = Mailbox(SECRET, lambda event_id, data: lines.append((event_id, data["channel"])))
    for number, (channel, may_reply) in enumerate([("kommo", True), ("kommo", False), ("demo-evolution", True)]):
        data = {"lead": {"phone": "+5581999990000"}, "channel": channel, "may_reply": may_reply, "messages": []}
        body = json.dumps({"type": "message.received", "data": data})
        for _ in range(2):
            mailbox.take(body.encode(), signed(f"e{number}", body))
    assert lines == [("e0", "kommo")]


def test_an_answer_that_did_not_leave_is_tried_again_when_the_event_comes_again():
    tries = []

    def fail_once(event_id, data):
        tries.append(event_id)
        if len(tries) == 1:
            raise ConnectionError

    mailbox = Mailbox(SECRET, fail_once)
    data = {"lead": {"phone": "+5581999990000"}, "channel": "kommo", "may_reply": True, "messages": []}
    body = json.dumps({"type": "message.received", "data": data})
    with pytest.raises(ConnectionError):
        mailbox.take(body.encode(), signed("one", body))
    mailbox.take(body.encode(), signed("one", body))
    assert (tries, mailbox.heard()) == (["one", "one"], {"+5581999990000": ["message.received"]})


@pytest.mark.parametrize(
    ("heard", "may_reply", "wrong"),
    [
        (["agent.paused"], False, []),
        ([], False, ["the agent was not told to keep quiet"]),
        (["agent.paused"], True, ["the agent may still reply"]),
        (["agent.paused", "followup.due"], False, ["1 of 0 follow-ups reached the agent"]),
    ],
)
def test_a_card_is_right_only_if_the_agent_knows_too(heard, may_reply, wrong):
    dragged = next(conversation for conversation in CONVERSATIONS if conversation.is_silent)
    assert list(Agent({dragged.phone: heard}, lambda phone: may_reply).problems(dragged)) == wrong


def test_two_demos_do_not_take_the_same_port():
    port = free_port(0)
    command = f"from bridge.demo.stage import free_port; print(free_port({port})); input()"
    with subprocess.Popen(
        [sys.executable, "-c", command], cwd=CODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert int(other.stdout.readline()) == port
        # Nobody listens there yet, and still it is another's.
        assert free_port(port) != port
        other.communicate("\n")
    assert free_port(port) == port == free_port(port)


def test_a_slow_start_is_waited_for_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "SAY_AGAIN_SECONDS", 0.2)
    lines, port = [], free_port(0)
    with Stage(tmp_path, web_port=0, sandbox_port=0, say=lines.append) as slow:
        slow.start("web", [sys.executable, "-c", WAITS.format(nap="time.sleep(1.5)"), str(port)])
        slow.wait_for("web", f"http://127.0.0.1:{port}/")
    assert any("the web is still starting" in line for line in lines)


def test_what_ends_at_its_start_is_not_waited_for(tmp_path):
    with Stage(tmp_path, web_port=0, sandbox_port=0) as broken:
        broken.start("web", [sys.executable, "-c", "raise SystemExit(3)"])
        with pytest.raises(StageError, match=r"the web ended at once; its log is .*web\.log"):
            broken.wait_for("web", f"http://127.0.0.1:{free_port(0)}/")


def test_a_command_that_fails_on_a_busy_machine_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "BETWEEN_TRIES_SECONDS", 0)
    lines, tries = [], []

    def manage(*arguments):
        tries.append(arguments)
        if len(tries) < 3:
            raise StageError("manage.py kommo_connect: no connection to Kommo")
        return "connected"

    patient = Stage(tmp_path, web_port=0, sandbox_port=0, say=lines.append)
    monkeypatch.setattr(patient, "manage", manage)
    assert patient.manage_patiently("kommo_connect") == "connected"
    assert lines == [f"… manage.py kommo_connect: no connection to Kommo Trying again ({number})." for number in (1, 2)]


def test_a_play_writes_to_nobody_and_shares_nothing_with_a_bridge_of_ones_own(tmp_path, monkeypatch):
    settings_of_ones_own = {
        "KOMMO_BASE_URL": "https://acme.kommo.com", "EMAIL_URL": "smtp://mail", "ALERT_EMAILS": "ana@example.com",
        "ALERT_WEBHOOK_URL": "https://chat.example", "EVOLUTION_URL": "https://evolution.example",
        "SENTRY_DSN": "https://key@sentry.example/1", "REDIS_URL": "redis://redis", "Q_BROKER": "redis", "PATH": "/bin",
    }  # fmt: skip
    for name, value in settings_of_ones_own.items():
        monkeypatch.setenv(name, value)

    environment = Stage(tmp_path, web_port=0, sandbox_port=8010).environment

    assert {name for name in settings_of_ones_own if environment.get(name) == settings_of_ones_own[name]} == {"PATH"}
    assert environment["SESSION_COOKIE_NAME"] != "sessionid"
