"""Reading an answer that may be of any length, or never end."""

from __future__ import annotations

import time

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

PIECE_BYTES = 256 * 1024


def read_whole(answer: requests.Response, *, most_bytes: int, seconds: float) -> None:
    """Read a body, opened with `stream`, that is bounded in size and in time.

    Raises RequestException: its end is lost with the rest of it.
    """
    read, until = bytearray(), time.monotonic() + seconds
    try:
        while piece := answer.raw.read1(PIECE_BYTES, decode_content=True):
            read += piece
            if len(read) > most_bytes or time.monotonic() > until:
                answer.close()
                raise requests.ConnectionError("the answer did not end")
    except ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except HTTPError as error:
        raise requests.ConnectionError(error) from error
    answer._content, answer._content_consumed = bytes(read), True  # type: ignore[attr-defined]
    answer.raw.release_conn()
