"""Nothing secret and nobody's number stands in the log; what finds a thing again stands there whole."""

from __future__ import annotations

import io
import json
import logging
import time

import pytest
import structlog
from django.test import Client
from hypothesis import example, given
from hypothesis import strategies as st

from bridge import logs
from bridge.kommo.errors import from_answer


@pytest.fixture
def written():
    """Write one line through the JSON formatter and return it as read back."""

    def write(message: str, *, error: Exception | None = None, **more: object) -> dict:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logs.formatter("json"))
        logger = logging.getLogger("tests.logs")
        logger.addHandler(handler)
        logger.propagate = False
        try:
            structlog.get_logger("tests.logs").error(message, exc_info=error, **more)
            return dict(json.loads(stream.getvalue()))
        finally:
            logger.removeHandler(handler)
            logger.propagate = True

    return write


def test_a_line_that_its_level_leaves_out_costs_no_reading(monkeypatch):
    read = []
    monkeypatch.setattr(logs, "scrub", lambda key, value: read.append(key) or value)
    logs.formatter("json")
    monkeypatch.setattr(logging.getLogger("tests.logs"), "level", logging.INFO)

    structlog.get_logger("tests.logs").debug("delivery", card=7)
    assert read == []
    structlog.get_logger("tests.logs").info("delivery", card=7)
    assert "card" in read


def test_numbers_addresses_and_secrets_are_shortened_wherever_they_stand(written):
    line = written(
        "call from +5581999990000",
        who={"phone": "5581988887777", "email": "maria.souza@example.com", "token": "eyJ0"},
        api_key="k-1",
        error=ValueError("Key (phone)=(+5581977776666) already exists"),
    )

    assert line["event"] == "call from …0000"
    assert line["who"] == {"phone": "…7777", "email": "…@example.com", "token": "[secret]"}
    assert line["api_key"] == "[secret]"
    assert "81977776666" not in line["exception"]
    assert "already exists" in line["exception"]


DIGITS = "5581999990000"


@pytest.mark.parametrize(
    "phone",
    [
        "+55 81 99999-0000",
        "+55 (81) 9 9999-0000",
        "(81) 99999-0000",
        "(81)99999.0000",
        "81 9.9999.0000",
        "55-81-99999-0000",
        "+55/81/99999/0000",
        "(55) (81) 99999 - 0000",
        "+55\u00a081\u202f99999\u20110000",
        "\u202a+55 81 99999\u20110000\u202c",
        "081\u200b99999\u200b0000",
        "+55%2081%2099999-0000",
        "55+81+99999+0000",
        "８１ ９９９９９ ００００",
        "+1 (212) 555-0000",
        "0044 20 7946 0000",
        "8 1 9 9 9 9 9 0 0 0 0",
        "8️⃣1️⃣9️⃣9️⃣9️⃣9️⃣9️⃣0️⃣0️⃣0️⃣0️⃣",
    ],
)
@pytest.mark.parametrize(
    "around", ["call {} now", "{}", "phone=({})", "'{}'", "tel:{};", "2026-11-28 {}", "id 12345678: {}"]
)
def test_a_phone_is_shortened_however_it_is_written(phone, around):
    shown = logs.tidy(around.format(phone))

    before = around.split("{}")[0].rstrip("(")
    assert shown.startswith(before)
    addition = shown.removeprefix(before)
    assert sum(sign.isdecimal() for sign in addition) == 4
    assert "…" in addition


