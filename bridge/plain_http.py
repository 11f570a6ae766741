"""Who may call without TLS? Nobody from outside; an agent, a messenger or an assistant on this very machine may.

It is told `http://127.0.0.1:8000`, and a redirect to an https that nobody serves there would lose what it tells.
Django's own redirect knows paths and no hosts, so it leaves what programs call to this one.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect

from bridge.kommo.hosts import is_this_machine

# What programs call that may run beside the bridge; Kommo's webhooks always come from outside.
CALLED = ("/api/v1/", "/intake/", "/mcp")


class CallersByTls:
    """Middleware: send programs that call from outside to https, as everybody else is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SECURE_SSL_REDIRECT and request.path.startswith(CALLED) and not request.is_secure():
            host = request.get_host()
            # No name of ours in the internet is this machine's: what a proxy passes on is redirected.
            if not is_this_machine(f"//{host}"):
                return HttpResponsePermanentRedirect(f"https://{host}{request.get_full_path()}")
        return self._get_response(request)
