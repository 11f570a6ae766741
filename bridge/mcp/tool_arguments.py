"""What a tool was asked: its arguments, held to what it says it takes, and the leads and pipelines its key may see."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from bridge.api import api_keys, base
from bridge.models import ApiKey
from leads import address_owners, addresses, phone
from leads.models import Lead, Pipeline

KINDS: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "number": (int, float)}


class AskedWronglyError(Exception):
    """The arguments are not what the tool takes; the message says which, for whoever asks again."""


class Asked:
    """A call: the key it came with and its arguments. Raises AskedWronglyError."""

    def __init__(
        self, key: ApiKey, takes: Mapping[str, dict[str, Any]], required: tuple[str, ...], arguments: dict[str, Any]
    ) -> None:
        self.key = key
        if unknown := sorted(arguments.keys() - takes.keys()):
            raise AskedWronglyError(f"{unknown[0][:100]} is not taken here; it takes {', '.join(takes)}.")
        # Models fill in what they have no word for.
        self._given = {name: value for name, value in arguments.items() if value is not None}
        if missing := [name for name in required if name not in self._given]:
            raise AskedWronglyError(f"{missing[0]} is needed.")
        for name, value in self._given.items():
            _hold(name, value, takes[name])

    def get(self, name: str, default: Any = None) -> Any:
        return self._given.get(name, default)

    def texts(self, *names: str) -> dict[str, str]:
        return {name: self._given[name] for name in names if name in self._given}

    @property
    def leads(self) -> QuerySet[Lead]:
        """Return the leads this key may see, with their cards."""
        rows = Lead.objects.filter(pipeline=self.key.pipeline) if self.key.pipeline else Lead.objects.all()
        return rows.select_related("pipeline", "stage", "card__account").prefetch_related("further_addresses")

    def lead(self) -> Lead:
        """Return the lead that is meant. Raises Http404, AskedWronglyError."""
        said = self._given["lead"].strip()
        try:
            return base.lead_or_404(self.leads, UUID(said))
        except ValueError:
            pass
        found = list(self.leads.filter(address_owners.of_anybody(self.person(said))).order_by("-created_at")[:10])
        if not found:
            raise AskedWronglyError("Nobody is known by this. find_lead finds leads by part of a name, too.")
        if len(found) > 1:
            each = ", ".join(f"{lead.pk} in {lead.pipeline.slug}" for lead in found)
            raise AskedWronglyError(f"Several pipelines know this person: name one of {each}.")
        return found[0]

    def person(self, said: str) -> str:
        """Return the key of the person a phone or another address names. Raises AskedWronglyError."""
        pipeline = api_keys.pipeline_of(self.key)
        region = pipeline.phone_region if pipeline else "BR"
        try:
            try:
                return phone.parse(said, region=region).key
            except phone.PhoneError:
                kind, value = addresses.split(said)
                return addresses.parse(kind, value, region=region).key
        except addresses.AddressError as error:
            raise AskedWronglyError(f"This is neither a lead's id nor a phone nor an address: {error}") from error

    def pipeline(self) -> Pipeline:
        """Return the pipeline that is asked about. A key made for one learns nothing of others."""
        slug = self.get("pipeline", "").strip()
        if not slug:
            found = api_keys.pipeline_of(self.key)
        else:
            rows = Pipeline.objects.filter(pk=self.key.pipeline_id) if self.key.pipeline_id else Pipeline.objects.all()
            found = rows.filter(slug=slug).first()
        if found is None:
            raise AskedWronglyError(
                "There is no such pipeline here." if slug else "There is no default: name a pipeline."
            )
        return found


def _hold(name: str, value: Any, schema: Mapping[str, Any]) -> None:
    kind = schema["type"]
    is_one = isinstance(value, KINDS[kind])
    if not is_one or isinstance(value, bool):
        raise AskedWronglyError(f"{name} must be a {kind}.")
    if isinstance(value, str):
        if "\0" in value or len(value.strip()) < schema.get("minLength", 0):
            raise AskedWronglyError(f"{name} is empty or holds what is no text.")
        if len(value) > schema.get("maxLength", 1000):
            raise AskedWronglyError(f"{name} has at most {schema.get('maxLength', 1000)} characters.")
        return
    if not isfinite(value) or not schema["minimum"] <= value <= schema["maximum"]:
        raise AskedWronglyError(f"{name} lies between {schema['minimum']} and {schema['maximum']}.")
