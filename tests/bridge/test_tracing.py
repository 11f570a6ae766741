"""Spans as a collector gets them: a process of ours sends to a server of the test."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bridge import tracing

ROOT = Path(__file__).resolve().parents[2]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = f"""
import django; django.setup()
from django.test import Client
from bridge import tracing

headers = {{"traceparent": "00-{TRACE}-00f067aa0ba902b7-01", "X-Request-Id": "r-1"}}
Client().get("/healthz?phone=5581999990000", headers=headers)
Client().post("/webhooks/kommo/s3cr3t/")

@tracing.traced
def deliver():
    with tracing.span("kommo update leads"):
        raise ValueError("no lead for +5581988887777")

try:
    deliver()
except ValueError:
    pass
"""


class Collector(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.raw: list[bytes] = []

    def spans(self) -> dict:
        requests = [ExportTraceServiceRequest.FromString(raw) for raw in self.raw]
        return {
            span.name: span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            self.server.raw.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def collector():
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = run(TRACED, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        assert done.returncode == 0, done.stderr
        yield server


def run(code: str, endpoint: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "bridge.settings", "ENV_FILE": os.devnull, "SECRET_KEY": "traces", "DEBUG": "true",
        "DATABASE_URL": "sqlite://:memory:", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "SENTRY_DSN": "",
        "ALLOWED_HOSTS": "testserver", "SECURE": "false",
    }  # fmt: skip
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_request_is_a_span_of_its_callers_trace_with_the_id_of_the_log(collector):
    span = collector.spans()["GET /healthz"]

    assert span.trace_id.hex() == TRACE
    attributes = {each.key: each.value for each in span.attributes}
    assert attributes["correlation_id"].string_value == "r-1"
    assert attributes["http.response.status_code"].int_value == 200


def test_a_call_to_kommo_is_inside_the_job_that_made_it(collector):
    spans = collector.spans()
    job, call = spans["task deliver"], spans["kommo update leads"]

    assert (call.trace_id, call.parent_span_id) == (job.trace_id, job.span_id)
    assert (job.status.code, job.status.message) == (2, "ValueError")


@pytest.mark.parametrize("kept", [b"s3cr3t", b"81999990000", b"81988887777"])
def test_nothing_secret_or_personal_leaves(collector, kept):
    assert "POST /webhooks/kommo/<str:secret>/" in collector.spans()
    assert kept not in b"".join(collector.raw)


def test_without_the_packages_the_process_says_what_to_do():
    hidden = "import sys; sys.modules['opentelemetry.sdk.trace'] = None"

    done = run(f"{hidden}; sys.argv = ['manage.py', 'check']; import manage; manage.main()", "http://127.0.0.1:1")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "pip install --require-hashes -r requirements-extra.lock" in done.stderr.splitlines()[-1]


def test_off_nothing_of_it_is_loaded_and_a_job_runs_as_it_is():
    code = (
        "import django, sys; django.setup(); print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )

    assert run(code, "").stdout.strip() == "[]"
    assert tracing.traced(lambda first_number, two: first_number + two)(1, two=2) == 3
