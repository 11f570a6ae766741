"""What cards hold where a new rule shows a fact of ours from now on: found there, so it is theirs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from bridge.cards import ownership
from bridge.cards.desired import wanted_tags
from bridge.inbound.adopted_values import Reading, remember_owners, save_lead, take_values_over
from bridge.inbound.adoption import locked
from bridge.models import Card, Catalogue
from leads.models import FieldMapping, Lead, TagRule
from leads.rulebook import rulebook


def first_sight_of_field(mapping: FieldMapping, *, now: datetime) -> int:
    """Adopt what cards hold in a field that shows one of our facts from now on; return how many cards did."""
    cards = Card.objects.filter(lead__pipeline_id=mapping.pipeline_id, kommo_lead_id__isnull=False)
    subject = f"field:{mapping.kommo_field_id}"
    key = str(mapping.kommo_field_id)

    def changed(card: Card) -> dict[str, tuple[Any, Any]]:
        observed_value = card.observed.get("fields", {}).get(key)
        found_elsewhere = card.lead.provenance.get(mapping.attribute, {}).get("by") == Lead.Actor.STAFF
        return {subject: (None, observed_value)} if observed_value not in (None, []) or found_elsewhere else {}

    return _first_sight_of(cards.exclude(state=Card.State.CLOSED), changed, now)


def first_sight_of_tags(rule: TagRule, *, now: datetime) -> int:
    """Leave to others their tags that belong to a family of ours from now on; return how many cards have some."""
    cards = Card.objects.filter(lead__pipeline_id=rule.pipeline_id, kommo_lead_id__isnull=False)

    def changed(card: Card) -> dict[str, tuple[Any, Any]]:
        tags = card.observed.get("tags", [])
        found_elsewhere = card.lead.provenance.get(rule.attribute, {}).get("by") == Lead.Actor.STAFF
        theirs = ownership.family(rule, tags)
        return {"tags": (sorted(set(tags) - set(theirs)), tags)} if theirs or found_elsewhere else {}

    return _first_sight_of(cards.exclude(state=Card.State.CLOSED), changed, now, family=rule)


def _first_sight_of(
    cards: QuerySet[Card],
    changed: Callable[[Card], dict[str, tuple[Any, Any]]],
    now: datetime,
    family: TagRule | None = None,
) -> int:
    """Treat what cards hold somewhere as found there: theirs, unless somebody has set it since we know the card."""
    count = 0
    for pk in list(cards.values_list("pk", flat=True)):
        with transaction.atomic():
            card = locked(pk)
            found = {key: value for key, value in changed(card).items() if not _is_ours(card, key)}
            if not found:
                continue
            reading = Reading(
                card=card,
                lead=card.lead,
                book=rulebook(card.lead.pipeline),
                catalogue=Catalogue.objects.filter(account_id=card.account_id).first(),
                changed=found,
                by=Lead.Actor.STAFF,
                set_at=now,
                now=now,
                first_sight=True,
                only_unspoken=True,
            )
            called_for = set(wanted_tags(reading.lead, reading.book))
            columns = take_values_over(reading)
            if family:
                called_for -= set(ownership.family(family, called_for))
            remember_owners(reading, called_for=sorted(called_for))
            card.save(update_fields=["ownership", "said_tags"])
            save_lead(reading, columns)
            count += 1
    return count


def _is_ours(card: Card, subject: str) -> bool:
    return bool(card.ownership.get(subject, {}).get("by") == Lead.Actor.AGENT)