@given(
    st.lists(
        st.sampled_from(["", " ", ".", "-", " - ", ") ", "(", "\u00a0", "%20", "+", "/"]), min_size=13, max_size=13
    )
)
@example(["", "", ".", ".", ".", "", " ", "", "", "", "", "", ""])
def test_whatever_stands_between_its_digits_a_phone_is_not_left_whole(between):
    phone = "".join(separator + digit for separator, digit in zip(between, DIGITS, strict=True))

    shown = logs.tidy(f"call {phone} now")

    assert "…0000 now" in shown
    assert "9999" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-28 19:41:01 and 28/11/2026 10:00",
        "2026-11-28T19:41:01.123456+00:00",
        "lead 018f3c1e-1234-4321-8765-123456789012 is due",
        "from 192.168.100.200:8000",
        "card 12345678, [12345678, 23456789]",
        "429 after 3 tries, 12 of 250 in 0.25 s",
    ],
)
def test_what_is_no_phone_is_left_as_it_is(text):
    assert logs.tidy(text) == text


def test_ids_are_left_whole(written):
    line = written("delivery", correlation_id="0123456789abcdef0123", request_id="12345678901234")

    assert (line["correlation_id"], line["request_id"]) == ("0123456789abcdef0123", "12345678901234")


def test_the_path_of_a_webhook_is_shown_without_its_secret(written):
    assert written("Not Found: /webhooks/kommo/s3cr3t/")["event"] == "Not Found: /webhooks/kommo/[secret]/"


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks//kommo/s3cr3t/",
        "//webhooks/kommo/s3cr3t/",
        "/WebHooks/kommo/s3cr3t",
        "/webhooks/Kommo/s3cr3t",
        "/webhooks/ kommo/s3cr3t/",
        "/webhooks%2Fkommo%2Fs3cr3t",
        "/webhooks\\kommo\\s3cr3t",
        "/webhooks/kommo//s3cr3t",
        "/webhooks./kommo/s3cr3t",
        "/webhooks;x=1/kommo/s3cr3t",
        "/webhooks%20/kommo/s3cr3t",
        "/webhooks%0a/kommo/s3cr3t",
        "/webhooks\u200b/kommo/s3cr3t",
        "/webhooks%252Fkommo%252Fs3cr3t",
        "/webhook/kommo/s3cr3t/",
        "/intakes/whats/s3cr3t",
        "/intake./whats/s3cr3t/",
        "/intake/whats/s3cr3t/",
        "/Intake//whats/s3cr3t/",
        "/intake/a'b/s3cr3t/",
        '/intake/a"b/s3cr3t/',
        "/intake/a'b'c/s3cr3t",
        "/webhooks'/kommo/s3cr3t/",
        "/webhooks/kommo/first/ and /webhooks//kommo/s3cr3t",
    ],
)
def test_the_path_of_a_way_in_is_shown_without_its_secret_however_it_is_spelled(path):
    assert "s3cr3t" not in logs.tidy(f"Not Found: {path}")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/webhok/kommo/{}/", "/webhookskommo/{}", "/intak/messenger/{}/", "/{}/", "/admin/welcome/MQ/{}."]
)
def test_an_address_that_leads_nowhere_is_named_without_what_may_be_a_secret(path, caplog):
    secret = "c0ffee-S3cr3t_of_thirty_two_signs"
    Client(enforce_csrf_checks=True).post(path.format(secret))
    lines = [line.getMessage() for line in caplog.records if line.name.startswith("django.")]
    assert lines
    assert not [line for line in lines if "S3cr3t" in line]


@pytest.mark.django_db
def test_an_address_that_leads_nowhere_is_named_with_the_id_in_it(caplog):
    path = "/api/v1/lead/0d3b981a-0844-41e3-a1fe-75d8c1471927/"
    Client().get(path)
    assert f"Not Found: {path}" in caplog.text


def test_a_refusal_of_kommos_is_logged_without_its_words():
    wrong = {"code": "Odd", "path": "name", "detail": "Maria"}
    body = json.dumps({"validation-errors": [{"request_id": "0", "errors": [wrong]}]}).encode()
    refused = from_answer("update leads", 400, {}, body, "")
    assert "Maria" in str(refused)
    assert refused.in_log == "update leads: Kommo answered 400: name Odd"
    worded = from_answer("update leads", 500, {}, b'{"title": "Maria Souza is odd"}', "")
    assert worded.in_log == "update leads: Kommo answered 500"


