"""What is kept of an address, or of the id of a report, once nobody may know any more whose it was: a keyed hash.

The numbers of a country can be tried out within minutes, so a plain hash would hide nothing. The key stands in the
database under FIELD_ENCRYPTION_KEYS: whoever has a copy of the database without those keys cannot try.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable

from leads import whose_number
from leads.models import FurtherAddress, Lead, PseudonymKey

# Read once in a process: while that runs it never changes.
_known: list[bytes] = []


def of_address(key: str) -> str:
    """Return the pseudonym of an address, by its key (leads/addresses.py)."""
    # The first word of all of them, from when every address was a phone: with another one, wishes would be lost.
    return _pseudonym("phone", key)


def of_report(name: str) -> str:
    """Return the pseudonym of a report, by what tells it from others: a message's id, an idempotency key."""
    return _pseudonym("report", name)


def of_value(text: str) -> str:
    """Return the pseudonym of a value that stood on a card, with whatever tells it from other people's."""
    return _pseudonym("value", text)


def of_lead(lead: Lead) -> set[str]:
    """Return the pseudonyms of the person's addresses, also after they were erased; none where none was known."""
    return set(of_leads([lead]))


def of_leads(leads: Iterable[Lead], *, further: bool = True) -> dict[str, list[Lead]]:
    """Return leads by each pseudonym of their person, as far as it is proven that the address is theirs.

    Two queries at most, none without `further`: a new lead has one address.
    """
    rows = list(leads)
    found: dict[str, list[Lead]] = {}
    for lead in rows:
        own = [of_address(lead.phone_key)] if lead.phone_key else [lead.erased_address, *lead.erased_further]
        for address in filter(None, own):
            found.setdefault(address, []).append(lead)
    by_id = {lead.pk: lead for lead in rows if lead.phone_key}
    others = FurtherAddress.objects.filter(lead__in=list(by_id)) if further and by_id else FurtherAddress.objects.none()
    for address in whose_number.by_whose(others)[0]:
        found.setdefault(of_address(address.key), []).append(by_id[address.lead_id])
    return found


def forget_key() -> None:
    """Read the key anew: it was replaced, because nothing opens the old one any more."""
    _known.clear()


def _pseudonym(kind: str, text: str) -> str:
    return hmac.digest(_key(), f"{kind}:{text}".encode(), "sha256").hex()


def _key() -> bytes:
    if not _known:
        row = PseudonymKey.objects.order_by("pk").first()
        if row is None:
            # Migrations make it; this is for a database that was emptied since. Not remembered: it may be undone.
            row, _ = PseudonymKey.objects.get_or_create(pk=1, defaults={"secret": secrets.token_urlsafe(32)})
            return str(row.secret).encode()
        _known.append(str(row.secret).encode())
    return _known[0]
