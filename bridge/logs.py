"""One log line per thing that happened: short for people, JSON for machines, and nothing personal in clear."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_KEYS = frozenset(
    {"token", "access_token", "refresh_token", "client_secret", "secret", "authorization", "api_key"}
)
PHONE = re.compile(r"\+?\d{10,15}")
EMAIL = re.compile(r"[\w.+-]+@([\w-]+\.[\w.-]+)")
# Django names the path of what it refuses, and this one holds a secret.
WEBHOOK_PATH = re.compile(r"(/webhooks/kommo/)[^/\s?\"']+")
# Ids of ours and of Kommo: a row of digits in them is no phone, and shortened they would find nothing.
IDS = frozenset({"timestamp", "correlation_id", "request_id", "lead", "worker"})

Event = MutableMapping[str, Any]


def shorten_phone(text: str) -> str:
    """Return the text with every phone number cut to its last four digits."""
    return PHONE.sub(lambda match: "…" + match.group()[-4:], text)


def tidy(text: str) -> str:
    """Return a text without what is personal or secret in it."""
    return shorten_phone(EMAIL.sub(r"…@\1", WEBHOOK_PATH.sub(r"\1[secret]", text)))


def redact(_logger: Any, _method: str, event: Event) -> Event:
    """Keep secrets out of logs altogether, and of people no more than helps to find them."""
    for key, value in event.items():
        if key not in IDS:
            event[key] = scrub(key, value)
    return event


def scrub(key: str, value: Any) -> Any:
    """Return a value, however deep, as it may leave the house under this name."""
    if key.lower() in SECRET_KEYS:
        return "[secret]"
    if isinstance(value, str):
        return tidy(value)
    if isinstance(value, dict):
        return {name: scrub(str(name), inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrub(key, inner) for inner in value]
    return value


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    redact,
]


# One list, however often it is configured: loggers that are in use already keep the list they have met.
PROCESSORS: list[Any] = [*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]


def formatter(kind: str) -> logging.Formatter:
    """Return the formatter for LOG_FORMAT: `console` or `json`."""
    structlog.configure(
        processors=PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last = structlog.processors.JSONRenderer(ensure_ascii=False) if kind == "json" else structlog.dev.ConsoleRenderer()
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )
