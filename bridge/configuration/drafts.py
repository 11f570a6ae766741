"""Preparing rules without anybody feeling them: one draft per pipeline, a whole document, published or thrown away.

A draft remembers what held when it was begun. What others change meanwhile, by an import or with one click, comes into
the draft by itself, part by part; only where both changed the same part does the draft's stand, and staff are told.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import transaction

from bridge.configuration import contradictions, document, exporting, stages_wanted_in_kommo, yaml_file
from bridge.configuration.file_problems import Problem, RefusedError
from bridge.configuration.records import keys_of
from bridge.configuration.stages_wanted_in_kommo import Wishes
from bridge.models import RulesDraft
from leads.models import Pipeline

# What tells a pipeline from the others is not the draft's to change.
FIXED = ("slug", "is_default")


class StaleDraftError(Exception):
    """Somebody else saved or published since the page was opened; nothing has been changed."""


@dataclass(frozen=True)
class Prepared:
    """What would hold after publishing, what holds now, and the parts both sides have changed since."""

    wanted: document.Pipeline
    live: document.Pipeline
    row: RulesDraft | None
    conflicts: tuple[str, ...] = ()
    # What publishing asks of Kommo besides.
    in_kommo: Wishes = field(default_factory=dict)

    @property
    def is_changed(self) -> bool:
        return self.wanted != self.live or bool(self.in_kommo)

    @property
    def mark(self) -> str:
        """Return a text that is different as soon as anything here is: what staff looked at when they agreed."""
        # Not the documents: writing YAML takes longer than all the rest of a page.
        return digest(repr((self.wanted, self.live, dict(self.in_kommo))))


def prepared(pipeline: Pipeline) -> Prepared:
    """Return the pipeline's draft brought onto what holds now; without a draft, what holds now."""
    live = exporting.read_pipeline(pipeline)
    row = RulesDraft.objects.filter(pipeline=pipeline).select_related("author").first()
    if row is None:
        return Prepared(live, live, None)
    wanted, conflicts = merge(read(row.base), live, read(row.document))
    return Prepared(wanted, live, row, conflicts, stages_wanted_in_kommo.read(row.in_kommo, wanted))


@transaction.atomic
def save(
    pipeline: Pipeline,
    wanted: document.Pipeline,
    *,
    author: Any,
    now: datetime,
    seen: str = "",
    in_kommo: Wishes | None = None,
) -> None:
    """Keep this as the pipeline's draft; what equals the rules that hold is no draft.

    seen: the `mark` of what the author had before them; StaleDraftError when it is no longer that.
    in_kommo: what publishing is to ask of Kommo; None leaves that as it was.
    """
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    before = prepared(pipeline)
    if seen and seen != before.mark:
        raise StaleDraftError
    wishes = stages_wanted_in_kommo.stored(before.in_kommo if in_kommo is None else in_kommo)
    if wanted == before.live and not wishes:
        RulesDraft.objects.filter(pipeline=pipeline).delete()
        return
    kept = {
        "document": text_of(wanted),
        "base": text_of(before.live),
        "in_kommo": wishes,
        "author": author,
        "saved_at": now,
    }
    RulesDraft.objects.update_or_create(pipeline=pipeline, defaults=kept, create_defaults={**kept, "started_at": now})


def discard(pipeline: Pipeline) -> bool:
    return bool(RulesDraft.objects.filter(pipeline=pipeline).delete()[0])


def merge(
    base: document.Pipeline, live: document.Pipeline, draft: document.Pipeline
) -> tuple[document.Pipeline, tuple[str, ...]]:
    """Return the draft with everything it has not touched as it is live, and the parts both have changed. Pure."""
    taken: dict[str, Any] = {}
    conflicts = []
    for key in keys_of(document.Pipeline):
        was, holds, wanted = (getattr(version, key.attribute) for version in (base, live, draft))
        if key.attribute in FIXED or wanted == was:
            taken[key.attribute] = holds
        elif holds not in (was, wanted):
            conflicts.append(key.name)
    return replace(draft, **taken), tuple(conflicts)


def problems(wanted: document.Pipeline) -> list[Problem]:
    """Return what cannot be said together, and what no file could say; empty when the draft may be published."""
    try:
        yaml_file.parse(text_of(wanted).encode())
    except RefusedError as error:
        return list(error.problems)
    configuration = document.Configuration(pipelines=(wanted,))
    in_force = exporting.texts_in_force()
    return [*contradictions.find(configuration), *contradictions.unknown_names(configuration, in_force=in_force)]


def text_of(pipeline: document.Pipeline) -> str:
    return yaml_file.dump(document.Configuration(pipelines=(pipeline,)))


@lru_cache(maxsize=64)
def read(text: str) -> document.Pipeline:
    """Return the pipeline a stored document says."""
    [pipeline] = yaml_file.parse(text.encode()).pipelines
    return pipeline


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
