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
    known = {one.slug: one for one in current}
    wanted = list(wanted)
    taken = {one.kommo_pipeline_id for one in wanted}
    return [_keep(known[one.slug], one, taken) if one.slug in known else one for one in wanted]


def _keep(old: document.Pipeline, new: document.Pipeline, taken_pipelines: set[int | None]) -> document.Pipeline:
    pipeline_id = new.kommo_pipeline_id
    if pipeline_id is None and old.kommo_pipeline_id not in taken_pipelines:
        pipeline_id = old.kommo_pipeline_id
    stages = {one.key: one for one in old.stages} if pipeline_id == old.kommo_pipeline_id else {}
    taken = {one.kommo_status_id for one in new.stages} | set(STATUS_IDS.values())
    fields = {(one.attribute, name_key(one.kommo_field)): one for one in old.fields}
    taken_fields = {one.kommo_field_id for one in new.fields}

    def stage_id(one: document.Stage) -> int | None:
        bound = stages[one.key].kommo_status_id if one.key in stages else None
        return one.kommo_status_id or (bound if bound not in taken else None)

    def field_id(one: document.Field) -> int | None:
        same = fields.get((one.attribute, name_key(one.kommo_field)))
        bound = same.kommo_field_id if same else None
        return one.kommo_field_id or (bound if bound not in taken_fields else None)

    return replace(
        new,
        kommo_pipeline_id=pipeline_id,
        stages=tuple(replace(one, kommo_status_id=stage_id(one)) for one in new.stages),
        fields=tuple(replace(one, kommo_field_id=field_id(one)) for one in new.fields),
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
        for one in configuration.pipelines
        for bound in (
            one.kommo_pipeline_id,
            *(stage.kommo_status_id for stage in one.stages),
            *(field.kommo_field_id for field in one.fields),
        )
    ]
    return ids.count(None)
