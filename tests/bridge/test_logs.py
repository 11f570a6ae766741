"""Nothing secret and nobody's number stands in the log; what finds a thing again stands there whole."""

from __future__ import annotations

import io
import json
import logging
import time

import pytest
import structlog

from bridge import logs


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
        "/intake./whats/s3cr3t/",
        "/intake/whats/s3cr3t/",
        "/Intake//whats/s3cr3t/",
        "/webhooks/kommo/first/ and /webhooks//kommo/s3cr3t",
    ],
)
def test_the_path_of_a_way_in_is_shown_without_its_secret_however_it_is_spelled(path):
    assert "s3cr3t" not in logs.tidy(f"Not Found: {path}")


def test_a_sentence_about_webhooks_is_left_as_it_is():
    sentence = "GET /api/v4/webhooks: 401; Kommo has disabled our webhooks, docs/webhooks.md says why"

    assert logs.tidy(sentence) == sentence


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
    " ",
    "\\",
    '"',
    "a@b",
    "0a",
]


@pytest.mark.parametrize("run", RUNS)
def test_scrubbing_takes_time_by_the_length_of_the_text_and_not_by_its_square(run):
    """Ten times the text costs about ten times; a square would cost a hundred times."""
    long = (run * 100_000)[:100_000]

    assert least_seconds(long) < 40 * max(least_seconds(long[:10_000]), 0.000_05)


def least_seconds(text: str) -> float:
    def seconds() -> float:
        started = time.perf_counter()
        logs.tidy(text, longest=len(text))
        return time.perf_counter() - started

    return min(seconds() for _ in range(5))
