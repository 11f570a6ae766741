"""Bodies sent in chunks, which name no length: Django would read none of them, and the call would seem to succeed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.conf import settings

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class WholeBodies:
    """WSGI: read a body without a length to its end, and give it one; 413 for one larger than anybody takes here."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        # The server marks that its stream has an end; without that mark reading could wait for ever.
        if environ.get("CONTENT_LENGTH") or not environ.get("wsgi.input_terminated"):
            return self._application(environ, start_response)
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = environ["wsgi.input"].read(most + 1)
        if len(body) > most:
            start_response("413 Content Too Large", [("Content-Length", "0"), ("Connection", "close")])
            return []
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
        return self._application(environ, start_response)
