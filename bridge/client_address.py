"""Who is asking? The address that our own proxy saw, or the connection's when there is no proxy.

One address has one spelling wherever callers are counted: with a port or without, IPv4 inside IPv6, and an IPv6 network
of 64 bits, which is what one subscriber is given, are one caller.
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

SUBSCRIBER_BITS = 64


def client_address(request: HttpRequest) -> str:
    """Return the client's address, counting `TRUSTED_PROXIES` entries of X-Forwarded-For from its end.

    Each of our proxies appends the address it was called from; whatever stands before those is only claimed. An entry
    that is no address is our proxy's mistake: then it is the proxy that counts.
    """
    connection = str(request.META.get("REMOTE_ADDR", ""))
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if settings.TRUSTED_PROXIES and forwarded:
        seen = identity(forwarded[-min(settings.TRUSTED_PROXIES, len(forwarded))])
        if seen:
            return seen
    return identity(connection) or connection


def identity(text: str) -> str:
    """Return the one spelling of an address, of an IPv6 one that of its network; empty for what is no address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        if not address.is_loopback:
            return str(IPv6Network((address, SUBSCRIBER_BITS), strict=False).network_address)
    return str(address)
