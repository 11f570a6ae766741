"""Calls that leave our own network: which addresses lie within it, and connections that are made to no such one.

A name that led outside when somebody typed it may lead inside a minute later: whose it is says where. So a name is
looked up when it is called, and what is connected to is one of the addresses that were looked at.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

# An address of the older kind in the last four bytes: by NAT64, and translated (RFC 6052, RFC 2765).
CARRIERS = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::ffff:0:0:0/96"))
# What IANA's registries of special purposes call not globally reachable; a Python, by its age, takes some of it for
# somebody's. This machine, private, shared, the protocols' own, documentation, benchmarks, relays given up, reserved,
# and a NAT64 of one's own, which carries any address within.
# Source: iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32",
            "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
        ),
    )
)  # fmt: skip


class LeadsInsideError(NewConnectionError):
    """The name leads into our own network: nothing was sent, and nothing was connected to."""


def addresses(host: str, port: int | None) -> list[str]:
    """Return the addresses of a host, in the order in which they are to be tried. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address_info[4][0]) for address_info in found))


def is_inside(address: str) -> bool:
    """Say whether an address is one of this machine or its network, by whatever kind of address it is reached."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(found, ipaddress.IPv6Address):
        # What reaches an address of the older kind by another name: mapped, compatible, 6to4, NAT64, translated.
        tail = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        has_tail = int(found) < 2**32 or any(found in network for network in CARRIERS)
        carried = found.ipv4_mapped or found.sixtofour or (tail if has_tail else None)
        found = carried or found
    return not found.is_global or found.is_multicast or any(found in network for network in SPECIAL)


class _OutsideOnly(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        try:
            found = addresses(name, self.port)
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, f"the name is not found: {error}") from error
        if any(map(is_inside, found)):
            raise LeadsInsideError(self, "the address leads into our own network")
        failure: Exception = NewConnectionError(self, "the name has no address")
        for address in found:
            # By the very address that was looked at; the certificate is asked for under the name.
            self._dns_host = address
            try:
                return super()._new_conn()
            except NewConnectionError as error:
                failure = error
            finally:
                self._dns_host = name
        raise failure


class _SafelyOutsideOnly(_OutsideOnly, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _OutsideOnly


class _SafePool(HTTPSConnectionPool):
    ConnectionCls = _SafelyOutsideOnly


class OutsideOnly(HTTPAdapter):
    """For a session that calls nobody within our own network. A proxy of the environment decides for itself."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SafePool}
