"""What a receiver's answer means, over real HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks import Webhook

from followups import signed_calls
from followups.channels import (
    AgentWebhook,
    Evolution,
    Gone,
    LogOnly,
    Outcome,
    Outgoing,
    acts_once,
    configured,
    why_mute,
)

NOW = datetime(2026, 11, 24, 13, tzinfo=UTC)
MESSAGE = Outgoing(
    attempt_id="6f0c", phone="+5511999990000", text="Oi!", sequence="reengagement", step=1, lead={"id": "1"}
)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {}, Outcome.SENT),
        (204, {}, Outcome.SENT),
        (200, {"skip": True}, Outcome.DECLINED),
        (200, {"skip": False}, Outcome.SENT),
        (200, [1], Outcome.SENT),
        (410, {}, Outcome.UNREACHABLE),
        (400, {}, Outcome.RETRY),
        (401, {}, Outcome.RETRY),
        (429, {}, Outcome.RETRY),
        (500, {}, Outcome.RETRY),
        # A redirect could lead anywhere: it is not followed.
        (302, {}, Outcome.RETRY),
    ],
)
def test_the_agents_answer_decides(agent, status, body, outcome):
    agent.answers = [(status, body)]
    assert AgentWebhook().send(MESSAGE, now=NOW).outcome is outcome
    assert len(agent.requests) == 1


@pytest.fixture
def saying(settings) -> Iterator[Callable[..., None]]:
    """Let the agent answer with these very bytes, one piece after the other, then hang up."""
    pieces: list[bytes] = []

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(0.05)
            except OSError:
                # Whoever asked had heard enough.
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.AGENT_WEBHOOK_URL = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        settings.AGENT_WEBHOOK_SECRET = ""
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield lambda *texts: pieces.extend(texts)
        # Where the test failed before it asked, nobody else would let the thread go.
        socket.create_connection(listener.getsockname()).close()
        thread.join()


def test_an_answer_is_read_whole_though_it_comes_in_chunks(saying):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    saying(head, b'9\r\n{"skip": \r\n', b"5\r\ntrue}\r\n0\r\n\r\n")
    assert AgentWebhook().send(MESSAGE, now=NOW).outcome is Outcome.DECLINED


def test_an_agent_that_breaks_off_is_asked_again_under_the_same_id(saying):
    saying(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"skip"')
    result = AgentWebhook().send(MESSAGE, now=NOW)
    assert (result.outcome, "did not arrive whole" in result.reason) == (Outcome.RETRY, True)


def test_an_answer_that_trickles_holds_nobody_up(saying, monkeypatch):
    monkeypatch.setattr(signed_calls, "BODY_SECONDS", 0.2)
    saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *[b" "] * 99)
    result = AgentWebhook().send(MESSAGE, now=NOW)
    assert (result.outcome, "did not end" in result.reason) == (Outcome.RETRY, True)


@pytest.mark.parametrize("secret", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a secret of words", "...", "whsec_"])
def test_the_signature_holds_whatever_the_secret_and_the_zone_of_the_clock(receiver, secret):
    now = datetime.now(timezone(timedelta(hours=-3)))
    assert signed_calls.post(receiver.url, secret, "6f0c", {"olá": 1}, now=now).is_success
    headers, body = receiver.requests[0]
    assert signed_calls.signer(secret).verify(body, headers) == {"olá": 1}
    if secret.endswith("LaSw"):
        assert Webhook(secret).verify(body, headers) == {"olá": 1}


@pytest.mark.parametrize("url", ["nonsense", "http://[bad/", "ftp://x/", "http://" + "a" * 70 + ".example/"])
def test_an_address_that_is_none_is_an_answer_and_not_an_error(settings, url):
    settings.AGENT_WEBHOOK_URL = url
    assert AgentWebhook().send(MESSAGE, now=NOW).outcome is Outcome.RETRY


def test_an_agent_that_is_away_is_tried_again(settings):
    settings.AGENT_WEBHOOK_URL = "http://127.0.0.1:9/nobody"
    result = AgentWebhook().send(MESSAGE, now=NOW)
    assert (result.outcome, "did not answer" in result.reason) == (Outcome.RETRY, True)


def test_without_an_address_messages_are_only_logged(settings):
    settings.AGENT_WEBHOOK_URL = ""
    assert isinstance(configured(), LogOnly)
    result = configured().send(MESSAGE, now=NOW)
    assert (result.outcome, result.reason) == (Outcome.NOT_SENT, "only logged: AGENT_WEBHOOK_URL is empty")
    assert why_mute() == result.reason


@pytest.mark.parametrize("path", ["foo.Bar", "followups.channels.Nothing", "nonsense", "followups.channels.Outgoing"])
def test_a_channel_that_cannot_be_made_says_nothing_and_why(settings, path):
    settings.FOLLOWUP_CHANNEL = path
    result = configured().send(MESSAGE, now=NOW)
    assert result.outcome is Outcome.NOT_SENT
    assert result.reason.startswith("only logged: FOLLOWUP_CHANNEL cannot be used (")


def test_with_an_agent_there_is_a_way(agent):
    assert why_mute() == ""


@pytest.mark.parametrize(
    ("body", "gone", "reason"),
    [
        ({}, Gone.UNCLEAR, "the agent says the number is invalid or the person opted out"),
        ([], Gone.UNCLEAR, "the agent says the number is invalid or the person opted out"),
        ({"reason": 7}, Gone.UNCLEAR, "the agent says the number is invalid or the person opted out"),
        ({"reason": "who knows"}, Gone.UNCLEAR, "the agent says the number is invalid or the person opted out"),
        ({"reason": "invalid_number"}, Gone.INVALID, "the agent says the number is invalid"),
        ({"reason": " Opted out "}, Gone.OPTED_OUT, "the agent says the person opted out"),
    ],
)
def test_an_agent_that_cannot_reach_somebody_may_say_why(agent, body, gone, reason):
    agent.answers = [(410, body)]
    result = AgentWebhook().send(MESSAGE, now=NOW)
    assert (result.outcome, result.gone, result.reason) == (Outcome.UNREACHABLE, gone, reason)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"text": "Oi, Maria, tudo bem?"}, "Oi, Maria, tudo bem?"),
        ({"text": "  Oi\0!  "}, "Oi!"),
        ({"text": "x" * 9000}, "x" * 4000),
        ({"text": ""}, ""),
        ({"text": 5}, ""),
        ({}, ""),
    ],
)
def test_the_agent_may_say_what_it_really_said(agent, body, text):
    agent.answers = [(200, body)]
    assert AgentWebhook().send(MESSAGE, now=NOW).text == text


def test_evolution_gets_number_and_text(receiver, settings):
    settings.FOLLOWUP_CHANNEL = "followups.channels.Evolution"
    settings.EVOLUTION_URL, settings.EVOLUTION_INSTANCE = receiver.url.removesuffix("/hook"), "vendas"
    settings.EVOLUTION_API_KEY = "k"
    channel = configured()
    assert isinstance(channel, Evolution)
    assert channel.send(MESSAGE, now=NOW).outcome is Outcome.SENT
    assert receiver.bodies() == [{"number": "5511999990000", "text": "Oi!"}]
    assert receiver.requests[0][0]["apikey"] == "k"

    receiver.answers = [(400, {"response": {"message": [{"exists": False}]}})]
    result = channel.send(MESSAGE, now=NOW)
    assert (result.outcome, result.gone) == (Outcome.UNREACHABLE, Gone.INVALID)


@pytest.mark.parametrize("message", [["instance already exists"], "number exists twice", None, [{"exists": True}]])
def test_nobody_is_written_off_for_a_fault_of_the_evolution_server(receiver, settings, message):
    settings.EVOLUTION_URL, settings.EVOLUTION_INSTANCE = receiver.url.removesuffix("/hook"), "vendas"
    settings.EVOLUTION_API_KEY = "k"
    receiver.answers = [(400, {"response": {"message": message}})]
    assert Evolution().send(MESSAGE, now=NOW).outcome is Outcome.RETRY


@pytest.fixture
def evolution(settings, receiver):
    settings.EVOLUTION_URL, settings.EVOLUTION_INSTANCE = receiver.url.removesuffix("/hook"), "vendas"
    settings.EVOLUTION_API_KEY = "k"
    return receiver


def test_evolution_is_not_asked_twice_where_the_first_answer_was_lost(saying, settings, monkeypatch):
    settings.EVOLUTION_URL, settings.EVOLUTION_INSTANCE = settings.AGENT_WEBHOOK_URL, "vendas"
    settings.EVOLUTION_API_KEY = "k"
    # It takes the message, and hangs up without a word.
    assert Evolution().send(MESSAGE, now=NOW).outcome is Outcome.UNCONFIRMED


def test_evolution_is_asked_again_where_it_was_never_reached(settings):
    settings.EVOLUTION_URL, settings.EVOLUTION_INSTANCE = "http://127.0.0.1:9", "vendas"
    settings.EVOLUTION_API_KEY = "k"
    assert Evolution().send(MESSAGE, now=NOW).outcome is Outcome.RETRY


@pytest.mark.parametrize(
    ("status", "outcome"), [(500, Outcome.RETRY), (503, Outcome.RETRY), (504, Outcome.UNCONFIRMED)]
)
def test_a_gateway_that_waited_in_vain_leaves_it_open_whether_evolution_has_sent(evolution, status, outcome):
    evolution.answers = [(status, {})]
    assert Evolution().send(MESSAGE, now=NOW).outcome is outcome


def test_a_channel_that_does_not_say_it_acts_once_is_not_trusted_to():
    class Theirs:
        def send(self, message, *, now):
            raise NotImplementedError

    assert not acts_once(Theirs())
    assert acts_once(AgentWebhook())
    assert not acts_once(Evolution())


def test_a_password_of_the_machine_is_not_given_to_the_receiver(receiver, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login root password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setattr(signed_calls, "_local", threading.local())
    assert signed_calls.post(receiver.url, "", "6f0c", {}, now=NOW).is_success
    assert "authorization" not in receiver.requests[0][0]


def test_the_proxy_of_the_environment_is_used(receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", receiver.url)
    monkeypatch.setattr(signed_calls, "_local", threading.local())
    assert signed_calls.post("http://agent.example/hook", "", "6f0c", {}, now=NOW).is_success
    assert receiver.requests[0][0]["host"] == "agent.example"
