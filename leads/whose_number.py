"""Is a further address proven to be the person's? A number on another contact of their card may be a spouse's."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from leads import announcements
from leads.models import FurtherAddress, Lead


def by_whose(rows: QuerySet[FurtherAddress]) -> tuple[list[FurtherAddress], list[FurtherAddress]]:
    """Return the addresses that are proven to be their lead's person's, and the others.

    A number on another contact of a card finds the lead, and may be a spouse's: it proves who somebody is only once
    they wrote from it. Of a lead without a card nobody tells so. Two queries at most.
    """
    found = list(rows.select_related("lead").only("lead_id", "key", "seen_in", "lead__written_from"))
    in_kommo = {address.lead_id for address in found if address.seen_in.isdecimal()}
    answers: list[tuple[Any, Any]] = announcements.own_places_wanted.send(Lead, lead_ids=in_kommo) if in_kommo else []
    places: set[tuple[Any, str]] = set().union(*(own for _, own in answers))
    with_cards = {lead_id for lead_id, _ in places}
    proven: list[FurtherAddress] = []
    of_others: list[FurtherAddress] = []
    for address in found:
        lead_id, place = address.lead_id, address.seen_in
        is_own = not place.isdecimal() or lead_id not in with_cards or (lead_id, place) in places
        (proven if is_own or address.key == address.lead.written_from else of_others).append(address)
    return proven, of_others