def test_nothing_is_written_by_another_way_than_ours():
    """Django's own handlers would write with DEBUG what ours leave out."""
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    # What pytest listens with is not of the product.
    handlers = [
        (logger.name, each) for logger in loggers for each in logger.handlers if "pytest" not in type(each).__module__
    ]

    assert handlers
    assert [
        (name, handler)
        for name, handler in handlers
        if not isinstance(handler, logging.NullHandler)
        and not isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    ] == []


def test_a_sentence_about_webhooks_is_left_as_it_is():
    sentence = "GET /api/v4/webhooks: 401; Kommo has disabled our webhooks, docs/webhooks.md says why"

    assert logs.tidy(sentence) == sentence


@pytest.mark.parametrize(
    "odd", ["\x1b[2J", "\x9b31m", "\r", "\x08", "\x7f", "\u2028", "\u202e", "\u2066", "\x00", "\x0b", "\x85"]
)
def test_what_somebody_else_wrote_moves_no_terminal_and_hides_no_line(console, odd):
    message = f"Not Found: /a{odd}2026-11-28T20:00:00Z [info] all is well"

    lines = console(message, quoted=ValueError(message), told=message)

    assert odd[0] not in lines
    assert lines.count("[info] all is well") == 3


def test_one_thing_that_happened_is_one_line(console):
    assert console("first\n2026-11-28T20:00:00Z [info] forged", told="first\nsecond").count("\n") == 1


@pytest.fixture
def console():
    """Write one line through the formatter for people, as into a file, and return it."""

    def write(message, *, quoted=None, **more):
        handler = logging.StreamHandler(stream := io.StringIO())
        handler.setFormatter(logs.formatter("console"))
        logger = logging.getLogger("tests.console")
        logger.addHandler(handler)
        logger.propagate = False
        try:
            structlog.get_logger("tests.console").error(message, exc_info=quoted, **more)
            return stream.getvalue()
        finally:
            logger.removeHandler(handler)
            logger.propagate = True

    return write


@pytest.mark.parametrize(
    ("is_terminal", "no_color", "coloured"),
    [(True, "", True), (True, "1", False), (False, "", False)],
)
def test_colours_are_for_terminals(console, monkeypatch, is_terminal, no_color, coloured):
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    monkeypatch.setenv("NO_COLOR", no_color)

    assert ("\x1b[" in console("request", path="/admin/")) is coloured


def test_what_is_very_long_keeps_its_beginning_and_its_end_and_no_half_number():
    text = "beginning " + "+5581999990000 " * 400 + "the end"

    shown = logs.tidy(text)

    assert shown.startswith("beginning …0000 ")
    assert shown.endswith("…0000 the end")
    assert "5581" not in shown
    assert len(shown) < logs.LONGEST_VALUE


def test_the_end_of_a_long_traceback_is_kept():
    try:
        raise ValueError("x " * 30_000 + "because of this")
    except ValueError as error:
        assert logs.scrub("exception", repr(error)).endswith("because of this')")


RUNS = [
    "7",
    "a",
    "@",
    "a@",
    ".",
    "a.",
    "+",
    "é",
    "/",
    "/webhooks",
    "webhooks/kommo/",
    "%2f",
    "DETAIL: ",
    "DETAIL:\n",
    " ",
    "\\",
    '"',
    "a@b",
    "0a",
    "1 ",
    "1-",
    "(1",
    "1)(",
    "1%20",
    "%",
    "1.",
    "1.1",
    "2026-",
    "2026-11-",
    "12345678-1234-",
    "0000000\u200b",
    "…1",
    "1    ",
    "1     ",
    "://",
    "a://b",
    "://'",
    "://a@",
    "url: ",
    "url=/'",
    "GET /",
    "Invalid URL '",
    "Failed to parse: ",
]


