"""Reading a JSON body: bounded, strict UTF-8, no NaN, and never an exception the caller cannot act on."""

from __future__ import annotations

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
    # Whatever the caller called it: `curl -d` calls JSON a form, and a form that is no JSON is told so.
    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        limit = settings.API_MAX_BODY_BYTES
        body = stream.read(limit + 1)
        if len(body) > limit:
            _discard(stream)
            raise PayloadTooLarge
        try:
            return orjson.loads(body)
        except (orjson.JSONDecodeError, RecursionError) as error:
            raise ParseError(f"The body is not JSON: {error}") from error


def _discard(stream: Any) -> None:
    for _ in range(MOST_DISCARDED // PIECE):
        if not stream.read(PIECE):
            return
