"""What would connecting do? Every thing of ours beside its counterpart in the account, and what would be created.

Reads the stored catalogue and our rows; asks nobody and changes nothing. `apply` then does what staff chose.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from django.db import transaction

from bridge.configuration import binding_by_name
from bridge.configuration.connecting import (
    BRIDGE_ID,
    BRIDGE_ID_FIELD,
    Connection,
    Report,
    find_pipeline,
    our_values,
    status_of,
)
from bridge.kommo.client import KommoClient
from bridge.kommo.custom_field_values import same_kind
from bridge.models import Account, Catalogue
from common.name_spellings import name_key
from leads.models import FieldMapping, Pipeline, Stage


class Fit(Enum):
    """How a thing of ours stands to the account."""

    BOUND = "bound"
    FOUND = "found"
    MISSING = "missing"
    WRONG_TYPE = "wrong_type"


@dataclass(frozen=True)
class Place:
    """One thing of ours: its name, its counterpart, and the ones staff may choose instead (id, name).

    `key` is what `Connection` calls it: `stage:7`, `field:3`, `bridge_id`. `new_options` are values without an option.
    """

    key: str
    ours: str
    fit: Fit
    theirs: str = ""
    theirs_id: int | None = None
    kind: str = ""
    choices: tuple[tuple[int, str], ...] = ()
    can_create: bool = True
    new_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binding:
    """A pipeline of ours, the account's pipeline for it (None: not found), and everything inside."""

    pipeline: Pipeline
    found: dict[str, Any] | None
    stages: tuple[Place, ...] = ()
    fields: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Survey:
    bindings: tuple[Binding, ...]
    bridge_id: Place

    def places(self) -> list[Place]:
        inside = [place for binding in self.bindings for place in (*binding.stages, *binding.fields)]
        return [*inside, self.bridge_id]

    @property
    def is_complete(self) -> bool:
        """Say whether every pipeline, stage, field and option has its counterpart, and it is stored."""
        return all(binding.found for binding in self.bindings) and all(
            place.fit is Fit.BOUND and not place.new_options for place in self.places()
        )


def survey(account: Account, catalogue: Catalogue) -> Survey:
    pipelines = Pipeline.objects.filter(account_link__account=account).order_by("-is_default", "slug")
    return Survey(tuple(_binding(pipeline, catalogue) for pipeline in pipelines), _bridge_id(account, catalogue))


def _binding(pipeline: Pipeline, catalogue: Catalogue) -> Binding:
    found = find_pipeline(catalogue.pipelines, pipeline)
    if found is None:
        return Binding(pipeline, None)
    stages = list(pipeline.stages.order_by("rank"))
    fields = [_field(mapping, catalogue.lead_fields) for mapping in pipeline.field_mappings.all()]
    return Binding(pipeline, found, tuple(_stage(stage, stages, found) for stage in stages), tuple(fields))


def _stage(stage: Stage, stages: list[Stage], found: dict[str, Any]) -> Place:
    status = status_of(stage, stages, found)
    open_stage = stage.kind == Stage.Kind.OPEN
    offered = binding_by_name.statuses(found) if open_stage else [status] if status else []
    return Place(
        key=f"stage:{stage.pk}",
        ours=stage.name,
        fit=_fit(status, stage.kommo_status_id),
        theirs=status["name"] if status else "",
        theirs_id=status["id"] if status else None,
        kind=stage.kind,
        choices=tuple((kommo_status["id"], kommo_status["name"]) for kommo_status in offered),
        can_create=open_stage,
    )


def _field(mapping: FieldMapping, fields: list[dict[str, Any]]) -> Place:
    found = binding_by_name.field(fields, kept=mapping.kommo_field_id, name=mapping.kommo_field)
    fit, new_options = _fit(found, mapping.kommo_field_id), tuple(our_values(mapping))
    if found and not same_kind(mapping.type, found["type"]):
        fit = Fit.WRONG_TYPE
    elif found:
        _, unknown = binding_by_name.options(
            found, kept=mapping.enum_ids, names=mapping.options, values=list(new_options)
        )
        new_options = tuple(unknown)
    fitting = [kommo_field for kommo_field in fields if same_kind(mapping.type, kommo_field["type"])]
    return Place(
        key=f"field:{mapping.pk}",
        ours=mapping.kommo_field,
        fit=fit,
        theirs=found["name"] if found else "",
        theirs_id=found["id"] if found else None,
        kind=mapping.type,
        choices=tuple((kommo_field["id"], kommo_field["name"]) for kommo_field in fitting),
        can_create=found is None,
        new_options=tuple(mapping.options.get(value, value) for value in new_options),
    )


def _bridge_id(account: Account, catalogue: Catalogue) -> Place:
    texts = (lead_field for lead_field in catalogue.lead_fields if lead_field["type"] == "text")
    found = next(
        (kommo_field for kommo_field in texts if name_key(kommo_field["name"]) == name_key(BRIDGE_ID_FIELD)), None
    )
    return Place(
        key=BRIDGE_ID,
        ours=BRIDGE_ID_FIELD,
        fit=_fit(found, account.bridge_id_field_id),
        theirs=found["name"] if found else "",
        theirs_id=found["id"] if found else None,
        kind="text",
    )


def _fit(found: dict[str, Any] | None, kept: int | None) -> Fit:
    if found is None:
        return Fit.MISSING
    return Fit.BOUND if found["id"] == kept else Fit.FOUND


@dataclass
class Choice:
    """What staff chose: ids by place key (None: to be created, or left for later), and what may be created."""

    bound: Mapping[str, int | None] = field(default_factory=dict)
    create: Collection[str] = ()


def apply(account: Account, client: KommoClient, choice: Choice, *, now: datetime) -> Report:
    """Keep the chosen ids, create what was named, bind the rest by name. Raises KommoError or ConfigurationError.

    Running it again goes on where a failed run ended: what exists is found by its name.
    """
    with transaction.atomic():
        _keep(Stage, "kommo_status_id", "stage", choice.bound)
        _keep(FieldMapping, "kommo_field_id", "field", choice.bound)
    create = frozenset({*choice.create, *(f"options:{_pk(key)}" for key in choice.create if key.startswith("field:"))})
    return Connection(account, client, create_missing=create, now=now).connect(None)


def _keep(model: type[Stage | FieldMapping], column: str, prefix: str, bound: Mapping[str, int | None]) -> None:
    wanted = {_pk(key): value for key, value in bound.items() if key.startswith(f"{prefix}:")}
    changed = [row for row in model._default_manager.filter(pk__in=wanted) if getattr(row, column) != wanted[row.pk]]
    # Freed first: two stages may change places, and no two may ever hold one status.
    model._default_manager.filter(pk__in=[row.pk for row in changed]).update(**{column: None})
    for row in changed:
        setattr(row, column, wanted[row.pk])
        row.save(update_fields=[column])


def _pk(key: str) -> int:
    return int(key.partition(":")[2])
