"""By which words is somebody known in a text? Names that tell who it is, and addresses that nobody else has."""

from __future__ import annotations

import re
from collections.abc import Iterable

from leads.addresses import Kind
from leads.models import Lead

# A single name as short is many people's.
LONG_NAME = 10
# Names of users, which people choose, and ids of other programs, which may be anything.
CHOSEN = (Kind.INSTAGRAM, Kind.TELEGRAM, Kind.EXTERNAL)
GIVEN = (Kind.PHONE, Kind.WHATSAPP, Kind.LID, Kind.BSUID, Kind.EMAIL)
SHORTEST_ADDRESS = 8


def is_telling(name: str) -> bool:
    """Say whether a name tells who it is: “Ana” stands in what is told of many others."""
    return " " in name.strip() or len(name) >= LONG_NAME


def telling(lead: Lead, names: Iterable[str]) -> set[str]:
    """Return the names that tell who it is, those included that people choose for themselves elsewhere."""
    chosen = {address["value"] for address in lead.addresses if address["kind"] in CHOSEN}
    return set(filter(is_telling, {*names, *chosen}))


def reached_at(lead: Lead) -> set[str]:
    """Return the addresses of a lead that nobody else has, and that no text has by chance."""
    given = {
        address["value"].partition("@lid")[0].lstrip("+") for address in lead.addresses if address["kind"] in GIVEN
    }
    return {address for address in given if len(address) >= SHORTEST_ADDRESS} | ({lead.email} - {""})


def whole_word(word: str) -> str:
    """Return the pattern of a word that is no part of a longer one; an address is part of no longer address."""
    before, after = (r"(?<![\w.+-])", r"(?![\w-]|\.\w)") if "@" in word else (r"(?<!\w)", r"(?!\w)")
    return f"{before}{re.escape(word)}{after}"
