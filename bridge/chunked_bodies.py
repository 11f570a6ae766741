"""Bodies that Django's own limits do not reach.

Those sent in chunks name no length: it would read none of them, and the call would seem to succeed. Files within a form
count as no memory, and are written to the disk however large they are, before anybody asks who sends them. And
one whose caller goes away half-way is shorter than its length, which nobody would notice: half an id is another lead's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.conf import settings

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class WholeBodies:
    """WSGI: read a body without a length to its end, and give it one; 413 for one larger than anybody takes here.

    One that ends before its length cannot be read. Of other bodies too large for whoever takes them, the answer is
    theirs: they read no more than they take.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if "multipart/" in environ.get("CONTENT_TYPE", "").lower() and _length(environ) > most:
            return _refuse(start_response)
        # The server marks that its stream has an end; without that mark reading could wait for ever.
        if environ.get("CONTENT_LENGTH") or not environ.get("wsgi.input_terminated"):
            environ["wsgi.input"] = _ToItsEnd(environ["wsgi.input"])
            return self._application(environ, start_response)
        body = environ["wsgi.input"].read(most + 1)
        if len(body) > most:
            return _refuse(start_response)
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
        return self._application(environ, start_response)


class _ToItsEnd:
    """A body, of which Django asks for no more than its length tells: less is the end of the connection."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        return self._whole(data, len(data) == size)

    def readline(self, size: int) -> bytes:
        line: bytes = self._stream.readline(size)
        return self._whole(line, len(line) == size or line.endswith(b"\n"))

    def _whole(self, data: bytes, is_whole: bool) -> bytes:
        if not is_whole:
            # As where the connection breaks: Django knows what that is.
            raise ConnectionResetError("the body ended before its length")
        return data


def _length(environ: Environ) -> int:
    length = environ.get("CONTENT_LENGTH") or ""
    return int(length) if length.isdecimal() else 0


def _refuse(start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("413 Content Too Large", [("Content-Length", "0"), ("Connection", "close")])
    return []
