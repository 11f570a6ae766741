"""The Model Context Protocol as clients of both its ages speak it, and what is no message of it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge.mcp import protocol
from leads.agent_or_person import hand_over
from leads.models import Lead
from tests.bridge.mcp.conftest import META, MODERN, Model, model_with

READING = {
    "find_lead", "why_here", "why_waiting", "timeline", "may_reply", "funnel", "results", "preview_threshold"
}  # fmt: skip
ACTING = {"hand_over", "give_back", "hold_followup"}


@pytest.mark.parametrize("version", protocol.INTRODUCED)
def test_a_client_introduces_itself_in_its_own_version(model, version):
    answer = model.ask("initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "c", "version": "1"})
    assert answer.json()["result"]["protocolVersion"] == version
    assert answer.json()["result"]["capabilities"] == {"tools": {}}
    taken = model.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, **{"mcp-protocol-version": version})
    assert (taken.status_code, taken.content) == (202, b"")
    assert model.ask("ping").json()["result"] == {}


def test_a_version_nobody_knows_gets_the_newest_of_those_that_introduce_themselves(model):
    assert model.ask("initialize", protocolVersion="1999-01-01").json()["result"]["protocolVersion"] == "2025-11-25"


def test_a_request_that_stands_alone_is_told_what_there_is(model):
    model.stands_alone = True
    found = model.ask("server/discover").json()["result"]
    assert MODERN in found["supportedVersions"]
    assert found["resultType"] == "complete"
    listed = model.ask("tools/list").json()["result"]
    assert {tool["name"] for tool in listed["tools"]} == READING
    assert listed["ttlMs"] > 0


@pytest.mark.parametrize("stands_alone", [False, True])
def test_a_key_that_may_act_has_more_tools_and_every_tool_says_whether_it_reads(model, acting, stands_alone):
    model.stands_alone = acting.stands_alone = stands_alone
    for who, wanted in ((model, READING), (acting, READING | ACTING)):
        tools = who.ask("tools/list").json()["result"]["tools"]
        assert {tool["name"] for tool in tools} == wanted
        assert {tool["name"] for tool in tools if not tool["annotations"]["readOnlyHint"]} == wanted & ACTING
        assert all(tool["inputSchema"]["additionalProperties"] is False for tool in tools)


@pytest.mark.parametrize("name", sorted(ACTING))
def test_a_key_that_only_reads_has_no_tool_that_acts(model, name):
    answer = model.ask("tools/call", name=name, arguments={"lead": "+5581999990000", "reason": "…"}).json()
    assert answer["error"]["code"] == protocol.INVALID_PARAMS


HEADERS = {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ("{", {}, 400, -32700),
        ([LIST], {}, 400, -32600),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, {}, 400, -32600),
        (LIST | {"id": {"a": 1}}, {}, 200, -32600),
        (LIST | {"params": []}, {}, 200, -32602),
        (LIST | {"method": "resources/list"}, {}, 200, -32601),
        (LIST | {"method": "resources/list"}, HEADERS | {"mcp-method": "resources/list"}, 404, -32601),
        (LIST, HEADERS | {"mcp-method": "tools/call"}, 400, -32020),
        (LIST | {"params": {}}, HEADERS, 400, -32602),
        (LIST, HEADERS | {"mcp-protocol-version": "2031-01-01"}, 400, -32022),
        (LIST | {"method": "tools/call", "params": {"name": 7}}, {}, 200, -32602),
        (LIST | {"method": "tools/call", "params": {"name": "drop_table"}}, {}, 200, -32602),
    ],
)
def test_what_is_no_request_is_told_so(model, body, headers, status, code):
    answer = model.post(body, **headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_either_scheme_of_a_key_opens_with_or_without_the_last_slash(pipeline, model):
    ping = {"jsonrpc": "2.0", "id": "a", "method": "ping"}
    key = model._authorization.split()[1]
    for scheme in ("Bearer", "bearer", "Api-Key"):
        assert Model(key, scheme=scheme).post(ping, path="/mcp").json() == {"jsonrpc": "2.0", "id": "a", "result": {}}


def test_without_a_key_in_force_nothing_is_answered(pipeline, client):
    for headers in ({}, {"authorization": "Bearer kb_no"}, {"authorization": "Basic eDp5"}):
        answer = client.post("/mcp/", "{}", content_type="application/json", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_the_rest_api_takes_no_bearer(model, client):
    answer = client.get("/api/v1/leads/", headers={"authorization": model._authorization})
    assert answer.status_code == 401


def test_there_is_no_stream_and_no_session(model, client):
    for method in ("get", "delete"):
        assert getattr(client, method)("/mcp/", headers={"authorization": model._authorization}).status_code == 405


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("http://[::1", 403),
        ("http://127.0.0.1:6274", 200),
        ("https://bridge.example", 200),
    ],
)
def test_pages_of_other_hosts_are_refused(model, origin, status):
    assert model.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, origin=origin).status_code == status


def test_calls_of_a_key_are_counted_with_those_of_the_api(model, settings):
    settings.API_REQUESTS_PER_SECOND = 0
    answer = model.ask("ping")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]


def test_a_database_that_is_away_is_said_as_the_api_says_it(model, monkeypatch):
    from django.db import OperationalError

    from bridge.mcp import explaining_tools

    def away(*_, **__):
        raise OperationalError("gone")

    monkeypatch.setattr(explaining_tools.funnel, "lately", away)
    answer = model.ask("tools/call", name="funnel", arguments={})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_the_command_makes_keys_that_may_act(pipeline, capsys):
    from django.core.management import call_command

    from bridge.models import ApiKey

    call_command("api_key", "reads")
    call_command("api_key", "acts", scope="act")
    assert dict(ApiKey.objects.values_list("name", "may_act")) == {"reads": False, "acts": True}
    keys = capsys.readouterr().out.split()
    assert len(Model(keys[1]).ask("tools/list").json()["result"]["tools"]) == len(READING | ACTING)


def test_one_pipelines_key_sees_that_pipeline_alone(pipeline, model):
    from leads.models import Pipeline, Stage
    from tests.conftest import record

    lead = record(pipeline, name="Maria").lead
    clinic = Pipeline.objects.create(slug="clinic", name="Clínica")
    Stage.objects.create(pipeline=clinic, key="new", name="NOVO", rank=1)
    guest = model_with(pipeline=clinic, may_act=True)
    assert guest.call("find_lead", text="Maria") == {"leads": [], "more": False}
    for name in ("why_here", "why_waiting", "timeline", "give_back", "hold_followup"):
        assert "There is no such lead" in guest.call(name, lead=str(lead.pk))
    assert guest.call("may_reply", lead=lead.phone) == {"may_reply": True, "reason": None, "since": None}
    hand_over(lead, by=Lead.Actor.AGENT, reason="quer falar com a Ana", now=timezone.now())
    for whom in (lead.phone, str(record(clinic, name="Maria").lead.pk)):
        refused = guest.call("may_reply", lead=whom)
        assert (refused["may_reply"], refused["reason"]) == (False, "a person speaks with them in another pipeline")
    for name in ("funnel", "results"):
        assert "no such pipeline" in guest.call(name, pipeline="solar")
        assert guest.call(name)["pipeline"] == "clinic"
