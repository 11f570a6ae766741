"""What a lead calls for in name, fields and tags, whoever's value stands on its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.account_traits import form_of
from bridge.cards.desired import Gaps, loss_reason, shown_facts, shown_mappings, shown_name, wanted_fields, wanted_tags
from bridge.cards.plan import DesiredField
from bridge.kommo.custom_field_values import same_name
from bridge.models import Catalogue
from leads.models import Lead
from leads.rulebook import Rulebook
from leads.which_fact_stands import taken_back


@dataclass(frozen=True)
class Wishes:
    """fields: by id as text; tags: sorted. loss_reason_id: for a lead that is lost."""

    name: str
    fields: Mapping[str, DesiredField]
    tags: list[str]
    loss_reason_id: int | None

    def of(self, subject: str) -> Any:
        """Return what is called for there; None where nothing is."""
        if subject == "name":
            return self.name
        if subject == "tags":
            return self.tags
        if subject == "loss_reason_id":
            return self.loss_reason_id
        wanted = self.fields.get(subject.removeprefix("field:"))
        return wanted.comparable if wanted else None

    def calls_for(self, subject: str, kommo_value: Any) -> bool:
        """Say whether the next plan would write over what Kommo holds there."""
        if subject == "name":
            return bool(self.name) and not same_name(self.name, kommo_value or "")
        if subject == "loss_reason_id":
            return self.loss_reason_id not in (None, kommo_value)
        wanted = self.fields.get(subject.removeprefix("field:"))
        return wanted is not None and not wanted.agrees(kommo_value)


def wishes(lead: Lead, book: Rulebook, catalogue: Catalogue | None) -> Wishes:
    """Return what the lead calls for."""
    form = form_of(catalogue.account if catalogue else None)
    mappings, facts = shown_mappings(lead, book), shown_facts(lead, book)
    fields = wanted_fields(mappings, facts, catalogue, Gaps(), form, taken_back=taken_back(lead))
    return Wishes(
        name=shown_name(lead.name, form),
        fields={str(field.field_id): field for field in fields},
        tags=wanted_tags(lead, book),
        loss_reason_id=loss_reason(lead, catalogue),
    )
