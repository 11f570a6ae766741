"""Nothing secret and nobody's number stands in the log; what finds a thing again stands there whole."""

from __future__ import annotations

import io
import json
import logging

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
