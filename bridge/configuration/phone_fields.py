"""Which field of the lead holds the person's phone, where cards have no contact? Guessed by names and what cards hold.

A guess is only ever proposed: a number may be anybody's, and people are known by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.errors import KommoError
from bridge.kommo.client import KommoClient
from bridge.kommo.replies import LeadReply
from bridge.models import Catalogue
from common.name_spellings import name_key
from leads.models import Pipeline
from leads.phone import PhoneError, parse

# The newest leads of a pipeline: one call.
LOOKED_AT = 250
TYPES = ("text", "textarea", "numeric", "url")
# Parts of names of such a field, and words that are only meant as a whole (a hotel is no phone).
PARTS = ("telefone", "phone", "telefono", "whats", "celular", "mobile")
WORDS = ("tel", "fone", "zap", "cel", "wpp", "movil")
# A field of other things has a number that could be a phone now and then.
MOST_OF_THEM = 0.5


@dataclass(frozen=True)
class Guess:
    """A field that may hold the phone: on so many of the leads looked at, and of those that have no contact."""

    field_id: int
    name: str
    looked_at: int = 0
    phones: int = 0
    without_contact: int = 0


def fields_of(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return the fields of leads that can hold a phone."""
    return [lead_field for lead_field in catalogue.lead_fields if lead_field["type"] in TYPES]


def look(client: KommoClient, catalogue: Catalogue, pipeline: Pipeline) -> Guess | None:
    """Guess by the newest leads of a pipeline, where Kommo shows them, and by names alone where not. One call."""
    leads: Sequence[LeadReply] = ()
    if pipeline.kommo_pipeline_id is not None:
        try:
            rows, _ = client.list_leads(page=1, pipeline_ids=[pipeline.kommo_pipeline_id], limit=LOOKED_AT)
            leads = [lead for lead in rows if not lead.unreadable]
        except KommoError:
            leads = ()
    return guess(fields_of(catalogue), leads, region=pipeline.phone_region)


def guess(fields: Iterable[Mapping[str, Any]], leads: Sequence[LeadReply], *, region: str) -> Guess | None:
    """Return the field that holds most phones; else one that is called so and holds nothing else; else None. Pure."""
    candidates = [(field, _of(field, leads, region)) for field in fields]
    with_phones = [found for _, (found, filled) in candidates if found.phones and found.phones >= MOST_OF_THEM * filled]
    if with_phones:
        return max(
            with_phones,
            key=lambda candidate: (candidate.without_contact, candidate.phones, is_called_so(candidate.name)),
        )
    return next((found for _, (found, filled) in candidates if not filled and is_called_so(found.name)), None)


def is_called_so(name: str) -> bool:
    key = name_key(name)
    return any(part in key for part in PARTS) or bool(set(WORDS) & set(key.replace("-", " ").split()))


def _of(field: Mapping[str, Any], leads: Sequence[LeadReply], region: str) -> tuple[Guess, int]:
    """Return what leads hold in a field, and how many of them hold anything."""
    values = [(lead, value) for lead in leads if (value := lead.field_value(field["id"])) not in (None, "")]
    phones = [lead for lead, value in values if _is_phone(value, region)]
    without = sum(not lead.contact_ids for lead in phones)
    return Guess(field["id"], field["name"], len(leads), len(phones), without), len(values)


def _is_phone(value: object, region: str) -> bool:
    try:
        parse(str(value), region=region)
    except PhoneError:
        return False
    return True
