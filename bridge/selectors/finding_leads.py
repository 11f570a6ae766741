"""Finding leads by what a person types: beginnings of names in any order, an address, a lead id of Kommo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

from django.db.models import Q, QuerySet

from bridge.models import Account, Card
from leads import address_owners, addresses, name_words
from leads.addresses import AddressError, Kind
from leads.models import Lead, Pipeline
from leads.phone import PhoneError, parse

# Of a log's rows those of so many leads are shown; a search that finds more is too short to be of use.
LEADS_TAKEN = 200
DIGITS = re.compile(r"\d")
# How numbers are written: anything else in it makes it a name.
NUMBER = re.compile(r"[\d\s()+./-]+")


def find(leads: QuerySet[Lead], text: str) -> QuerySet[Lead]:
    """Narrow leads to those that what was typed may mean; all of them for no text."""
    text = text.strip()
    if not text:
        return leads
    digits = "".join(DIGITS.findall(text))
    if NUMBER.fullmatch(text) and digits:
        whole = _with_phone(text)
        # Only part of a number is looked for in every lead.
        found = Q(pk__in=whole) if whole else Q(phone__contains=digits)
        if len(digits) <= 18:
            # Asked apart, and by account: the index begins with it.
            accounts = list(Account.objects.values_list("pk", flat=True))
            cards = Card.objects.filter(account__in=accounts, kommo_lead_id=int(digits))
            found |= Q(pk__in=list(cards.values_list("lead_id", flat=True)))
        return leads.filter(found)
    kinds = [f"{kind}:{value}" for kind, value in _as_addresses(text)]
    known = address_owners.of_any(kinds) if kinds else Q(pk=None)
    if "@" in text.lstrip("@"):
        return leads.filter(Q(email__icontains=text) | known)
    # A known address is one of few; names are asked apart, so that each is found by its own index.
    if kinds and leads.filter(known).exists():
        return leads.filter(known)
    return name_words.named(leads, text) if name_words.words(text) else leads.none()


def _as_addresses(text: str) -> Iterator[tuple[Kind, str]]:
    """Yield what was typed as every kind of address that it may be."""
    for kind in Kind:
        with suppress(AddressError):
            address = addresses.parse(kind, text, region="ZZ")
            if not address.phone:
                yield address.kind, address.value


def _with_phone(text: str) -> list[UUID]:
    """Return the leads whose whole phone was typed, in any spelling."""
    keys = set()
    for region in Pipeline.objects.order_by().values_list("phone_region", flat=True).distinct():
        with suppress(PhoneError):
            keys.add(parse(text, region=region).key)
    return [
        pk for key in keys for pk in Lead.objects.filter(address_owners.of_anybody(key)).values_list("pk", flat=True)
    ]


def ids(text: str) -> list[UUID]:
    """Return the leads that what was typed may mean, at most LEADS_TAKEN."""
    return list(find(Lead.objects.all(), text).order_by().values_list("pk", flat=True)[:LEADS_TAKEN])
