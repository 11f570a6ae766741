from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def public(settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.ALLOWED_HOSTS = ["bridge.example", "127.0.0.1", "localhost", "[::1]"]


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_an_agent_on_this_machine_is_answered_without_tls(client, db, host):
    answer = client.post("/api/v1/interactions/", {}, content_type="application/json", headers={"host": host})
    assert answer.status_code == 401


@pytest.mark.parametrize(("path", "status"), [("/mcp/", 401), ("/mcp", 401), ("/intake/evolution/x/", 404)])
def test_a_messenger_or_an_assistant_on_this_machine_is_answered_without_tls(client, db, path, status):
    answer = client.post(path, {}, content_type="application/json", headers={"host": "127.0.0.1:8000"})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("bridge.example", "/api/v1/leads/"),
        ("bridge.example", "/mcp/"),
        ("bridge.example", "/intake/evolution/x/"),
        ("127.0.0.1:8000", "/admin/login/"),
        ("127.0.0.1:8000", "/webhooks/kommo/x/"),
        ("127.0.0.1:8000", "/api/docs/"),
    ],
)
def test_everybody_else_is_sent_to_tls(client, db, host, path):
    answer = client.get(path, headers={"host": host})
    assert (answer.status_code, answer["Location"]) == (301, f"https://{host}{path}")


def test_a_host_that_is_not_ours_is_refused(client, db):
    assert client.get("/api/v1/leads/", headers={"host": "127.0.0.2"}).status_code == 400
