"""Which rules hold now: a pipeline's rows compiled once into the plain values the pure modules decide with.

A process keeps what it compiled until `Pipeline.rules_version` moves on, so an interaction pays no query for rules that
did not change, and a rule that did change holds from the next interaction on, in every process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.name_spellings import name_key
from leads.models import FieldMapping, Pipeline, Stage, TagRule
from leads.rules import Criterion, MappingAction, MappingRule, OnlyIf, QualificationRule, Rules, StageKind, StageRule


@dataclass(frozen=True)
class Rulebook:
    """A pipeline's rules, its stages by key and by Kommo's id, and what its cards show."""

    rules: Rules
    stages_by_key: dict[str, Stage]
    stages_by_status_id: dict[int, Stage]
    stages_by_id: dict[int, Stage]
    field_mappings: tuple[FieldMapping, ...]
    tag_rules: tuple[TagRule, ...]
    # By the key of their names.
    flows: dict[str, str]

    @property
    def first_stage(self) -> Stage:
        return self.stages_by_key[self.rules.stages[0].key]


_compiled: dict[int, tuple[int, Rulebook]] = {}


def rulebook(pipeline: Pipeline) -> Rulebook:
    """Return the rules of a pipeline that was just read from the database."""
    version, book = _compiled.get(pipeline.pk, (None, None))
    if book is None or version != pipeline.rules_version:
        book = _compile(pipeline)
        _compiled[pipeline.pk] = (pipeline.rules_version, book)
    return book


_pipelines: dict[int, Pipeline] = {}


def pipeline_at(pipeline_id: int, version: int) -> Pipeline:
    """Return the pipeline as of a version that was just read, kept as its rules are: to be read, not changed."""
    known = _pipelines.get(pipeline_id)
    if known is None or known.rules_version != version:
        known = _pipelines[pipeline_id] = Pipeline.objects.get(pk=pipeline_id)
    return known


def _compile(pipeline: Pipeline) -> Rulebook:
    stages = list(pipeline.stages.select_related("on_reply").order_by("rank", "id"))
    return Rulebook(
        rules=Rules(
            pipeline=pipeline.slug,
            stages=tuple(_stage_rule(stage) for stage in stages),
            mappings=tuple(
                MappingRule(
                    id=mapping.pk,
                    conversation_stage=mapping.conversation_stage,
                    action=MappingAction(mapping.action),
                    move_to=mapping.move_to.key if mapping.move_to else None,
                    only_if=OnlyIf(mapping.only_if),
                )
                for mapping in pipeline.stage_mappings.select_related("move_to")
            ),
            qualification=_qualification_rule(pipeline),
            meeting_stage=_key_of(pipeline.meeting_stage_id, stages),
            version=pipeline.rules_version,
        ),
        stages_by_key={stage.key: stage for stage in stages},
        stages_by_status_id={stage.kommo_status_id: stage for stage in stages if stage.kommo_status_id is not None},
        stages_by_id={stage.pk: stage for stage in stages},
        field_mappings=tuple(pipeline.field_mappings.all()),
        tag_rules=tuple(pipeline.tag_rules.all()),
        flows={name_key(name): name for name in pipeline.flows.values_list("name", flat=True)},
    )


def _stage_rule(stage: Stage) -> StageRule:
    return StageRule(
        key=stage.key,
        name=stage.name,
        rank=stage.rank,
        kind=StageKind(stage.kind),
        reachable_from_anywhere=stage.reachable_from_anywhere,
        protected=stage.protected,
        pauses_agent=stage.pauses_agent,
        tells_staff=stage.tells_staff,
        on_reply=stage.on_reply.key if stage.on_reply else None,
        always_visit=stage.always_visit,
    )


def _qualification_rule(pipeline: Pipeline) -> QualificationRule:
    row: Any = getattr(pipeline, "qualification", None)
    if row is None:
        return QualificationRule(min_score=None, criteria=())
    stages = {stage.pk: stage.key for stage in pipeline.stages.all()}
    return QualificationRule(
        min_score=row.min_score,
        criteria=tuple(
            Criterion(
                id=criterion.pk,
                field=criterion.field,
                operator=criterion.operator,
                value=criterion.value,
                flows=tuple(flow.name for flow in criterion.flows.all()),
                required=criterion.required,
                disqualifies=criterion.disqualifies,
            )
            for criterion in row.criteria.prefetch_related("flows")
        ),
        qualified_stage=stages.get(row.qualified_stage_id),
        disqualified_stage=stages.get(row.disqualified_stage_id),
        undecided_stage=stages.get(row.undecided_stage_id),
    )


def _key_of(stage_id: int | None, stages: list[Stage]) -> str | None:
    return next((stage.key for stage in stages if stage.pk == stage_id), None)
