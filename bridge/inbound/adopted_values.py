"""What a person changed on a card becomes the lead's: its values, and from then on whose they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import InvalidOperation
from typing import Any

from bridge.cards import ownership
from bridge.cards.desired_values import Wishes, wishes
from bridge.cards.observed import persons_name
from bridge.cards.plan import MAX_NAME_LENGTH
from bridge.cards.value_mapping import is_adoptable, our_value
from bridge.models import Card, Catalogue
from common.reasons import Reason
from leads import which_fact_stands
from leads.models import Event, Lead, TagRule
from leads.rulebook import Rulebook


@dataclass
class Findings:
    """What a comparison found on one card: subject -> (what we knew, what Kommo has)."""

    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    # The reading is older than what we know by now and says nothing.
    is_outdated: bool = False
    # What went wrong with this one lead.
    error: str = ""


@dataclass
class Reading:
    """One lead as Kommo has it, on its way into card and lead."""

    card: Card
    lead: Lead
    book: Rulebook
    catalogue: Catalogue | None
    changed: Mapping[str, tuple[Any, Any]]
    by: Lead.Actor
    set_at: datetime
    now: datetime
    first_sight: bool = False
    # What the conversation has told of stays its own.
    only_unspoken: bool = False
    # Who changed the lead last: {"kommo_user_id": …}; nothing for ourselves, a program, and where Kommo does not say.
    by_whom: Mapping[str, int] = field(default_factory=dict)


def take_values_over(reading: Reading) -> set[str]:
    """Set on the lead, in memory, what it can hold of what people changed; return the columns to save."""
    lead, columns = reading.lead, set[str]()
    for subject, (before, after) in reading.changed.items():
        if subject == "name":
            name = persons_name(after, reading.card.kommo_lead_id or 0)[:MAX_NAME_LENGTH]
            if reading.first_sight and not name:
                continue
            columns |= {
                "provenance",
                *(("name",) if which_fact_stands.adopt(lead, "name", name, at=reading.set_at) else ()),
            }
        elif subject.startswith("field:"):
            columns |= _take_field_over(reading, int(subject.removeprefix("field:")), before, after)
    return columns


def _take_field_over(reading: Reading, field_id: int, before: Any, kommo_value: Any) -> set[str]:
    mapping = next(
        (field_mapping for field_mapping in reading.book.field_mappings if field_mapping.kommo_field_id == field_id),
        None,
    )
    if mapping is None or not is_adoptable(mapping.attribute):
        return set()
    if reading.only_unspoken and mapping.attribute in reading.lead.provenance:
        return set()
    try:
        value = our_value(mapping, kommo_value, reading.catalogue, before)
    except (ValueError, InvalidOperation):
        return set()
    changed = which_fact_stands.adopt(reading.lead, mapping.attribute, value, at=reading.set_at)
    column = "custom" if mapping.attribute.startswith("custom.") else mapping.attribute
    return {"provenance", column} if changed else {"provenance"}


def remember_owners(reading: Reading, *, called_for: Sequence[str]) -> None:
    """Note who set what; where the lead calls for something else even now, theirs is held against that.

    `called_for`: the tags the lead called for before. What was found changes nothing in Kommo, so a tag that a found
    fact calls for is not added either.
    """
    if not reading.changed:
        return
    card = reading.card
    wanted = wishes(reading.lead, reading.book, reading.catalogue)
    # Before the new owners are noted: until something is counted, those of before tell what is ours.
    agent_tags = ownership.said_tags(card, reading.book.tag_rules) | set(wanted.tags)
    card.said_tags = sorted(agent_tags & {*card.observed.get("tags", ()), *card.in_doubt.get("tags_to_add", ())})
    for subject, (before, after) in reading.changed.items():
        if subject == "name" and reading.first_sight and not persons_name(after, card.kommo_lead_id or 0):
            continue
        card.ownership[subject] = ownership.entry(reading.by, reading.set_at, after)
        if subject == "stage":
            card.stages_to_visit = []
        elif subject == "tags":
            _hold_families(reading, set(before) ^ set(after), after, wanted)
        elif wanted.calls_for(subject, after):
            card.ownership[subject]["ours"] = wanted.of(subject)
    if reading.first_sight:
        observed_tags = card.observed.get("tags", [])
        _hold_families(reading, set(wanted.tags) ^ set(called_for), observed_tags, wanted)


def _hold_families(reading: Reading, touched: set[str], after: list[str], wanted: Wishes) -> None:
    for rule in reading.book.tag_rules:
        if ownership.family(rule, touched) and not _is_spoken_for(reading, rule):
            entry = ownership.entry(reading.by, reading.set_at, ownership.family(rule, after))
            entry["ours"] = ownership.family(rule, wanted.tags)
            reading.card.ownership[f"tags:{rule.template}"] = entry


def _is_spoken_for(reading: Reading, rule: TagRule) -> bool:
    """Say whether a family that has just come to be ours tells what the conversation has told."""
    by_agent = reading.lead.provenance.get(rule.attribute, {}).get("by") == Lead.Actor.AGENT
    return reading.only_unspoken and by_agent and not ownership.family(rule, reading.card.observed.get("tags", ()))


def save_lead(reading: Reading, columns: set[str]) -> None:
    lead = reading.lead
    if columns and reading.only_unspoken:
        # Without the signal: there is nothing to deliver of what was found there.
        Lead.objects.filter(pk=lead.pk).update(**{column: getattr(lead, column) for column in columns})
    elif columns:
        lead.updated_at = reading.now
        lead.save(update_fields={*columns, "updated_at"})
    if reading.first_sight and not columns:
        return
    edits = {
        ownership.label(subject, reading.book): {
            "from": _told(reading, subject, before),
            "to": _told(reading, subject, after),
        }
        for subject, (before, after) in reading.changed.items()
        if subject != "stage"
    }
    if edits:
        lead.events.create(
            at=reading.set_at,
            kind=Event.Kind.STAFF_EDIT,
            actor=reading.by,
            reason=Reason("found_in_kommo_with" if reading.first_sight else "changed_in_kommo", a=", ".join(edits))[
                :500
            ],
            data={**edits, **reading.by_whom},
        )


def _told(reading: Reading, subject: str, value: Any) -> Any:
    """Return a value as the timeline has it: why a lead was lost by its name."""
    reasons = reading.catalogue.loss_reasons if reading.catalogue and subject == "loss_reason_id" else ()
    return next((reason["name"] for reason in reasons if reason["id"] == value), value)


def _note_responsible(lead: Lead, observed: Mapping[str, Any]) -> None:
    """Let lists know whose lead it is; nothing is delivered of that, so nobody is told."""
    user_id = observed["responsible_user_id"] or None
    if lead.kommo_responsible_id != user_id:
        lead.kommo_responsible_id = user_id
        Lead.objects.filter(pk=lead.pk).update(kommo_responsible_id=user_id)
