"""What stood on a card before its person was erased does not come back when they do.

Whoever is back gets the card they left in Kommo, for nobody gets a second one; here it is a new beginning. What stood
there is known again by a pseudonym alone (`Card.of_before`: subject -> pseudonym, by the subjects of
bridge/cards/ownership.py), and is read as if nothing stood there: until staff write something else in its place, or the
conversation tells it anew and our own write puts it there.

Its place, who is responsible and its tags are no such values: they name nobody, and a tag may keep the agent silent.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bridge.cards.observed import observed
from bridge.kommo.replies import LeadReply
from bridge.models import Card
from leads import pseudonyms


def without(card: Card, reply: LeadReply) -> tuple[LeadReply, dict[str, str] | None]:
    """Return a reading without what is of before, and the pseudonyms by which that is known again; None for none."""
    marks = card.of_before or (_marks(reply) if _meets_what_was_left(card, reply) else {})
    if not marks:
        return reply, None
    now_there = _marks(reply)
    hidden = {
        subject: mark
        for subject, mark in marks.items()
        if now_there.get(subject) == mark
        and not _stands(card.observed, subject)
        and not _stands(card.in_doubt, subject)
    }
    return (
        replace(
            reply,
            name="" if "name" in hidden else reply.name,
            price=0 if "price" in hidden else reply.price,
            custom_fields=tuple(
                custom_field for custom_field in reply.custom_fields if f"field:{custom_field.field_id}" not in hidden
            ),
        ),
        hidden or None,
    )


def _meets_what_was_left(card: Card, reply: LeadReply) -> bool:
    """Say whether somebody who is back sees this lead of Kommo first, and it is older than their erasure."""
    if card.observed:
        return False
    erased_at = card.lead.back_since_erasure_of
    return erased_at is not None and reply.created_at <= erased_at.timestamp()


def _marks(reply: LeadReply) -> dict[str, str]:
    shown = observed(reply)
    values = {"name": shown["name"], "price": shown["price"]}
    values |= {f"field:{field_id}": value for field_id, value in shown["fields"].items()}
    return {
        subject: pseudonyms.of_value(f"{reply.id}:{subject}:{json.dumps(value, sort_keys=True, default=str)}")
        for subject, value in values.items()
        if value not in ("", 0, None, [])
    }


def _stands(known: dict[str, Any], subject: str) -> bool:
    """Say whether we know of a value there, or have sent one: what is read is that, and not what was left."""
    kind, _, field_id = subject.partition(":")
    value = known.get("fields", {}).get(field_id) if kind == "field" else known.get(kind)
    return value not in ("", 0, None, [])
