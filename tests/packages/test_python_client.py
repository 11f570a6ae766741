"""The Python client: the bridge's own rules of trying again, against a bridge in memory and against the real one."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import httpx
import pytest
from kommo_bridge_client import (
    AwayError,
    Bridge,
    ConversationReporter,
    ErasedError,
    Events,
    Gone,
    KeyRefusedError,
    KnownOtherwiseError,
    MayNotReplyError,
    NotFoundError,
    RefusedError,
    Said,
    Skip,
    SqliteStore,
    calling,
)
from kommo_bridge_client.events import MOST_BYTES
from kommo_bridge_client.reporter import AsyncConversationReporter
from kommo_bridge_client.testing import SECRET, fake_async_bridge, fake_bridge

from bridge.api import api_keys
from bridge.models import ApiKey
from bridge.wsgi import application

PHONE = "+5581999990000"
LOST = httpx.ReadTimeout("no answer")


@pytest.mark.parametrize("trouble", [429, 500, 502, 503, 504, LOST, httpx.ConnectError("refused")])
def test_what_may_have_arrived_is_sent_again_as_the_same(trouble):
    bridge, fake = fake_bridge()
    keys_seen = []
    bridge._http.event_hooks["request"].append(lambda request: keys_seen.append(request.headers.get("Idempotency-Key")))
    fake.answers = [trouble, trouble, 200]
    bridge.record({"lead": {"phone": PHONE}})
    assert len(fake.reports) == 1
    assert len(keys_seen) == 3
    assert len(set(keys_seen)) == 1 and keys_seen[0]


@pytest.mark.parametrize("trouble", [429, 503, LOST])
def test_after_five_tries_it_is_away_and_the_agent_stays_silent(trouble):
    waits: list[float] = []
    bridge, fake = fake_bridge(sleep=waits.append)
    fake.answers = [trouble] * 15
    with pytest.raises(AwayError):
        bridge.record({"lead": {"phone": PHONE}})
    assert waits == [0.5, 1.0, 2.0, 4.0]
    assert bridge.may_reply(PHONE)["may_reply"] is False
    turn = ConversationReporter(bridge, PHONE).heard("oi", id="wamid.1")
    assert (turn.is_away, turn.may_reply) == (True, False)


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("0", 0.5), ("600", calling.LONGEST_WAIT), ("soon", 0.5)])
def test_the_bridge_says_how_long_to_wait(asked, waited):
    call = calling.call("GET", "/x")
    next(call)
    assert call.send(httpx.Response(503, headers={"Retry-After": asked})).seconds == waited


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("Sun, 29 Nov 2026 12:00:09 GMT", 9.0), ("Sun, 29 Nov 2026 12:00:09 -0000", 9.0),
     ("Sun, 29 Nov 2026 11:00:00 GMT", 0.0), ("2.5", 2.5), ("nan", 0.0), ("-4", 0.0), ("", 0.0), (None, 0.0)],
)  # fmt: skip
def test_how_long_to_wait_may_be_said_as_a_moment(asked, waited):
    assert calling.seconds(asked, now=datetime(2026, 11, 29, 12, tzinfo=UTC)) == waited


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, RefusedError), (401, KeyRefusedError), (404, NotFoundError), (409, KnownOtherwiseError), (410, ErasedError),
     (413, RefusedError)],
)  # fmt: skip
def test_what_trying_again_does_not_mend_is_told_at_once(status, kind):
    bridge, fake = fake_bridge()
    fake.answers = [status]
    with pytest.raises(kind):
        bridge.record({"lead": {"phone": PHONE}})
    assert len(fake.calls) == 1


@pytest.mark.parametrize("nobody", [{}, {"phone": None}, {"phone": ""}, {"phone": "", "address": None}])
def test_nobody_is_not_looked_for(nobody):
    bridge, fake = fake_bridge()
    with pytest.raises(ValueError, match="Name the person"):
        bridge.find(**nobody)
    assert fake.calls == []


def answering(response):
    return Bridge(
        "http://bridge.test", "kb_test", transport=httpx.MockTransport(lambda _: response), sleep=lambda _: None
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_address_that_leads_elsewhere_is_told_with_where_it_leads(status):
    elsewhere = httpx.Response(status, headers={"Location": "https://bridge.test/api/v1/interactions/"})
    with pytest.raises(RefusedError, match=r"https://bridge\.test/"):
        answering(elsewhere).record({"lead": {"phone": PHONE}})


def test_a_page_that_is_not_the_bridges_is_no_answer_of_it():
    bridge = answering(httpx.Response(200, html="<h1>Back soon</h1>"))
    with pytest.raises(AwayError, match="is the address right"):
        bridge.record({"lead": {"phone": PHONE}})
    assert bridge.may_reply(PHONE)["may_reply"] is False
    assert ConversationReporter(bridge, PHONE).heard("oi", id="1").is_away


def test_the_bridge_in_memory_tells_people_apart_who_have_no_phone():
    bridge, _ = fake_bridge()
    leads = [
        ConversationReporter(bridge, address=f"lid:{who}@lid").heard("oi", id=who).lead["id"] for who in ("1", "2", "1")
    ]
    assert len(set(leads)) == 2
    statuses = [answer["status"] for answer in bridge.record_many([
        {"lead": {"addresses": [{"kind": "lid", "value": f"{who}@lid"}]}} for who in ("1", "3", "3")
    ])]  # fmt: skip
    assert statuses == [200, 201, 200]


@pytest.mark.parametrize("status", [409, 410])
def test_a_reporter_takes_what_the_bridge_knows_for_known(status):
    bridge, fake = fake_bridge()
    fake.answers = [status]
    turn = ConversationReporter(bridge, PHONE).heard("oi", id="wamid.1")
    assert (turn.known, turn.may_reply) == (True, False)


def test_facts_are_told_when_they_are_new():
    bridge, fake = fake_bridge()
    maria = ConversationReporter(bridge, PHONE, pipeline="solar")
    maria.heard("oi", id="1", name="Maria", bill_value=450, roof="tiles")
    maria.heard("sim", id="2", name="Maria", bill_value=500, roof="tiles")
    fake.answers = [503] * 5
    maria.learned(name="Maria Souza")
    maria.learned(name="Maria Souza")
    leads = [report["lead"] for report in fake.reports]
    assert leads[0] == {"phone": PHONE, "name": "Maria", "bill_value": 450, "custom": {"roof": "tiles"}}
    assert leads[1] == {"phone": PHONE, "bill_value": 500}
    # What did not arrive is told again.
    assert leads[2] == {"phone": PHONE, "name": "Maria Souza"}


def test_both_clients_have_the_same_calls():
    from kommo_bridge_client import AsyncBridge

    public = [
        {name for name in dir(client) if not name.startswith("_")} - {"close", "aclose"}
        for client in (Bridge, AsyncBridge)
    ]
    assert public[0] == public[1]


def test_a_conversation_on_an_event_loop():
    async def talk():
        bridge, fake = fake_async_bridge()
        async with bridge:
            maria = AsyncConversationReporter(bridge, address="lid:1234@lid")
            fake.answers = [503]
            assert (await maria.heard("oi", id="1")).may_reply is True
            await maria.ask_for_person("quer falar com a Ana")
            assert await maria.may_reply() is False
            assert fake.reports[0]["lead"]["addresses"] == [{"kind": "lid", "value": "1234@lid"}]

    asyncio.run(talk())


# --- Events


def due(fake, id="msg_1"):
    return fake.event("followup.due", {"lead": {"id": "1", "phone": PHONE}, "text": "Oi!"}, id=id)


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [(None, 200, {}), (Said("Olá"), 200, {"text": "Olá"}), (Skip("late"), 200, {"skip": True, "reason": "late"}),
     (Gone("invalid_number"), 410, {"reason": "invalid_number"})],
)  # fmt: skip
def test_a_follow_up_is_acted_on_once_and_answered_the_same_again(tmp_path, result, status, body):
    _, fake = fake_bridge()
    acted = []
    for _ in range(2):
        # Another process, after a restart.
        events = Events(SECRET, store=SqliteStore(str(tmp_path / "answered.sqlite3")))
        events.on("followup.due")(lambda event: acted.append(event.data["text"]) or result)
        answer = events.handle(*due(fake))
        assert (answer.status, answer.body) == (status, body)
    assert acted == ["Oi!"]


def test_a_slow_answer_is_given_when_the_bridge_comes_again():
    _, fake = fake_bridge()
    events, may_go_on, acted = Events(SECRET), threading.Event(), []

    @events.on("followup.due", slow=True)
    def say(event):
        may_go_on.wait()
        acted.append(event.id)
        return Said("Olá")

    for _ in range(2):
        answer = events.handle(*due(fake))
        assert (answer.status, answer.headers) == (503, (("Retry-After", "10"),))
    [thread] = [running for running in threading.enumerate() if running.name == "event-msg_1"]
    may_go_on.set()
    thread.join()
    assert events.handle(*due(fake)).body == {"text": "Olá"}
    assert acted == ["msg_1"]


@pytest.mark.parametrize("slow", [False, True])
def test_a_coroutine_function_hears_on_the_loop_that_was_asked(slow):
    _, fake = fake_bridge()
    events, loops = Events(SECRET), []

    @events.on("followup.due", slow=slow)
    async def say(event):
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        return Said("Olá")

    async def served():
        answer = await events.handle_async(*due(fake))
        while answer.status == 503:
            answer = await events.handle_async(*due(fake))
        return answer, asyncio.get_running_loop()

    answer, loop = asyncio.run(served())
    assert (answer.body, loops) == ({"text": "Olá"}, [loop])


def test_a_coroutine_function_hears_where_there_is_no_loop():
    _, fake = fake_bridge()
    events = Events(SECRET)

    @events.on("followup.due")
    async def say(event):
        return Skip("late")

    assert events.handle(*due(fake)).body == {"skip": True, "reason": "late"}


@pytest.mark.parametrize(
    ("method", "size", "status"), [("POST", 0, 200), ("GET", 0, 405), ("POST", MOST_BYTES, 413), ("POST", 1, 401)]
)
def test_events_are_an_asgi_application(method, size, status):
    _, fake = fake_bridge()
    events = Events(SECRET)
    events.on("followup.due")(lambda event: Said("Olá"))
    headers, body = due(fake)
    sent = []
    # In two parts, as servers hand over what is large.
    parts = [{"body": body[:10], "more_body": True}, {"body": body[10:] + b" " * size, "more_body": False}]

    async def receive():
        return parts.pop(0)

    async def send(message):
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(events.asgi({"type": "http", "method": method, "headers": pairs}, receive, send))
    assert sent[0]["status"] == status
    if status == 200:
        assert sent[1]["body"] == b'{"text": "Ol\\u00e1"}'


def test_a_handler_that_fails_is_called_again():
    _, fake = fake_bridge()
    events, calls = Events(SECRET), []

    @events.on("agent.paused")
    def stop(event):
        calls.append(event.id)
        if len(calls) == 1:
            raise RuntimeError("not now")

    headers, body = fake.event("agent.paused", {"lead": {"id": "1"}, "reason": "Ana"})
    with pytest.raises(RuntimeError):
        events.handle(headers, body)
    assert events.handle(headers, body).status == 200
    assert len(calls) == 2


def test_only_the_bridge_is_heard():
    _, fake = fake_bridge()
    events = Events(SECRET)
    headers, body = due(fake)
    assert events.handle(headers, body + b" ").status == 401
    assert events.handle({}, body).status == 401
    assert events.handle({**headers, "webhook-signature": "v1,é!"}, body).status == 401
    assert events.handle({**headers, "webhook-signature": "v1,abc"}, b"\xff").status == 401
    # News that nobody wants, and a follow-up that nobody would say.
    assert events.handle(*fake.event("lead.stage_changed", {"lead": {}})).status == 204
    assert events.handle(headers, body).body["skip"] is True


# --- The real bridge


@pytest.fixture
def bridge(pipeline, connections_stay):
    return Bridge(
        "http://127.0.0.1",
        api_keys.issue(ApiKey(name="client")),
        transport=httpx.WSGITransport(application),
        sleep=lambda _: None,
    )


def test_every_call_is_one_the_real_bridge_has(bridge):
    maria = ConversationReporter(bridge, PHONE)
    turn = maria.heard("oi", id="wamid.1", name="Maria", stage="qualificação", qualification_score=82, roof="tiles")
    assert (turn.stage, turn.may_reply, turn.ignored) == ("qualified", True, ())
    assert maria.said("Olá", id="wamid.2").may_reply
    lead_id = maria.lead_id
    assert bridge.lead(lead_id)["custom"] == {"roof": "tiles"}
    assert bridge.find(PHONE)["id"] == lead_id
    assert bridge.find("+5581988887777") is None
    assert len(list(bridge.timeline(lead_id))) > 1
    assert [
        answer["status"] for answer in bridge.record_many([{"lead": {"phone": "+5581977776666"}}, {"lead": {}}])
    ] == [
        201,
        400,
    ]
    assert len(list(bridge.leads(limit=1))) == 2
    with pytest.raises(RefusedError) as refused:
        bridge.record({"lead": {"phone": "12"}})
    assert refused.value.errors[0]["field"] == "lead.phone"
    # No way out leads to anybody here.
    with pytest.raises(RefusedError):
        bridge.send(lead_id, "Oi")
    maria.ask_for_person("quer falar com a Ana")
    assert maria.may_reply() is False
    with pytest.raises(MayNotReplyError):
        bridge.send(lead_id, "Oi")
    assert bridge.give_back(lead_id)["may_reply"] is True
    assert maria.heard("outra coisa", id="wamid.1").known
    bridge.opt_out(lead_id)
    bridge.erase(lead_id)
    assert maria.heard("oi", id="wamid.1").reason == "this person asked to be forgotten"
    with pytest.raises(NotFoundError):
        bridge.lead("0f9c7c1e-6a0b-4f5e-9d6b-1f2a3b4c5d6e")
    with pytest.raises(KeyRefusedError):
        Bridge("http://127.0.0.1", "kb_no", transport=httpx.WSGITransport(application)).may_reply(PHONE)
