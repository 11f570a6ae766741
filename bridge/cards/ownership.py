"""Who set what last on a card, and when: the memory behind “people win”.

`Card.ownership`: subject -> {"by": actor, "at": ISO time, "value": what Kommo holds since}, for the subjects "name",
"price", "stage", "responsible_user_id", "loss_reason_id", "field:<id>" and "tags:<template>" (the family of a tag
rule). Where a person's value stands against what the lead calls for, "ours" is what it called for then: while it calls
for nothing else, theirs stands; once the conversation brings something newer about that very thing, ours is written
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.models import Card
from leads.models import Lead, TagRule
from leads.rulebook import Rulebook

Ownership = dict[str, dict[str, Any]]
# Whose value stands against ours: a person's, or that of another program in Kommo.
THEIRS = (Lead.Actor.STAFF, Lead.Actor.KOMMO)


@dataclass(frozen=True)
class Owner:
    """Who set one thing last. `holds`: their value stands although the lead calls for another."""

    subject: str
    label: str
    by: str
    at: datetime
    value: Any
    holds: bool


def owners(card: Card, book: Rulebook) -> list[Owner]:
    """Return who set each thing on the card last, for people to read."""
    return [
        Owner(
            subject,
            label(subject, book),
            str(entry["by"]),
            datetime.fromisoformat(entry["at"]),
            entry.get("value"),
            "ours" in entry,
        )
        for subject, entry in sorted(card.ownership.items())
    ]


def label(subject: str, book: Rulebook) -> str:
    """Return a subject's name for people."""
    kind, _, rest = subject.partition(":")
    if kind == "field":
        mapped = (
            field_mapping.kommo_field
            for field_mapping in book.field_mappings
            if str(field_mapping.kommo_field_id) == rest
        )
        return next(mapped, f"field {rest}")
    if kind == "tags" and rest:
        return f"tags {rest}"
    return {"responsible_user_id": "responsible", "loss_reason_id": "loss_reason"}.get(subject, subject)


def entry(by: str, at: datetime, value: Any) -> dict[str, Any]:
    return {"by": str(by), "at": at.isoformat(), "value": value}


def held_against(ownership: Mapping[str, Any], subject: str) -> tuple[bool, Any]:
    """Say whether somebody's value stands there, and against which wish of ours."""
    owned = ownership.get(subject)
    return (True, owned["ours"]) if owned and "ours" in owned and owned["by"] in THEIRS else (False, None)


def after_write(card: Card, effect: Mapping[str, Any], lead: Lead, rules: Iterable[TagRule], at: datetime) -> Ownership:
    """Return the ownership once a write of ours was confirmed: what it named is ours again.

    The facts are the agent's, the stage whoever's who moved the lead last.
    """
    written: Ownership = {}
    kept = {key: value for key, value in card.ownership.items() if key != "loss_reason_id" or "status_id" not in effect}
    if "name" in effect:
        written["name"] = entry(Lead.Actor.AGENT, at, effect["name"])
    if "status_id" in effect:
        written["stage"] = entry(lead.stage_set_by, at, [effect["pipeline_id"], effect["status_id"]])
    for field_id, value in effect.get("fields", {}).items():
        written[f"field:{field_id}"] = entry(Lead.Actor.AGENT, at, value)
    touched = {*effect.get("tags", ()), *effect.get("tags_to_add", ()), *effect.get("tags_to_delete", ())}
    for rule in rules if touched else ():
        if family(rule, touched):
            written[f"tags:{rule.template}"] = entry(Lead.Actor.AGENT, at, family(rule, card.observed.get("tags", ())))
    return {**kept, **written}


def said_tags(card: Card, rules: Iterable[TagRule]) -> set[str]:
    """Return the tags that told a fact of the lead at some time, as far as we know of them."""
    if card.said_tags is not None:
        return set(card.said_tags)
    # Not counted yet when this card was last written: what a family was then is what we made of it.
    entries = [card.ownership.get(f"tags:{rule.template}", {}) for rule in rules]
    return {tag for owned in entries if owned.get("by") == Lead.Actor.AGENT for tag in owned["value"]}


def said_before_write(card: Card, effect: Mapping[str, Any], rules: Iterable[TagRule]) -> list[str]:
    """Return the tags that tell or told a fact of the lead, once a write of ours may have been applied.

    Remembered before it leaves: whatever becomes of the answer, what it set is never taken for a person's work.
    """
    return sorted(said_tags(card, rules) | {*effect.get("tags", ()), *effect.get("tags_to_add", ())})


def said_after_write(card: Card, effect: Mapping[str, Any], rules: Iterable[TagRule]) -> list[str]:
    """Return the tags that tell or told a fact of the lead, once a write of ours was confirmed."""
    return sorted(set(said_before_write(card, effect, rules)) - set(effect.get("tags_to_delete", ())))


def family(rule: TagRule, tags: Iterable[str]) -> list[str]:
    """Return the tags that belong to a rule's family, sorted."""
    prefix, _, suffix = rule.template.partition("{value}")
    return sorted(tag for tag in tags if tag.startswith(prefix) and tag.endswith(suffix))
