"""Of people who were erased no call to a way in keeps anything: no words, no receipt, no booking undone."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from django.db.models import Exists, OuterRef, Q

from bridge.logs import phones_in
from bridge.models import IntakeCall, IntakeItem
from leads import erasure
from leads.addresses import AddressError, Kind, parse

AT_ONCE = 200
# Each gives back nothing it has taken, so that the time grows with the text and not with its square.
LID = re.compile(r"(?<!\d)\d++(?:[:._]\d++)?@lid")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)++")
BSUID = re.compile(r"(?<![\w.-])[A-Za-z]{2}\.(?:ENT\.)?[A-Za-z0-9_-]++")
# With its country, as WhatsApp writes a number, and without, as people of one country do.
SPELLINGS = (Kind.WHATSAPP, Kind.PHONE)


def forget(
    lead_ids: Collection[Any],
    are_named_in: Callable[[str], bool] | None = None,
    *,
    keys: Collection[str] = (),
    region: str = "",
) -> int:
    """Empty the calls that told of these leads, and those about nobody known that name them; return how many.

    are_named_in: says of a text without capital letters whether it names them. keys: of their addresses, known in
    whatever spelling; numbers without a country are read as of `region`. Looks at every call that tells anything about
    no lead.
    """
    about = IntakeItem.objects.filter(call=OuterRef("pk"), lead__in=lead_ids)
    theirs = list(IntakeCall.objects.filter(Exists(about)).exclude(body=b"").values_list("pk", flat=True))
    # In every spelling of an address its last signs stand together.
    ends = {key[-4:].casefold() for key in keys}
    if are_named_in or ends:
        # What is unread is let go of when it is read, by the same rule as everything that is told of them later.
        call_items = IntakeItem.objects.filter(call=OuterRef("pk"))
        # What is about others alone is theirs; beside it may stand a receipt of this person's.
        of_others = Exists(call_items) & ~Exists(call_items.filter(lead=None))
        others = IntakeCall.objects.exclude(state=IntakeCall.State.RECEIVED).exclude(of_others).exclude(body=b"")
        for pk, body in others.values_list("pk", "body").iterator(AT_ONCE):
            text = bytes(body).decode(errors="replace").casefold()
            if (are_named_in and are_named_in(text)) or (
                any(end in text for end in ends) and not keys_in(text, region).isdisjoint(keys)
            ):
                theirs.append(pk)
    # Why nothing came of it may name their booking.
    IntakeItem.objects.filter(Q(lead__in=lead_ids) | Q(call__in=theirs)).exclude(reason="").update(reason="")
    return IntakeCall.objects.filter(pk__in=theirs).update(body=b"", error="")


def naming_erased(bodies: Mapping[int, tuple[bytes, str]]) -> set[int]:
    """Return which of these bodies, each with its region, name somebody who was erased and is not back. Two queries."""
    keys_by_call = {pk: keys_in(bytes(body).decode(errors="replace"), region) for pk, (body, region) in bodies.items()}
    unwelcome = erasure.unwelcome(set().union(*keys_by_call.values()))
    return {pk for pk, keys in keys_by_call.items() if not unwelcome.isdisjoint(keys)}


def keys_in(text: str, region: str) -> set[str]:
    """Return the keys of the addresses that stand in a text: phones in any spelling, lids, bsuids and e-mails."""
    named = {(kind, digits) for digits in phones_in(text) for kind in SPELLINGS}
    for kind, pattern in ((Kind.LID, LID), (Kind.EMAIL, EMAIL), (Kind.BSUID, BSUID)):
        named |= {(kind, found[0]) for found in pattern.finditer(text)}
    keys: set[str] = set()
    for kind, value in named:
        with suppress(AddressError):
            keys.add(parse(kind, value, region=region or "ZZ").key)
    return keys
