"""What of the account can be chosen on the rules pages: Kommo's stages with their colours, its fields and options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bridge.accounts import stages_renamed_in_kommo
from bridge.accounts.stages_renamed_in_kommo import Renamed
from bridge.configuration import sentences
from bridge.configuration.contradictions import SHOWN
from bridge.configuration.document import STATUS_IDS
from bridge.models import AccountPipeline, Catalogue
from common.name_spellings import name_key
from leads.models import Pipeline

# Kommo's type of the stage that holds what nobody has accepted yet; no lead of ours is put there.
INCOMING = 1
WEEKDAYS = tuple(sentences.WEEKDAYS.items())


@dataclass(frozen=True)
class Kommo:
    """What the pipeline's account has, as it was last read; empty before it is connected.

    statuses: of the bound pipeline, {"id", "name", "color"}. fields: {"id", "name", "type", "enums"}.
    """

    statuses: tuple[dict[str, Any], ...] = ()
    fields: tuple[dict[str, Any], ...] = ()
    # Stages that were renamed there since staff last knew.
    renamed: tuple[Renamed, ...] = ()

    @property
    def status_names(self) -> dict[int, str]:
        return {status["id"]: status["name"] for status in self.statuses}

    @property
    def status_colours(self) -> dict[int, str]:
        return {status["id"]: status["color"] for status in self.statuses}

    @property
    def open_statuses(self) -> list[dict[str, Any]]:
        """Return the stages of Kommo that one of ours can be bound to by choice."""
        fixed = STATUS_IDS.values()
        return [status for status in self.statuses if status["type"] != INCOMING and status["id"] not in fixed]

    def field_called(self, name: str) -> dict[str, Any] | None:
        key = name_key(name)
        return next((field for field in self.fields if name_key(field["name"]) == key), None)


def kommo(pipeline: Pipeline, kommo_pipeline_id: int | None) -> Kommo:
    """Return what can be chosen from for a pipeline; four queries."""
    link = AccountPipeline.objects.filter(pipeline=pipeline).select_related("account").first()
    row = Catalogue.objects.filter(account=link.account_id).first() if link else None
    if link is None or row is None:
        return Kommo()
    bound = next((candidate for candidate in row.pipelines if candidate["id"] == kommo_pipeline_id), None)
    renamed = stages_renamed_in_kommo.renamed(link.account, row)
    return Kommo(tuple(bound["statuses"]) if bound else (), tuple(row.lead_fields), tuple(renamed))


def attributes() -> list[str]:
    """Return what a rule may name of a lead, as staff call it."""
    return sorted(map(sentences.attribute, SHOWN), key=str.casefold)


def called(name: str) -> str:
    """Return how a form shows an attribute's name; further facts keep the prefix by which they are recognised."""
    return sentences.attribute(name) if name in SHOWN else name


def meant(words: str) -> str:
    """Return the attribute that staff mean: by what they call it, or by its own name."""
    by_name = {name_key(sentences.attribute(name)): name for name in SHOWN}
    return by_name.get(name_key(words), words.strip())
