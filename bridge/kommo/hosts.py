"""Which hosts we send a token to: Kommo's, and a sandbox on this very machine."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from bridge.errors import ConfigurationError

KOMMO_HOST = re.compile(r"^[a-z0-9][a-z0-9-]*\.(kommo\.com|amocrm\.ru|amocrm\.com)$")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def check_base_url(url: str) -> str:
    """Return the account's address without a path. Raises ConfigurationError for every host that is not Kommo's.

    Plain http is accepted for loopback alone, where the sandbox runs.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigurationError(f"“{url}” is not an address; write it like https://acme.kommo.com") from error
    if host in LOOPBACK and parts.scheme in ("http", "https"):
        shown = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{shown}:{port}" if port else f"{parts.scheme}://{shown}"
    if parts.scheme == "https" and is_kommo_host(host) and port in (None, 443) and not parts.username:
        return f"https://{host}"
    raise ConfigurationError(f"“{url}” is not a Kommo account; write its whole address, like https://acme.kommo.com")


def is_kommo_host(host: str) -> bool:
    # www is the shop window: no account lives there, and no token belongs there.
    return bool(KOMMO_HOST.match(host.lower())) and not host.lower().startswith("www.")


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in LOOPBACK


def is_this_machine(url: str) -> bool:
    """Say whether an address names the machine it is opened on, in whatever spelling."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def address_of(host: str, *, known: str) -> str:
    """Return the address of a host that Kommo, or somebody who says so, has named for the account at `known`.

    Only Kommo's own hosts pass; a sandbox on this machine may name another port of it. Raises ConfigurationError.
    """
    name = host.strip().lower().removeprefix("https://").removeprefix("http://").rstrip("/")
    if is_loopback(known) and urlsplit(f"//{name}").hostname in LOOPBACK:
        return check_base_url(f"http://{name}")
    if not is_kommo_host(name):
        raise ConfigurationError(f"“{host[:100]}” is not a host of Kommo's; nothing was sent there")
    return f"https://{name}"
