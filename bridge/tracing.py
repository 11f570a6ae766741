"""How long each part took, as OpenTelemetry spans, when OTEL_EXPORTER_OTLP_ENDPOINT says where they go.

Requests, background jobs and calls to Kommo, by their names alone: no address, body or error text is in a span. The
`correlation_id` leads from a request to the log. Without an endpoint a span costs nothing but the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from bridge.errors import ConfigurationError

P = ParamSpec("P")
R = TypeVar("R")
SERVICE = "kommo-bridge"
LONGEST_WAIT_SECONDS = 2

_tracer: Any = None


def start(endpoint: str) -> None:
    """Send spans from now on. Raises ConfigurationError when the packages are not there."""
    global _tracer
    if not endpoint:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: "
            "pip install --require-hashes -r requirements-extra.lock."
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    # Sent from a thread of its own, which every forked process starts anew; a collector that is away delays nobody.
    # A command that ends waits for it no longer than this.
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=LONGEST_WAIT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, export_timeout_millis=1000 * LONGEST_WAIT_SECONDS))
    _tracer = provider.get_tracer(SERVICE)


@contextmanager
def span(name: str, *, caller: Mapping[str, str] | None = None, **attributes: str | int) -> Iterator[Any]:
    """Time what happens inside; `caller` is headers that may name the trace it belongs to. Yields None when off."""
    if _tracer is None:
        yield None
        return
    from opentelemetry.propagate import extract
    from opentelemetry.trace import Status, StatusCode

    # What an exception says may name a person: its class is enough here, the log has the rest.
    with _tracer.start_as_current_span(
        name,
        context=extract({key.lower(): value for key, value in caller.items()}) if caller else None,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def traced(task: Callable[P, R]) -> Callable[P, R]:
    """Time a background job under its own name."""

    @wraps(task)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        with span(f"task {task.__name__}"):
            return task(*args, **kwargs)

    return timed
