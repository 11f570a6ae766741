"""The API's description: valid, local, and true: what it does not say is never answered."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import hypothesis
import pytest
import schemathesis
import yaml
from django.core.cache import cache
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis.extra.django import TestCase
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bridge.api import api_keys, schema_examples
from bridge.models import ApiKey
from bridge.wsgi import application

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SCHEMA = schemathesis.openapi.from_wsgi("/api/schema/", application)
OPERATIONS = [operation.ok() for operation in SCHEMA.get_all_operations()]


def test_the_description_is_valid_without_a_warning():
    described = StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=described, stderr=StringIO())
    assert "/api/v1/interactions/" in yaml.safe_load(described.getvalue())["paths"]


def test_its_pages_load_nothing_from_elsewhere(client):
    page = client.get("/api/docs/").content.decode()
    assert "swagger-ui-bundle.js" in page
    assert "//cdn" not in page
    assert "https://" not in page


@pytest.mark.parametrize(
    "asked", ["", "?format=json", "?lang=es", "?version=2", "?version=%00", "?lang=%00&version=%0a"]
)
def test_it_is_made_once_whatever_is_asked_for_in_its_address(client, monkeypatch, asked):
    first = client.get(f"/api/schema/{asked}")

    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda *_, **__: pytest.fail("made again"))
    again = client.get(f"/api/schema/{asked}", headers={"Accept-Language": "es"})

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert yaml.safe_load(again.content)["info"]["version"] == "1"


def described() -> dict[str, Any]:
    return dict(yaml.safe_load(Client().get("/api/schema/").content))


def test_every_call_has_an_example_of_what_it_answers():
    for path, calls in described()["paths"].items():
        for method, call in calls.items():
            if not path.startswith("/api/v1/"):
                continue
            for code, answer in call["responses"].items():
                content = answer.get("content", {}).get("application/json")
                assert content is None or content.get("examples"), (path, method, code)


@pytest.mark.parametrize("body", [schema_examples.INTERACTION, schema_examples.MEETING, schema_examples.CLEARED])
def test_the_examples_are_taken(agent, body):
    assert agent.post("interactions/", body).status_code in (200, 201)


def test_the_example_batch_is_answered_as_it_shows(agent):
    assert [entry["status"] for entry in agent.post("interactions/batch/", schema_examples.BATCH).json()] == [201, 400]


def keep_connection() -> None:
    """Let no request close the connection the test's transaction is on; Django's client connects this anew."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)


class Conformity(TestCase):
    """Each example runs in a transaction of its own, with a lead for the addresses that name one."""

    def call_of(self, operation: Any) -> None:
        key = api_keys.issue(ApiKey(name="fuzz"))
        client = Client(raise_request_exception=False)
        headers = {"authorization": f"Api-Key {key}"}
        body = json.dumps({"lead": {"phone": "81999990000"}})
        answer = client.post("/api/v1/interactions/", body, content_type="application/json", headers=headers)
        lead_id = answer.json()["lead"]["id"]
        keep_connection()

        @hypothesis.given(case=operation.as_strategy())
        @hypothesis.settings(max_examples=15, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
        def run(case: Any) -> None:
            # The link from an interaction's answer to what is known of its lead.
            if "lead_id" in (case.path_parameters or {}):
                case.path_parameters["lead_id"] = lead_id
            case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Api-Key {key}"})

        run()

    def test_calls_that_follow_from_each_other_are_answered_as_described(self) -> None:
        keep_connection()
        key = api_keys.issue(ApiKey(name="fuzz"))

        class Walk(SCHEMA.as_state_machine()):  # type: ignore[misc]
            # Each walk begins as the first did: what one has silenced, or asked too often, no other finds so.
            def setup(self) -> None:
                cache.clear()
                self.began = transaction.savepoint()

            def teardown(self) -> None:
                transaction.savepoint_rollback(self.began)

            def get_call_kwargs(self, case: Any) -> dict[str, Any]:
                return {"headers": {"Authorization": f"Api-Key {key}"}}

            def validate_response(self, response: Any, case: Any, **_: Any) -> None:
                case.validate_response(response, checks=CHECKS)

        Walk.run(
            settings=hypothesis.settings(
                max_examples=12,
                stateful_step_count=6,
                deadline=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
        )


for _operation in OPERATIONS:
    _name = f"test_{_operation.method.lower()}_{_operation.path.strip('/').replace('/', '_')}_answers_as_described"
    setattr(Conformity, _name, lambda self, operation=_operation: self.call_of(operation))
