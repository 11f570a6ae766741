"""What a lead calls for in name, fields and tags, whoever's value stands on its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.models import Catalogue
from bridge.sync.desired import Gaps, wanted_fields, wanted_tags
from bridge.sync.plan import MAX_NAME_LENGTH
from leads.models import Lead
from leads.rulebook import Rulebook


@dataclass(frozen=True)
class Wishes:
    """fields: id as text -> comparable value; tags: sorted."""

    name: str
    fields: Mapping[str, Any]
    tags: list[str]

    def of(self, subject: str) -> Any:
        """Return what is called for there; None where nothing is."""
        if subject == "name":
            return self.name
        if subject == "tags":
            return self.tags
        return self.fields.get(subject.removeprefix("field:"))

    def calls_for(self, subject: str, held: Any) -> bool:
        """Say whether the next plan would write over what Kommo holds there."""
        if subject == "name":
            return bool(self.name) and self.name != held
        return subject.removeprefix("field:") in self.fields and self.of(subject) != held


def wishes(lead: Lead, book: Rulebook, catalogue: Catalogue | None) -> Wishes:
    """Return what the lead calls for."""
    facts = dict(lead.facts())
    facts["objections"] = [objection.name for objection in lead.objections.all()]
    fields = wanted_fields(book.field_mappings, facts, catalogue, Gaps())
    return Wishes(
        name=lead.name[:MAX_NAME_LENGTH],
        fields={str(one.field_id): one.comparable for one in fields},
        tags=wanted_tags(lead, book),
    )
