"""One log line per thing that happened: short for people, JSON for machines, and nothing personal in clear."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_KEYS = frozenset(
    {"token", "access_token", "refresh_token", "client_secret", "secret", "authorization", "api_key"}
)
# Outside text meets these, of any length: each gives back nothing it has taken, and begins where a run begins, so that
# the time grows with the text and not with its square.
#
# What may stand between two digits of a phone: blanks of any width, points, brackets, dashes, what is invisible, a plus
# or a percent sign of an address.
_BETWEEN = (
    r"(?:[^\S\n]|[.()/\-\u2010-\u2015\u2212\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff\ufe0f\u20e3+]|%2[0-9a-fA-F])"
)
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
NUMBER = re.compile(
    # Ids, days and addresses of machines are no phones.
    r"(?P<kept>(?<![\w-])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![\w-])"
    r"|(?<![\d+])(?:19|20)\d\d-[01]\d-[0-3]\d(?!\d)(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|(?<![\d+])[0-3]\d/[01]\d/(?:19|20)\d\d(?!\d)"
    # With more digits behind it, it may be the beginning of a phone: 55.8.1.99 9990000.
    rf"|(?<![\d.+]){_BYTE}(?:\.{_BYTE}){{3}}(?![\d.]|{_BETWEEN}{{0,4}}\d))"
    r"|(?P<phone>\+?\d{10,15}"
    rf"|(?<![\w…])[+(]?\d(?:{_BETWEEN}{{0,4}}\d)*+)"
)
LEAST_DIGITS = 10
PERCENT = re.compile("%2.")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@([\w-]++\.[\w.-]+)")
# Django names the path of what it refuses, and these hold a secret: shown plain, or nothing after the word when the
# path is spelled otherwise (doubled or coded slashes, capitals, blanks and other signs behind the word).
SECRET_PATH = re.compile(r"(/(?:webhooks/kommo|intake/[\w-]++)/)[^/\s?\"']+")
_SLASH = r"(?:[/\\]|%(?:25){0,9}(?:2f|5c))"
ODD_SECRET_PATH = re.compile(
    rf"(?i)({_SLASH}\s{{0,9}}(?:webhooks?|intakes?)(?![\w-]))(?!/[\w-]++/\[secret\])(?=[^/\\\n]{{0,20}}{_SLASH})"
    # To the quote around it; one within it is followed by more of the path.
    r"(?:[^\n\"']|[\"'](?=\S{0,200}/))*"
)
# As long as no name of a page is, and no id of a lead's.
LONG_PART = re.compile(r"(?<=/)(?![0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?:/|$))[^/]{16,}")
# What moves a terminal's cursor, turns its text around, or begins a line that looks like one of ours.
INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# What a line says of one thing; a message of 60 KB that stands in an exception helps nobody.
LONGEST_VALUE = 2_000
LONGEST_TRACEBACK = 20_000
# Where PostgreSQL says more of an error, it quotes the row: all that a lead told may stand in it.
OF_THE_ROW = re.compile(
    r"(DETAIL:\s+)(?!Process \d)(?:(?!\n(?:HINT|CONTEXT|LINE|Traceback|The above|During)\b|\n\n)[\s\S])++"
)
# An address that we call may be the key to what it leads to: where it leads is all that is told. Libraries name it
# whole, as a path alone, and behind the words with which they refuse it.
_TO_ITS_END = r"(?:[^\s\"'<>]|'(?=[\w/%?&=.;~-]))*+"
ADDRESS = re.compile(rf"://({_TO_ITS_END})")
BARE_PATH = re.compile(
    r"(?i)(\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)[ ]{1,3}|\bur[li][\"']?\s{0,3}[:=]\s{0,3}[\"']?)"
    rf"[/?]{_TO_ITS_END}"
)
REFUSED_ADDRESS = re.compile(r"(?i)(\b(?:failed to parse: |invalid (?:proxy )?url )[\"']?)(?!\w{1,9}://)[^\s\"']++")
# Ids of ours and of Kommo: a row of digits in them is no phone, and shortened they would find nothing.
IDS = frozenset({"timestamp", "correlation_id", "request_id", "lead", "worker"})

# Loggers whose sentences we write; what libraries write may name the address of a call.
OURS = frozenset({"bridge", "common", "followups", "leads"})

Event = MutableMapping[str, Any]


def shorten_phone(text: str) -> str:
    """Return the text with every phone number, however it is written, cut to its last four digits."""
    return NUMBER.sub(_without_phone, text)


def phones_in(text: str) -> list[str]:
    """Return what looks like a phone in a text, however it is written there, as digits."""
    return [digits for found in NUMBER.finditer(text) if len(digits := _digits(found)) >= LEAST_DIGITS]


def _without_phone(found: re.Match[str]) -> str:
    digits = _digits(found)
    return found[0] if len(digits) < LEAST_DIGITS else "…" + digits[-4:]


def _digits(found: re.Match[str]) -> str:
    return "".join(filter(str.isdecimal, PERCENT.sub("", found["phone"] or "")))


def tidy(text: str, longest: int = LONGEST_VALUE) -> str:
    """Return a text without what is personal or secret in it, and without the middle of what is very long."""
    text = shortened(text, longest)
    text = OF_THE_ROW.sub(r"\1…", text)
    text = ODD_SECRET_PATH.sub(r"\1/[secret]", SECRET_PATH.sub(r"\1[secret]", text))
    return INVISIBLE.sub("\ufffd", shorten_phone(EMAIL.sub(r"…@\1", text)))


def shortened(text: str, longest: int) -> str:
    """Return the beginning and the end of a text that is longer than `longest`, cut between words.

    Half a number or half an address would not be known for one, and stay in clear.
    """
    if len(text) <= longest:
        return text
    half = longest // 2
    head, tail = text[:half], text[-half:]
    head = head[: head.rfind(" ") + 1]
    tail = tail[tail.find(" ") :] if " " in tail else ""
    return f"{head}… ({len(text) - len(head) - len(tail)} characters left out) …{tail}"


def without_addresses(text: str) -> str:
    """Return a text whose addresses say a scheme and a host, and neither path, query nor password.

    `https://ada:pw@hooks.example/T0/key?token=x` becomes `https://hooks.example/…`, `with url: /T0/key` `with url: …`.
    """
    text = REFUSED_ADDRESS.sub(r"\1…", BARE_PATH.sub(r"\1…", text))
    return ADDRESS.sub(_host, text)


def _host(found: re.Match[str]) -> str:
    host, *rest = re.split(r"[/?#\\]", found[1], maxsplit=1)
    # A password may hold any sign: before the last @ stands nothing of the host.
    if any("@" in part for part in rest):
        return "://…"
    return f"://{host.rpartition('@')[2]}{'/…' if rest else ''}"


def redact(_logger: Any, _method: str, event: Event) -> Event:
    """Keep secrets out of logs altogether, and of people no more than helps to find them."""
    for key, value in event.items():
        if key not in IDS:
            event[key] = scrub(key, value)
    if isinstance(event.get("exception"), str):
        event["exception"] = without_addresses(event["exception"])
    if isinstance(event.get("event"), str) and str(event.get("logger", "")).partition(".")[0] not in OURS:
        event["event"] = without_addresses(event["event"])
    if isinstance(event.get("event"), str):
        # What somebody else wrote stands in it, and one thing that happened is one line.
        event["event"] = event["event"].replace("\n", "\\n")
    return event


def scrub(key: str, value: Any) -> Any:
    """Return a value, however deep, as it may leave the house under this name."""
    if key.lower() in SECRET_KEYS:
        return "[secret]"
    if isinstance(value, str):
        return tidy(value, LONGEST_TRACEBACK if key == "exception" else LONGEST_VALUE)
    if isinstance(value, dict):
        return {name: scrub(str(name), inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrub(key, inner) for inner in value]
    return value


class OneLine(logging.Filter):
    """Let a refusal be a line: a scanner that asks for hosts that are not ours would fill the log with tracebacks."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        return True


class NoLongParts(logging.Filter):
    """Cut what is long out of the paths that Django names: a misspelled address of ours has its secret all the same."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_long_parts(argument) for argument in record.args)
        return True


def _without_long_parts(value: Any) -> Any:
    return LONG_PART.sub("[…]", value) if isinstance(value, str) and value.startswith("/") else value


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    redact,
]


# One list, however often it is configured: loggers that are in use already keep the list they have met. What the level
# leaves out is left out first: a line for each card of a backlog costs nothing unless somebody reads it.
PROCESSORS: list[Any] = [
    structlog.stdlib.filter_by_level,
    *SHARED,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


def formatter(kind: str) -> logging.Formatter:
    """Return the formatter for LOG_FORMAT: `console` or `json`."""
    structlog.configure(
        processors=PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if kind == "json"
        # In a file or a journal colours are signs that nobody can read.
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"))
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )
