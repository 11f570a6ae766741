"""What bad input gets (contract §3), beyond the fields of one interaction (test_interactions.py)."""

from __future__ import annotations

import base64
from unittest.mock import patch

import pytest
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisAwayError

from bridge.api import key_throttle
from leads.models import Lead
from tests.conftest import MARIA

PROBLEM = "application/problem+json"


def cursor(text):
    return base64.b64encode(text.encode()).decode()


def fields(answer):
    assert answer["content-type"] == PROBLEM
    return {error["field"] for error in answer.json()["errors"]}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
def test_json_under_any_other_name_is_read_and_anything_else_is_400(agent, kind):
    def post(body):
        return agent._client.post("/api/v1/interactions/", body, content_type=kind, headers=agent._headers)

    assert post('{"lead": {"phone": "81999990000"}}').status_code == 201
    answer = post("lead.phone=81999990000")
    assert (answer.status_code, answer["content-type"]) == (400, PROBLEM)


def test_whatever_the_caller_accepts_it_gets_json(agent):
    answer = agent._client.get("/api/v1/leads/", headers=agent._headers | {"accept": "text/html"})
    assert (answer.status_code, answer["content-type"]) == (200, "application/json")


def test_errors_are_in_one_language_whatever_the_caller_or_the_site_speaks(client, pipeline, settings):
    settings.LANGUAGE_CODE = "pt-br"
    answer = client.get("/api/v1/leads/", headers={"accept-language": "pt-br"})
    assert answer.json()["detail"] == "Authentication credentials were not provided."


@pytest.mark.parametrize("path", ["leads/4711/", "nothing/", "leads", "leads/0f9c/timeline/"])
def test_an_unknown_address_is_404_as_a_problem(agent, path):
    for answer in (agent.get(path), agent.post(path, {})):
        assert (answer.status_code, answer["content-type"]) == (404, PROBLEM)


def test_a_missing_slash_is_said_so_and_not_redirected(agent):
    answer = agent.post("interactions", {"lead": {"phone": "81999990000"}})
    assert answer.status_code == 404
    assert "ends with a slash" in answer.json()["detail"]


def test_a_method_that_is_not_there_is_405_as_a_problem(agent):
    answer = agent.get("interactions/")
    assert (answer.status_code, answer["content-type"], answer["allow"]) == (405, PROBLEM, "POST, OPTIONS")


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        cursor("p=abc"),
        cursor("p=9999-99-99"),
        cursor("p=2026-01-01"),
        cursor("p=0001-01-01T00:00:00%2B14:00"),
        cursor("p=9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_cursor_of_the_callers_own_is_named(agent, text):
    lead_id = agent.says().json()["lead"]["id"]
    for path in ("leads/", f"leads/{lead_id}/timeline/"):
        answer = agent.get(path, cursor=text)
        assert (answer.status_code, fields(answer)) == (400, {"cursor"})


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "2026-02-30T00:00:00Z"])
def test_a_time_that_no_database_holds_is_no_fault_of_ours(agent, since):
    assert agent.get("leads/", updated_since=since).status_code in (200, 400)


@pytest.mark.parametrize("path", ["leads/", "agent/may-reply/"])
@pytest.mark.parametrize("name", ["phone", "address"])
@pytest.mark.parametrize("value", ["", " ", "\u00a0"])
def test_an_empty_name_of_a_person_asks_for_nobody_and_not_for_everybody(agent, path, name, value):
    agent.says()
    answer = agent.get(path, **{name: value})
    assert (answer.status_code, list(fields(answer))) == (400, [name])


def test_a_filter_by_a_stage_that_no_pipeline_has_is_named(agent):
    answer = agent.get("leads/", stage="qualifed")
    assert (answer.status_code, fields(answer)) == (400, {"stage"})
    assert "qualified" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"lead": {"phone": 81999990000}}', "lead.phone"),
        (b'{"lead": {"phone": "81999990000"}, "pipeline": 5}', "pipeline"),
        (b'{"lead": {"phone": "81999990000"}, "pipeline": "a\\u0000b"}', "pipeline"),
        (b'{"lead": {"phone": "81999990000"}, "pipeline": ["solar"]}', "pipeline"),
        (b'{"lead": {"phone": "81999990000"}, "context": [], "message": 1}', "context"),
    ],
)
def test_values_that_json_has_and_no_database_are_named(agent, body, field):
    answer = agent.post("interactions/", body)
    assert answer.status_code == 400
    assert field in fields(answer)
    assert not Lead.objects.exists()


@pytest.mark.parametrize("starts_at", ["2026-02-30", "0000-00-00", "2026-13-01", "9999-99-99"])
def test_a_day_that_no_calendar_has_is_named(agent, starts_at):
    answer = agent.says(context={"meeting": {"status": "scheduled", "starts_at": starts_at}})
    assert (answer.status_code, fields(answer)) == (400, {"context.meeting.starts_at"})


def test_a_sign_that_no_database_takes_is_no_fault_of_ours_wherever_it_stands(agent):
    """Alone it reads as a word for nothing, which is told back and kept with the report."""
    texts = {
        "name": "\0",
        "email": "\0",
        "chosen_flow": " \0",
        "bill_value": "\0",
        "custom": {"a": "\0", "time_zone": "\0"},
    }
    more = {
        "conversation_stage": "\0",
        "objections_raised": ["\0"],
        "meeting": {"id": "\0", "status": "\0", "link": "\0"},
    }
    lid = {"kind": "lid", "value": "\0"}
    answer = agent.says(context=more, message={"direction": "inbound", "text": "oi"}, addresses=[lid], **texts)
    assert answer.status_code in (201, 400)
    assert "\\u0000" not in answer.content.decode()
    for name, value in texts.items():
        assert agent.says(**{name: value}).status_code in (200, 201, 400), name
    for name, value in more.items():
        assert agent.says(context={name: value}).status_code in (200, 201, 400), name
    # In a name as well, beside a word for nothing.
    for beside in ("null", "\N{REPLACEMENT CHARACTER}", "0"):
        for named in ({"custom": {"a\0b": beside}}, {"custom": {"x" * 9_000 + "\0": beside}}, {"a\0b": beside}):
            each_answer = agent.says(message={"direction": "inbound", "text": "oi"}, **named)
            assert each_answer.status_code in (200, 400), named
            assert each_answer.status_code == 400 or (
                len(each_answer.content) < 3_000 and b"\\u0000" not in each_answer.content
            )
    # What is wrong with it quotes it, at whatever length.
    each_answer = agent.says(
        message={"direction": "inbound", "text": "oi"}, context={"meeting": {"status": "x\0" * 9_000}}
    )
    assert each_answer.status_code == 200
    assert len(each_answer.content) < 2_000 and "\\u0000" not in each_answer.content.decode()


def test_a_number_beyond_all_numbers_is_400(agent):
    assert agent.post("interactions/", b'{"lead": {"phone": "81999990000", "custom": {"a": 1e400}}}').status_code == 400


def test_a_body_far_over_the_limit_is_read_to_its_end_so_that_the_answer_arrives(agent):
    for path in ("interactions/", "interactions/batch/"):
        assert agent.post(path, b" " * (3 * 1_048_576)).status_code == 413


@pytest.mark.parametrize("path", ["leads/", "agent/may-reply/?phone=81999990000", "interactions/"])
def test_with_the_database_away_every_call_is_told_when_to_come_again(agent, path):
    with patch("django.db.backends.utils.CursorWrapper.execute", side_effect=OperationalError("gone")):
        answer = agent.post(path, {}) if path == "interactions/" else agent.get(path)
    assert (answer.status_code, answer["content-type"], answer["retry-after"]) == (503, PROBLEM, "5")


def test_a_fault_of_ours_is_a_problem_too_and_stores_nothing(agent):
    with patch("bridge.api.recording_reports.representation.interaction_answers", side_effect=ZeroDivisionError):
        answer = agent.post("interactions/", {"lead": {"phone": MARIA}})
    assert (answer.status_code, answer["content-type"]) == (500, PROBLEM)
    assert not Lead.objects.exists()


def test_a_cache_that_is_away_refuses_nobody(agent):
    with patch.object(key_throttle, "cache") as cache:
        cache.add.side_effect = RedisAwayError
        assert agent.get("leads/").status_code == 200
