"""In shadow: what would stand in the mapped fields, the name and our families of tags, beside what others put there?

Ours is what the conversation said last, also where a person's value has been adopted since. Theirs is what the card
holds; where the conversation has said nothing it counts only if it was put there since the shadow began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from bridge.account_traits import form_of
from bridge.cards import ownership
from bridge.cards.desired import Gaps, shown_name, tag, wanted_fields
from bridge.cards.observed import persons_name
from bridge.cards.value_mapping import is_adoptable, our_value
from bridge.kommo import custom_field_values
from bridge.models import Account, Card, Catalogue
from leads.models import FieldMapping, Lead
from leads.rulebook import Rulebook
from leads.which_fact_stands import was_taken_back

AMOUNTS = ("bill_value", "qualification_score")


class Verdict(StrEnum):
    AGREE = "agree"
    DIFFER = "differ"
    ONLY_WE = "only we"
    ONLY_THEY = "only they"


@dataclass(frozen=True)
class Value:
    """One thing on one card, in words: what the bridge would have put there, and what others did. Empty: nothing."""

    verdict: Verdict
    kommo_id: int
    lead: Lead
    subject: str
    ours: str
    theirs: str


def of_card(
    card: Card, book: Rulebook, account: Account, catalogue: Catalogue | None, *, since: datetime
) -> Iterator[Value]:
    """Yield what both hands put onto a card; nothing for what neither of them cares for. Its lead is loaded."""
    if card.kommo_lead_id is None:
        return
    for subject, verdict, ours, theirs in (
        *_name(card, account, since),
        *_fields(card, book, account, catalogue, since),
        *_families(card, book, since),
    ):
        if verdict:
            yield Value(verdict, card.kommo_lead_id, card.lead, ownership.label(subject, book), ours, theirs)


_Line = tuple[str, Verdict | None, str, str]


def last_said(lead: Lead, attribute: str) -> Any:
    """Return what the conversation said last of a thing; None for nothing, also where it took that back."""
    if attribute == "objections":
        return [objection.name for objection in lead.objections.all()] or None
    if attribute != "name" and not is_adoptable(attribute):
        return lead.facts().get(attribute)
    value = lead.provenance.get(attribute, {}).get("said")
    if value in (None, "", []):
        return None
    return Decimal(value) if attribute in AMOUNTS else value


def _name(card: Card, account: Account, since: datetime) -> Iterator[_Line]:
    ours = shown_name(str(last_said(card.lead, "name") or ""), form_of(account))
    theirs = persons_name(card.observed.get("name") or "", card.kommo_lead_id or 0)
    agrees = custom_field_values.same_name(theirs, ours)
    yield "name", _verdict(bool(ours), bool(theirs), agrees, _is_theirs(card, "name", since)), ours, theirs


def _fields(
    card: Card, book: Rulebook, account: Account, catalogue: Catalogue | None, since: datetime
) -> Iterator[_Line]:
    for mapping in book.field_mappings:
        if mapping.kommo_field_id is None:
            continue
        subject, value = f"field:{mapping.kommo_field_id}", last_said(card.lead, mapping.attribute)
        took_back = value is None and was_taken_back(card.lead, mapping.attribute)
        observed_value = card.observed.get("fields", {}).get(str(mapping.kommo_field_id))
        back = (mapping.attribute,) if took_back else ()
        facts = {mapping.attribute: value}
        wanted = wanted_fields([mapping], facts, catalogue, Gaps(), form_of(account), taken_back=back)
        is_there = observed_value not in (None, [])
        # No wish: nothing was said, or it cannot be said in Kommo's words, which the list of what is unbound tells.
        agrees = bool(wanted) and wanted[0].agrees(observed_value)
        verdict = _verdict(bool(wanted) and value is not None, is_there, agrees, _is_theirs(card, subject, since))
        if took_back and is_there:
            verdict = Verdict.DIFFER
        yield subject, verdict, _words(value), _in_our_words(mapping, observed_value, catalogue)


def _families(card: Card, book: Rulebook, since: datetime) -> Iterator[_Line]:
    for rule in book.tag_rules:
        value = last_said(card.lead, rule.attribute)
        values = value if isinstance(value, list) else [] if value is None else [value]
        ours = sorted({tag(rule.template, part) for part in values})
        theirs = ownership.family(rule, card.observed.get("tags", ()))
        subject = f"tags:{rule.template}"
        is_theirs = _is_theirs(card, subject, since) or _is_theirs(card, "tags", since)
        verdict = _verdict(bool(ours), bool(theirs), ours == theirs, is_theirs)
        yield subject, verdict, ", ".join(ours), ", ".join(theirs)


def _verdict(ours: bool, theirs: bool, agrees: bool, is_theirs: bool) -> Verdict | None:
    if not ours:
        return Verdict.ONLY_THEY if theirs and is_theirs else None
    if not theirs:
        return Verdict.ONLY_WE
    return Verdict.AGREE if agrees else Verdict.DIFFER


def _is_theirs(card: Card, subject: str, since: datetime) -> bool:
    """Say whether somebody else was seen to set it since then."""
    entry = card.ownership.get(subject)
    return bool(entry and entry["by"] in ownership.THEIRS and datetime.fromisoformat(entry["at"]) >= since)


def _in_our_words(mapping: FieldMapping, kommo_value: Any, catalogue: Catalogue | None) -> str:
    try:
        return _words(our_value(mapping, kommo_value, catalogue))
    except (ValueError, ArithmeticError):
        return _words(kommo_value)


def _words(value: Any) -> str:
    if value in (None, "", []):
        return ""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
