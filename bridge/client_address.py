"""Who is asking? The address that our own proxy saw, or the connection's when there is no proxy."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the client's address, counting `TRUSTED_PROXIES` entries of X-Forwarded-For from its end.

    Each of our proxies appends the address it was called from; whatever stands before those is only claimed.
    """
    address = str(request.META.get("REMOTE_ADDR", ""))
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if not settings.TRUSTED_PROXIES or not forwarded:
        return address
    return str(forwarded[-min(settings.TRUSTED_PROXIES, len(forwarded))])
