"""Which of Kommo's ids stay with what they were bound to, when a file leaves them out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bridge.configuration import document
from bridge.configuration.document import STATUS_IDS, Configuration
from common.name_spellings import name_key
from leads import models as leads


def keep(current: Iterable[document.Pipeline], wanted: Iterable[document.Pipeline]) -> list[document.Pipeline]:
    """Fill in the ids of Kommo's that the file leaves out, where what they were bound to is still meant. Pure.

    An id that the file gives to something else is not kept, nor are stages of another pipeline of Kommo's, nor the id
    of a field whose name in Kommo has changed.
    """
    known = {pipeline.slug: pipeline for pipeline in current}
    wanted = list(wanted)
    taken = {pipeline.kommo_pipeline_id for pipeline in wanted}
    return [_keep(known[pipeline.slug], pipeline, taken) if pipeline.slug in known else pipeline for pipeline in wanted]


def _keep(old: document.Pipeline, new: document.Pipeline, taken_pipelines: set[int | None]) -> document.Pipeline:
    pipeline_id = new.kommo_pipeline_id
    if pipeline_id is None and old.kommo_pipeline_id not in taken_pipelines:
        pipeline_id = old.kommo_pipeline_id
    stages = {stage.key: stage for stage in old.stages} if pipeline_id == old.kommo_pipeline_id else {}
    taken = {stage.kommo_status_id for stage in new.stages} | set(STATUS_IDS.values())
    fields = {(field.attribute, name_key(field.kommo_field)): field for field in old.fields}
    taken_fields = {field.kommo_field_id for field in new.fields}

    def stage_id(stage: document.Stage) -> int | None:
        bound = stages[stage.key].kommo_status_id if stage.key in stages else None
        return stage.kommo_status_id or (bound if bound not in taken else None)

    def field_id(field: document.Field) -> int | None:
        same = fields.get((field.attribute, name_key(field.kommo_field)))
        bound = same.kommo_field_id if same else None
        return field.kommo_field_id or (bound if bound not in taken_fields else None)

    return replace(
        new,
        kommo_pipeline_id=pipeline_id,
        stages=tuple(replace(stage, kommo_status_id=stage_id(stage)) for stage in new.stages),
        fields=tuple(replace(field, kommo_field_id=field_id(field)) for field in new.fields),
    )


def options_kept(row: leads.FieldMapping | None, new: document.Field) -> dict[str, int]:
    """Return the bound options that still mean the same option of the same field; kommo_connect binds the others."""
    if row is None or row.kommo_field_id != new.kommo_field_id:
        return {}
    return {
        value: bound
        for value, bound in row.enum_ids.items()
        if row.options.get(value, value) == new.options.get(value, value)
    }


def unbound(configuration: Configuration) -> int:
    ids = [
        bound
        for pipeline in configuration.pipelines
        for bound in (
            pipeline.kommo_pipeline_id,
            *(stage.kommo_status_id for stage in pipeline.stages),
            *(field.kommo_field_id for field in pipeline.fields),
        )
    ]
    return ids.count(None)
