"""The card of a lead that turns out to be another one (leads/joining.py): whose it is from then on."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from bridge.models import Card
from leads.models import JoinedLead, Lead


def with_cards(lead_ids: Collection[UUID]) -> set[UUID]:
    """Return the leads that have a card in Kommo, or may have one: the answer to its creation has not come yet."""
    rows = Card.objects.select_for_update(no_key=True).filter(lead__in=lead_ids).order_by("pk")
    return {card.lead_id for card in rows if card.kommo_lead_id is not None or card.create_intent_at is not None}


def card(lead: Lead, other: Lead) -> int | None:
    """Let the lead have the card that either has, its own before the other's.

    Returns Kommo's id of the card that is left behind. It stays in Kommo as it is.
    """
    rows = {row.lead_id: row for row in Card.objects.select_for_update().filter(lead__in=[lead.pk, other.pk])}
    own, theirs = rows.get(lead.pk), rows.get(other.pk)
    if theirs is None:
        return None
    if own is None:
        Card.objects.filter(pk=theirs.pk).update(lead=lead)
        return None
    stays, goes = (theirs, own) if _is_in_kommo(theirs) and not _is_in_kommo(own) else (own, theirs)
    for relation in Card._meta.related_objects:
        # What was tried and found stays on record; contacts are another card's own.
        if not relation.one_to_one and relation.related_model.__name__ in ("Delivery", "Briefing", "Drift"):
            relation.related_model._base_manager.filter(card=goes).update(card=stays)
    left_behind = goes.kommo_lead_id
    goes.delete()
    Card.objects.filter(pk=stays.pk).update(lead=lead)
    return left_behind


def _is_in_kommo(card: Card) -> bool:
    return card.kommo_lead_id is not None or card.create_intent_at is not None


def left_behind(kommo_ids: Collection[int]) -> set[int]:
    """Return which leads of Kommo are cards that joined leads have left behind: they show nobody any more."""
    rows = JoinedLead.objects.filter(kommo_lead_id__in=kommo_ids)
    return {
        kommo_lead_id for kommo_lead_id in rows.values_list("kommo_lead_id", flat=True) if kommo_lead_id is not None
    }
