"""Which lead, person or pipeline does a tool's call mean, of those that its key may see? Raises AskedWronglyError."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from bridge.api import api_keys, base
from bridge.mcp.tool_arguments import Asked, AskedWronglyError
from bridge.models import ApiKey
from leads import address_owners, addresses, phone
from leads.models import Lead, Pipeline


def leads_of(key: ApiKey) -> QuerySet[Lead]:
    """Return the leads a key may see, with their cards."""
    rows = Lead.objects.filter(pipeline=key.pipeline) if key.pipeline else Lead.objects.all()
    return rows.select_related("pipeline", "stage", "card__account").prefetch_related("further_addresses")


def lead_of(asked: Asked) -> Lead:
    """Return the lead that is meant. Raises Http404, AskedWronglyError."""
    wanted = asked.get("lead").strip()
    try:
        return base.lead_or_404(leads_of(asked.key), UUID(wanted))
    except ValueError:
        pass
    found = list(
        leads_of(asked.key).filter(address_owners.of_anybody(person_of(asked, wanted))).order_by("-created_at")[:10]
    )
    if not found:
        raise AskedWronglyError("Nobody is known by this. find_lead finds leads by part of a name, too.")
    if len(found) > 1:
        each = ", ".join(f"{lead.pk} in {lead.pipeline.slug}" for lead in found)
        raise AskedWronglyError(f"Several pipelines know this person: name one of {each}.")
    return found[0]


def person_of(asked: Asked, wanted: str) -> str:
    """Return the key of the person a phone or another address names. Raises AskedWronglyError."""
    pipeline = api_keys.pipeline_of(asked.key)
    region = pipeline.phone_region if pipeline else "BR"
    try:
        try:
            return phone.parse(wanted, region=region).key
        except phone.PhoneError:
            kind, value = addresses.split(wanted)
            return addresses.parse(kind, value, region=region).key
    except addresses.AddressError as error:
        raise AskedWronglyError(f"This is neither a lead's id nor a phone nor an address: {error}") from error


def pipeline_of(asked: Asked) -> Pipeline:
    """Return the pipeline that is asked about. A key made for one learns nothing of others."""
    slug = asked.get("pipeline", "").strip()
    if not slug:
        found = api_keys.pipeline_of(asked.key)
    else:
        rows = Pipeline.objects.filter(pk=asked.key.pipeline_id) if asked.key.pipeline_id else Pipeline.objects.all()
        found = rows.filter(slug=slug).first()
    if found is None:
        raise AskedWronglyError("There is no such pipeline here." if slug else "There is no default: name a pipeline.")
    return found