@pytest.mark.parametrize("run", RUNS)
def test_scrubbing_takes_time_by_the_length_of_the_text_and_not_by_its_square(run):
    """Ten times the text costs about ten times; a square would cost a hundred times."""
    long = (run * 100_000)[:100_000]
    short_cost = long_cost = float("inf")
    # The least of several, taken by turns: what a busy machine adds once, it does not add each time.
    for _ in range(8):
        short_cost = min(short_cost, cost(long[:10_000]))
        long_cost = min(long_cost, cost(long))
        if long_cost < 40 * short_cost:
            return
    raise AssertionError(f"{long_cost / short_cost:.0f} times")


def cost(text: str) -> float:
    """Return the processor's seconds of this thread alone."""
    started = time.thread_time()
    logs.tidy(text, longest=len(text))
    logs.without_addresses(text)
    return max(time.thread_time() - started, 0.000_05)


@pytest.mark.parametrize(
    "message",
    [
        'null value in column "x" violates not-null constraint\nDETAIL:  Failing row contains (1, Zulmira, 900, {}).',
        "duplicate key\nDETAIL:  Key (name)=(Zulmira\nXavantina) already exists.\nCONTEXT:  SQL statement",
        "duplicate key DETAIL: Key (name)=(Zulmira) already exists.",
        "IntegrityError\nDETAIL:  Key (name)=(Zulmira) exists.\n\nThe above exception was a cause\nTraceback: kept",
    ],
)
def test_of_a_row_that_the_database_quotes_nothing_is_logged(message):
    tidied = logs.tidy(message)
    assert "Zulmira" not in tidied and "Xavantina" not in tidied
    assert tidied.startswith(message[:9])
    assert ("kept" in message) == ("kept" in tidied) and ("CONTEXT" in message) == ("CONTEXT" in tidied)


def test_who_waits_for_whom_in_a_deadlock_is_logged():
    message = "deadlock detected DETAIL: Process 7 waits for ShareLock on transaction 50; blocked by process 8."
    assert logs.tidy(message) == message


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://hooks.slack.com/services/T0/B0/KEY", "https://hooks.slack.com/…"),
        ("https://api.telegram.org/bot7:KEY/sendMessage?KEY=1", "https://api.telegram.org/…"),
        ("redis://:KEY@cache:6379/0", "redis://cache:6379/…"),
        ("postgres://ada:KE/Y@db/bridge", "postgres://…"),
        ("'https://a.example?KEY', again", "'https://a.example/…', again"),
        ("https://a.example/it's/KEY", "https://a.example/…"),
        ('https://a.example:8443 "PATCH /hook?t=KEY HTTP/1.1" 200', 'https://a.example:8443 "PATCH … HTTP/1.1" 200'),
        ("refused with url: /instances/7/token/KEY (Caused by X)", "refused with url: … (Caused by X)"),
        ("Incremented Retry for (url='/x/KEY')", "Incremented Retry for (url='…')"),
        ("odd headers (url=https://a.example/KEY): odd", "odd headers (url=https://a.example/… odd"),
        ("Invalid URL 'a.example/KEY': no scheme", "Invalid URL '…': no scheme"),
        ("LocationParseError: Failed to parse: a.example:x/KEY", "LocationParseError: Failed to parse: …"),
        ('{"url": "/hook/KEY"}', '{"url": "…"}'),
        ("update leads: Kommo answered 500", "update leads: Kommo answered 500"),
        ("Not Found: /admin/nowhere/", "Not Found: /admin/nowhere/"),
    ],
)  # fmt: skip
def test_of_an_address_that_we_call_nothing_is_left_but_where_it_leads(text, left):
    assert logs.without_addresses(text) == left


def test_what_a_library_writes_and_every_traceback_names_no_path(written):
    line = written(
        "delivery", error=ConnectionError("Max retries exceeded with url: /token/KEY (https://a.example/KEY)")
    )

    assert "KEY" not in json.dumps(line)
    assert "https://a.example/…" in line["exception"]
