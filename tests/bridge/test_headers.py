"""What every answer tells a browser about itself."""

from __future__ import annotations

import re

import pytest

from bridge.api import api_keys
from bridge.models import ApiKey


def policy(answer) -> dict[str, list[str]]:
    parts = (part.split() for part in answer["Content-Security-Policy"].split(";"))
    return {name: values for name, *values in parts}


@pytest.mark.parametrize("path", ["/admin/login/", "/api/docs/", "/healthz"])
def test_no_page_lets_a_text_become_a_script_or_be_framed(client, db, path):
    answer = client.get(path)
    directives = policy(answer)

    assert "'unsafe-inline'" not in directives["script-src"]
    assert not [value for values in directives.values() for value in values if value in ("*", "https:", "http:")]
    assert directives["frame-ancestors"] == directives["object-src"] == directives["base-uri"] == ["'none'"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/api/v1/leads/", "/webhooks/kommo/wrong/", "/mcp/", "/mcp"])
def test_data_loads_and_runs_nothing(client, db, path):
    answer = client.get(path)

    directives = policy(answer)
    assert directives["default-src"] == directives["frame-ancestors"] == directives["base-uri"] == ["'none'"]
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/api/v1/leads/", "/api/v1/nothing/", "/api/v1/results/", "/mcp/"])
def test_nobody_on_the_way_keeps_what_is_said_of_people(client, db, pipeline, path):
    key = api_keys.issue(ApiKey(name="agent"))
    for headers in ({}, {"HTTP_AUTHORIZATION": f"Api-Key {key}"}):
        assert client.get(path, **headers)["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/admin/login/", "/api/docs/", "/admin/"])
def test_our_pages_hold_no_script_of_their_own(admin_client, path):
    """A browser would refuse one: every script has an address."""
    page = admin_client.get(path, follow=True).content.decode()

    assert re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", page) == []
    assert re.findall(r"\son(?:click|load|submit|change)=", page) == []


def test_the_api_pages_script_is_served_apart(client, db):
    page = client.get("/api/docs/").content.decode()
    address = re.search(r'src="(/api/docs/\?[^"]*script[^"]*)"', page)[1].replace("&amp;", "&")

    answer = client.get(address)

    assert answer["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle(" in answer.content.decode()
