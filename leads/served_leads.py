"""Does the agent serve this lead? A pipeline may leave leads to people: by a tag, by their age, by a draw. Pure.

The draw is of the person: by the address they were first known by, so it stays what it was when a number comes to be
known, is the same in every pipeline, and whoever is drawn for a tenth is drawn for a half as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from common.name_spellings import name_key
from common.reasons import Reason

EVERYBODY = Decimal(1)
NOT_NEW = Reason("serves_only_new_leads")
_LOTS = 1 << 64


@dataclass(frozen=True)
class Terms:
    """Whom the agent of a pipeline serves; everything that is named must hold.

    new_since: leads from before are none of its; None where their age is not asked. share: 0 to 1.
    """

    only_with_tag: str = ""
    never_with_tag: str = ""
    new_since: datetime | None = None
    share: Decimal = EVERYBODY

    @property
    def is_open(self) -> bool:
        return self == Terms()

    @property
    def asks_tags(self) -> bool:
        return bool(self.only_with_tag or self.never_with_tag)


def why_not(terms: Terms, *, tags: Collection[str], created_at: datetime, drawn_as: str) -> str:
    """Return why the agent does not serve a lead; empty when it does.

    tags: on their card. drawn_as: by what the person takes part in the draw.
    """
    worn = {name_key(tag) for tag in tags}
    if terms.never_with_tag and name_key(terms.never_with_tag) in worn:
        return Reason("serves_none_with_tag", a=f"“{terms.never_with_tag}”")
    if terms.only_with_tag and name_key(terms.only_with_tag) not in worn:
        return Reason("serves_only_with_tag", a=f"“{terms.only_with_tag}”")
    if terms.new_since and created_at < terms.new_since:
        return NOT_NEW
    if not is_drawn(drawn_as, terms.share):
        return Reason("lead_not_drawn", share=percent(terms.share))
    return ""


def is_drawn(person: str, share: Decimal) -> bool:
    """Say whether a person is in a share of all people. Whoever is in a share is in every larger one."""
    lot = int.from_bytes(hashlib.sha256(f"served:{person}".encode()).digest()[:8])
    return lot < share * _LOTS


def drawn_as(lead_id: UUID, phone_key: str | None, first_key: str) -> str:
    """Return by what a person takes part in the draw: the address they were first known by, if any is."""
    return first_key or phone_key or str(lead_id)


def percent(share: Decimal) -> str:
    """Return a share as people write it.

    >>> percent(Decimal("0.125"))
    '12.5 %'
    """
    return f"{(share * 100).normalize():f} %"
