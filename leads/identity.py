"""Who is this? A person is found by any of their addresses (leads/addresses.py), in one pipeline or in all."""

from __future__ import annotations

from collections.abc import Iterable

from leads import address_owners
from leads.addresses import Address
from leads.models import Lead, Pipeline


def find(pipeline: Pipeline, addresses: Iterable[Address]) -> Lead | None:
    """Return the lead of this pipeline that has any of these addresses; of several that of the first.

    To find or to make one, and to remember what is new of the addresses, record an interaction that names them
    (leads/interactions.py).
    """
    keys = [address.key for address in addresses]
    owners = address_owners.owners(pipeline, keys)
    first = next((owners[key] for key in keys if key in owners), None)
    return Lead.objects.filter(pk=first).first() if first else None
