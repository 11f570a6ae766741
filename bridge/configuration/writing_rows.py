"""How a configuration becomes rows: found by their natural keys, so that leads, bindings and histories stay with them.

What the file no longer has is removed. Whoever calls has made sure that nothing leads stand in goes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import models

from bridge.configuration import differences, document, exporting, kept_bindings
from bridge.configuration.document import Configuration
from bridge.configuration.records import Record
from common.name_spellings import name_key
from followups import models as followups
from leads import models as leads

ACTIONS = {"qualification": leads.StageMapping.Action.QUALIFY, "nothing": leads.StageMapping.Action.NOTHING}


class Writer:
    """One writing of a whole configuration, in an order in which every reference finds its row."""

    def __init__(self, current: Configuration, wanted: Configuration, reason: str) -> None:
        self.current = {pipeline.slug: pipeline for pipeline in current.pipelines}
        self.wanted = wanted.pipelines
        self.reason = reason

    def write(self) -> None:
        slugs = [pipeline.slug for pipeline in self.wanted]
        for row in leads.Pipeline.objects.exclude(slug__in=slugs):
            self._delete([row])
        rows = {row.slug: row for row in leads.Pipeline.objects.all()}
        # Two pipelines may change places: each of these can be one pipeline's at a time.
        _vacate(
            leads.Pipeline,
            {rows[pipeline.slug].pk: pipeline.kommo_pipeline_id for pipeline in self.wanted if pipeline.slug in rows},
            "kommo_pipeline_id",
        )
        default = [pipeline.slug for pipeline in self.wanted if pipeline.is_default]
        leads.Pipeline.objects.filter(is_default=True).exclude(slug__in=default).update(is_default=False)
        for pipeline in self.wanted:
            old = self.current.get(pipeline.slug, document.Pipeline(slug=pipeline.slug, name="", stages=()))
            if pipeline != old:
                self._write_pipeline(rows.get(pipeline.slug), old, pipeline)

    def _write_pipeline(self, row: leads.Pipeline | None, old: document.Pipeline, new: document.Pipeline) -> None:
        columns = {name: getattr(new, name) for name in exporting.PIPELINE_COLUMNS} | {
            "quiet_from": new.quiet_hours.quiet_from,
            "quiet_to": new.quiet_hours.quiet_to,
            "sending_weekdays": list(new.quiet_hours.sending_weekdays),
            "opt_out_words": list(new.opt_out_words),
            "words_for_nothing": list(new.words_for_nothing),
            **{name: getattr(new.agent_serves, name) for name in exporting.SERVES_COLUMNS},
            "holidays_country": new.holidays.holidays_country if new.holidays else "",
            "holidays_subdivision": new.holidays.holidays_subdivision if new.holidays else "",
        }
        if row is None:
            row = leads.Pipeline()
            self._save(row, columns)
        kept, gone = self._write_stages(row, old, new)
        stages = {stage.key: stage for stage in kept}
        named = {name: _of(stages, getattr(new, name)) for name in ("meeting_stage", "handoff_stage")}
        self._save(row, columns | named)
        flows = self._write_flows(row, new)
        self._write_list(
            row.stage_mappings.all(),
            old.stage_mappings,
            new.stage_mappings,
            lambda stage_mapping: {
                "pipeline": row,
                "conversation_stage": stage_mapping.conversation_stage,
                "action": ACTIONS.get(stage_mapping.decide or "", leads.StageMapping.Action.MOVE),
                "move_to": _of(stages, stage_mapping.move_to),
                "only_if": stage_mapping.only_if,
            },
        )
        mapped = {name_key(stage_mapping.conversation_stage) for stage_mapping in new.stage_mappings}
        leads.UnmappedConversationStage.objects.filter(pipeline=row, key__in=mapped).delete()
        leads.UnmappedFlow.objects.filter(pipeline=row, key__in=set(map(name_key, new.flows))).delete()
        self._write_qualification(row, old.qualification, new.qualification, stages, flows)
        self._write_fields(row, old, new)
        self._write_list(
            row.tag_rules.all(),
            old.tags,
            new.tags,
            lambda tag: {"pipeline": row, "attribute": tag.attribute, "template": tag.template},
        )
        self._write_sequences(row, old, new, stages)
        # Last, when nothing refers to them any more.
        self._delete([flow for name, flow in flows.items() if name not in new.flows])
        self._delete(gone)
        row.rules_changed()

    def _write_stages(
        self, pipeline: leads.Pipeline, old: document.Pipeline, new: document.Pipeline
    ) -> tuple[list[leads.Stage], list[leads.Stage]]:
        """Return the stages in their order, and those that are to go."""
        found, gone = _pair(pipeline.stages.all(), old.stages, new.stages)
        _vacate(
            leads.Stage,
            {row.pk: stage.kommo_status_id for row, stage in zip(found, new.stages, strict=True) if row}
            | {row.pk: None for row in gone},
            "kommo_status_id",
        )
        ranks = _places([row and row.rank for row in found], [stage.same_rank_as_previous for stage in new.stages])
        stages = [row or leads.Stage(pipeline=pipeline) for row in found]
        columns = [
            {name: getattr(stage, name) for name in exporting.STAGE_COLUMNS} | {"rank": rank}
            for stage, rank in zip(new.stages, ranks, strict=True)
        ]
        for row, values in zip(stages, columns, strict=True):
            if row.pk is None:
                self._save(row, values)
        by_key = {values["key"]: row for row, values in zip(stages, columns, strict=True)}
        for row, stage, values in zip(stages, new.stages, columns, strict=True):
            self._save(row, values | {"on_reply": _of(by_key, stage.on_reply)})
        return stages, gone

    def _write_flows(self, pipeline: leads.Pipeline, new: document.Pipeline) -> dict[str, leads.Flow]:
        """Return every flow by its name, also those that are to go."""
        rows = {flow.name: flow for flow in pipeline.flows.all()}
        if tuple(rows) != new.flows:
            places = _places([rows[name].position if name in rows else None for name in new.flows])
            for name, place in zip(new.flows, places, strict=True):
                row = rows.setdefault(name, leads.Flow(pipeline=pipeline))
                self._save(row, {"name": name, "position": place})
        return rows

    def _write_qualification(
        self,
        pipeline: leads.Pipeline,
        old: document.Qualification | None,
        new: document.Qualification | None,
        stages: dict[str, leads.Stage],
        flows: dict[str, leads.Flow],
    ) -> None:
        row = leads.Qualification.objects.filter(pipeline=pipeline).first()
        if new is None:
            self._delete([row] if row else [])
            return
        row = row or leads.Qualification(pipeline=pipeline)
        verdicts = {name: _of(stages, getattr(new, name)) for name in document.VERDICTS}
        self._save(row, {"min_score": new.min_score, **verdicts})
        criteria = self._write_list(
            row.criteria.all(),
            old.criteria if old else (),
            new.criteria,
            lambda entry: {"qualification": row} | {name: getattr(entry, name) for name in exporting.CRITERION_COLUMNS},
        )
        for criterion, wanted in zip(criteria, new.criteria, strict=True):
            self._set(criterion, "flows", [flows[name] for name in wanted.flows])

    def _write_fields(self, pipeline: leads.Pipeline, old: document.Pipeline, new: document.Pipeline) -> None:
        found, _ = _pair(pipeline.field_mappings.all(), old.fields, new.fields)
        rows = dict(zip((field.attribute for field in new.fields), found, strict=True))
        _vacate(
            leads.FieldMapping,
            {row.pk: field.kommo_field_id for row, field in zip(found, new.fields, strict=True) if row},
            "kommo_field_id",
        )
        self._write_list(
            pipeline.field_mappings.all(),
            old.fields,
            new.fields,
            lambda field: (
                {"pipeline": pipeline, "enum_ids": kept_bindings.options_kept(rows[field.attribute], field)}
                | {name: getattr(field, name) for name in exporting.FIELD_COLUMNS}
            ),
        )

    def _write_sequences(
        self,
        pipeline: leads.Pipeline,
        old: document.Pipeline,
        new: document.Pipeline,
        stages: dict[str, leads.Stage],
    ) -> None:
        found, gone = _pair(followups.Sequence.objects.filter(pipeline=pipeline), old.sequences, new.sequences)
        self._delete(gone)
        before = {old_sequence.slug: old_sequence.steps for old_sequence in old.sequences}
        for row, wanted in zip(found, new.sequences, strict=True):
            sequence = row or followups.Sequence(pipeline=pipeline)
            columns = {name: getattr(wanted, name) for name in exporting.SEQUENCE_COLUMNS}
            self._save(sequence, columns | {"give_up_stage": _of(stages, wanted.give_up_stage)})
            self._set(sequence, "stop_stages", [stages[key] for key in wanted.stop_stages])
            self._write_steps(sequence, before.get(wanted.slug, ()), wanted.steps)

    def _write_steps(
        self, sequence: followups.Sequence, old: Sequence[document.Step], new: Sequence[document.Step]
    ) -> None:
        self._write_list(
            sequence.steps.all(),
            old,
            new,
            lambda step: (
                {"sequence": sequence, "weekdays": list(step.weekdays)}
                | {name: getattr(step, name) for name in exporting.STEP_COLUMNS}
            ),
            first=1,
        )

    def _write_list(
        self,
        rows: Any,
        old: Sequence[Record],
        new: Sequence[Any],
        columns: Callable[[Any], dict[str, Any]],
        *,
        first: int = 0,
    ) -> list[Any]:
        """Make the rows of a list what the file says; return them in its order."""
        found, gone = _pair(rows, old, new)
        if tuple(old) == tuple(new):
            return found
        self._delete(gone)
        places = _places([row and row.position for row in found], first=first)
        written = [row or rows.model() for row in found]
        for row, wanted, place in zip(written, new, places, strict=True):
            self._save(row, columns(wanted) | {"position": place})
        return written

    def _save(self, row: Any, values: dict[str, Any]) -> None:
        """Save what differs; a row that is right gets no line in its history."""
        if row.pk is None or any(getattr(row, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(row, name, value)
            row._change_reason = self.reason
            row.save()

    def _set(self, row: Any, name: str, wanted: list[Any]) -> None:
        if set(getattr(row, name).all()) != set(wanted):
            row._change_reason = self.reason
            getattr(row, name).set(wanted)

    def _delete(self, rows: Iterable[Any]) -> None:
        for row in rows:
            row._change_reason = self.reason
            row.delete()


def _pair(rows: Any, old: Sequence[Record], new: Sequence[Record]) -> tuple[list[Any], list[Any]]:
    """Return the row of every new record (None: there is none yet), and the rows that none of them is.

    The rows come in the order in which `exporting.read` made the old records of them.
    """
    existing = list(rows)
    places = differences.match(old, new)
    gone = [row for place, row in enumerate(existing) if place not in places]
    return [None if place is None else existing[place] for place in places], gone


def _places(known_places: list[int | None], ties: list[bool] | None = None, *, first: int = 0) -> list[int]:
    """Return a place for everything in a list: those held, as long as they say the order; all of them anew otherwise.

    known_places: None for what is new. ties: whether one shares the place of the one before it.
    """
    ties = ties or [False] * len(known_places)
    kept: list[int] = []
    for place, tied in zip(known_places, ties, strict=True):
        least = first if not kept else kept[-1] + (not tied)
        chosen = least if place is None else place
        if chosen < least or (tied and chosen != least):
            return _anew(ties, first)
        kept.append(chosen)
    return kept


def _anew(ties: list[bool], first: int) -> list[int]:
    places = [first]
    for tied in ties[1:]:
        places.append(places[-1] + (not tied))
    return places


def _vacate(model: type[models.Model], wanted: dict[int, int | None], column: str) -> None:
    """Empty a unique column where it is to change, so that two rows can exchange what they hold."""
    taken = dict(model._default_manager.filter(pk__in=wanted).values_list("pk", column))
    changing = [pk for pk, value in taken.items() if value is not None and value != wanted[pk]]
    model._default_manager.filter(pk__in=changing).update(**{column: None})


def _of(stages: dict[str, leads.Stage], key: str | None) -> leads.Stage | None:
    return stages[key] if key else None
