"""What Sentry is told, as it arrives there: a process of ours reports to a server of the test."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAILING = """
import django; django.setup()
import structlog
from django.test import Client
from django.urls import path
import bridge.urls

def fail(request, secret):
    token = "local-secret"
    raise ValueError("no lead for +5581999990000, maria@example.com")

bridge.urls.urlpatterns.append(path("webhooks/kommo/<str:secret>/fail/", fail))
client = Client(raise_request_exception=False)
client.get("/", headers={"Host": "somebody.example"})
client.post("/webhooks/kommo/s3cr3t/fail/", {"phone": "5581988887777"}, headers={"Authorization": "Bearer kb_hidden"})
structlog.get_logger("bridge.tests").error("delivery_failed", phone="5581977776666", access_token="kb_hidden", lead=7)
import sentry_sdk; sentry_sdk.flush(20)
"""
CALLING = """
import sys
import django; django.setup()
import requests, structlog, urllib3
from followups import signed_calls

for odd in ("", "/odd"):
    called = f"{sys.argv[1]}{odd}/instances/7/token/KEY-IN-PATH/send-text?hook=KEY-IN-QUERY"
    signed_calls.send(called, b"{}", {})
    requests.post(called, timeout=5)
structlog.get_logger("bridge.tests").error("call_refused", address=called)
try:
    requests.get("http://ada:KEY-IN-NAME@127.0.0.1:9/KEY-IN-PATH?t=KEY-IN-QUERY", timeout=5)
except requests.ConnectionError:
    structlog.get_logger("bridge.tests").exception("task_failed")
import sentry_sdk; sentry_sdk.flush(20)
"""


class Sentry(HTTPServer):
    """Takes envelopes and keeps the events in them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.raw: list[str] = []
        self.called: list[str] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for text in self.raw for line in text.splitlines() if line]
        return [line for line in lines if "platform" in line]


class Handler(BaseHTTPRequestHandler):
    server: Sentry

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "envelope" not in self.path:
            self.server.called.append(self.path)
            # What urllib3 warns of, with the whole address.
            odd = "no header at all\r\n" if self.path.startswith("/odd") else ""
            self.wfile.write(f"HTTP/1.0 200 OK\r\nX-A: b\r\n{odd}\r\n".encode())
            return
        # The SDK takes whichever of the two is installed.
        unpack = importlib.import_module({"gzip": "gzip", "br": "brotli"}[self.headers["Content-Encoding"]]).decompress
        self.server.raw.append(unpack(body).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def sentry():
    with Sentry() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = run(FAILING, f"http://key@127.0.0.1:{server.server_port}/1")
        server.shutdown()
        assert done.returncode == 0, done.stderr
        yield server


def run(code: str, dsn: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "bridge.settings", "ENV_FILE": os.devnull, "SECRET_KEY": "reports", "DEBUG": "true",
        "DATABASE_URL": "sqlite://:memory:", "SENTRY_DSN": dsn, "SENTRY_ENVIRONMENT": "tests",
        "ALLOWED_HOSTS": "testserver", "SECURE": "false",
    }  # fmt: skip
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment | more, capture_output=True, text=True, check=False)


def test_an_error_of_a_page_is_reported_with_where_it_happened(sentry):
    [report] = [event for event in sentry.events if "exception" in event]

    [error] = report["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "no lead for …0000, …@example.com")
    assert error["stacktrace"]["frames"][-1]["function"] == "fail"
    assert report["environment"] == "tests"


def test_an_error_in_the_log_is_grouped_by_its_name(sentry):
    [report] = [event for event in sentry.events if event.get("logger") == "bridge.tests"]

    assert report["logentry"]["message"] == "delivery_failed"
    assert report["fingerprint"] == ["bridge.tests", "delivery_failed"]
    assert (report["extra"]["lead"], report["extra"]["phone"]) == (7, "…6666")


@pytest.mark.parametrize(
    "kept", ["s3cr3t", "kb_hidden", 'local-secret"', "81988887777", "81999990000", "maria@", "81977776666"]
)
def test_nothing_secret_or_personal_leaves(sentry, kept):
    assert sentry.events
    # A frame's own lines of source are ours; what the process held at that moment is not there.
    for event in sentry.events:
        for value in event.get("exception", {}).get("values", []):
            for frame in value["stacktrace"]["frames"]:
                assert "vars" not in frame
                for source in ("pre_context", "context_line", "post_context"):
                    frame.pop(source, None)
        assert kept not in json.dumps(event, ensure_ascii=False)


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_key_in_an_address_that_we_call_is_reported_or_logged(level):
    with Sentry() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"127.0.0.1:{server.server_port}"
        done = run(CALLING, f"http://key@{here}/1", f"http://{here}", LOG_LEVEL=level)
        server.shutdown()

    assert done.returncode == 0, done.stderr
    assert len(server.called) == 4
    [failed, refused] = sorted(server.events, key=lambda event: "exception" not in event)
    assert refused["extra"]["address"] == f"http://{here}/…"
    # Where each call led is told, and the exception by its class.
    assert [crumb["data"]["url"] for crumb in failed["breadcrumbs"]["values"] if crumb.get("category") == "httplib"][
        :4
    ] == [f"http://{here}/…"] * 4
    assert "KEY-IN" not in "".join(_without_source(event) for event in server.events)
    # The words of our own lines are ours; a traceback quotes the source, and not what it ran with.
    assert "KEY-IN" not in "\n".join(line for line in done.stderr.splitlines() if "call_refused" not in line)


def _without_source(event: dict[str, Any]) -> str:
    for value in event.get("exception", {}).get("values", []):
        for frame in value["stacktrace"]["frames"]:
            for source in ("pre_context", "context_line", "post_context"):
                frame.pop(source, None)
    return json.dumps(event, ensure_ascii=False)


def test_without_the_package_the_process_says_what_to_do():
    manage = "sys.argv = ['manage.py', 'check']; import manage; manage.main()"

    done = run(f"import sys; sys.modules['sentry_sdk'] = None; {manage}", "http://key@127.0.0.1:1/1")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "pip install --require-hashes -r requirements-extra.lock" in done.stderr.splitlines()[-1]


def test_an_address_that_is_none_is_named():
    done = run("import django; django.setup()", "not-an-address")

    assert "SENTRY_DSN is no address" in done.stderr.splitlines()[-1]


def test_unset_nothing_of_it_is_loaded():
    done = run("import django, sys; django.setup(); print('sentry_sdk' in sys.modules)", "")

    assert done.stdout.strip() == "False"
