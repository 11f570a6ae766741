"""Reading a JSON body: bounded, strict UTF-8, no NaN, and never an exception the caller cannot act on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser


class PayloadTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is larger than 1 MiB."
    default_code = "too_large"


# What is read of a larger body before it is refused, so that the caller reads the answer and not a broken connection.
MOST_DISCARDED = 32 * 1024 * 1024
PIECE = 64 * 1024


class JsonParser(BaseParser):
    # What is described. Read is whatever the caller called it (see OnlyJson): `curl -d` calls JSON a form, and a form
    # that is no JSON is told so.
    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        limit = settings.API_MAX_BODY_BYTES
        body = stream.read(limit + 1)
        if len(body) > limit:
            _discard(stream)
            raise PayloadTooLarge
        try:
            return _loads(body)
        except (orjson.JSONDecodeError, RecursionError) as error:
            raise ParseError(f"The body is not JSON: {error}") from error


SHOWN = "\N{REPLACEMENT CHARACTER}".encode()
# The half of a character that lies beyond 16 bits, alone: a text was cut in the middle of an emoji. As an escape, and
# as the bytes that some languages make of it.
ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
# A text that was cut by bytes: a character of three or four has lost its last. One byte alone is left as it is: it may
# as well be a whole letter of another encoding, whose sender should know.
CUT = re.compile(rb"(?:[\xe0-\xef][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{1,2})(?![\x80-\xbf])")


def _loads(body: bytes) -> Any:
    """Read JSON; half a character in a text is shown as one that cannot be shown, and costs nothing else."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        mended = CUT.sub(SHOWN, HALF.sub(SHOWN, body))
        mended = ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], mended)
        if mended == body:
            raise
        return orjson.loads(mended)


def _discard(stream: Any) -> None:
    for _ in range(MOST_DISCARDED // PIECE):
        if not stream.read(PIECE):
            return
