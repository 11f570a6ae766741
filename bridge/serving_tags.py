"""The tags by which a pipeline says whom its agent serves (leads/may_speak.py).

They are those the card is known to have in Kommo; before there is one, those it will be made with.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from bridge.cards.desired import wanted_tags
from bridge.models import Card
from leads.models import Lead
from leads.rulebook import rulebook


def tags_of(lead_ids: Collection[UUID]) -> dict[UUID, Collection[str]]:
    """Return the tags of leads, by their ids. One query for those with a card, few for the others."""
    cards = Card.objects.filter(lead__in=lead_ids, kommo_lead_id__isnull=False)
    found: dict[UUID, Collection[str]] = {
        lead_id: tags or () for lead_id, tags in cards.values_list("lead_id", "observed__tags")
    }
    if missing := [pk for pk in lead_ids if pk not in found]:
        rows = Lead.objects.filter(pk__in=missing).select_related("pipeline", "stage").prefetch_related("objections")
        found |= {lead.pk: wanted_tags(lead, rulebook(lead.pipeline)) for lead in rows}
    return found
