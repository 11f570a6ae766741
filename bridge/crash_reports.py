"""Errors reported to Sentry, when SENTRY_DSN says so: what broke and where, and nothing secret or personal.

No bodies, no cookies, no users and no local variables leave; every text that does is scrubbed as
the log is.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import DisallowedHost, ImproperlyConfigured

from bridge.logs import scrub, without_addresses

# What of a report holds texts. The other parts are ids, dates and versions, which scrubbing would break.
TEXTS = ("message", "logentry", "exception", "breadcrumbs", "request", "extra", "tags", "transaction", "spans")
# What stands behind a path, and before a body: keys of whom we call and of who calls us.
QUERIES = frozenset(
    {"query_string", "http.query", "http.fragment", "url.query", "url.fragment", "url.path", "http.target"}
)


def start(dsn: str, *, environment: str) -> None:
    """Report from now on. Raises ImproperlyConfigured when the package is not there or the address is none."""
    if not dsn:
        return
    try:
        import sentry_sdk
        from sentry_sdk.utils import BadDsn
    except ImportError as error:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set, and sentry-sdk is not installed: "
            "pip install --require-hashes -r requirements-extra.lock."
        ) from error
    try:
        sentry_sdk.init(
            dsn=dsn,
            environment=environment,
            send_default_pii=False,
            include_local_variables=False,
            max_request_body_size="never",
            # Whoever scans the internet asks for hosts that are not ours.
            ignore_errors=[DisallowedHost],
            before_send=clean,  # type: ignore[arg-type]
            before_send_transaction=clean,  # type: ignore[arg-type]
        )
    except BadDsn as error:
        raise ImproperlyConfigured(f"SENTRY_DSN is no address of a Sentry project: {error}.") from error


def clean(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
    """Return the report as it may leave."""
    line = getattr(hint.get("log_record"), "msg", None)
    if isinstance(line, dict):
        # One of our log lines: its name groups the reports, whatever the numbers beside it are.
        name = str(line.get("event", ""))
        event["logentry"] = {"message": name}
        event["extra"] = {key: value for key, value in line.items() if key != "event"}
        event["fingerprint"] = [str(event.get("logger", "")), name]
    event.pop("user", None)
    for part in TEXTS:
        if part in event:
            event[part] = _without_addresses(scrub(part, event[part]))
    return event


def _without_addresses(value: Any) -> Any:
    """Return a value whose addresses say no more than where they lead, however deep they stand in it."""
    if isinstance(value, str):
        return without_addresses(value)
    if isinstance(value, dict):
        return {name: _without_addresses(inner) for name, inner in value.items() if name not in QUERIES}
    if isinstance(value, list):
        return [_without_addresses(inner) for inner in value]
    return value
