"""What a configuration document would decide with: the same plain values `leads.rulebook` makes from rows. Pure.

So that a draft can be tried on stored leads before anybody feels it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import islice

from bridge.configuration import document
from leads.rules import Criterion, MappingAction, MappingRule, OnlyIf, QualificationRule, Rules, StageKind, StageRule

ACTIONS = {"qualification": MappingAction.QUALIFY, "nothing": MappingAction.NOTHING, None: MappingAction.MOVE}


def rules(pipeline: document.Pipeline) -> Rules:
    """Return the rules the document says. Ids are places in the document: there are no rows yet."""
    return Rules(
        pipeline=pipeline.slug,
        stages=_stages(pipeline.stages),
        mappings=tuple(
            MappingRule(
                id=place,
                conversation_stage=mapping.conversation_stage,
                action=ACTIONS[mapping.decide],
                move_to=mapping.move_to,
                only_if=OnlyIf(mapping.only_if),
            )
            for place, mapping in enumerate(pipeline.stage_mappings, start=1)
        ),
        qualification=_qualification(pipeline.qualification),
        meeting_stage=pipeline.meeting_stage,
    )


def lead_alike(live: document.Pipeline, wanted: document.Pipeline) -> bool:
    """Say whether every lead belongs where it belonged.

    What a stage is called leads nobody anywhere, and neither does a new one that no rule leads to.
    """
    before, after = rules(live), rules(wanted)
    known = {stage.key for stage in before.stages}
    return _first_places(before) == _first_places(after) and _plain(before, known) == _plain(after, known)


def _first_places(found: Rules) -> list[str]:
    """Return where leads are of which little is known: the first stage, and the first ordinary one behind it."""
    ordinary = (
        stage.key
        for stage in found.stages[1:]
        if not (stage.keeps_its_leads or stage.on_reply or stage.key == found.meeting_stage)
    )
    return [*(stage.key for stage in found.stages[:1]), *islice(ordinary, 1)]


def _plain(found: Rules, known: Collection[str]) -> Rules:
    """Return rules without names and without stages that are new; of ranks the order alone."""
    kept = [stage for stage in found.stages if stage.key in known]
    places = {rank: place for place, rank in enumerate(sorted({stage.rank for stage in kept}))}
    return replace(found, stages=tuple(replace(stage, name="", rank=places[stage.rank]) for stage in kept))


def _stages(stages: tuple[document.Stage, ...]) -> tuple[StageRule, ...]:
    ranked = []
    rank = -1
    for stage in stages:
        rank += not stage.same_rank_as_previous
        ranked.append(
            StageRule(
                key=stage.key,
                name=stage.name,
                rank=rank,
                kind=StageKind(stage.kind),
                reachable_from_anywhere=stage.reachable_from_anywhere,
                protected=stage.protected,
                pauses_agent=stage.pauses_agent,
                tells_staff=stage.tells_staff,
                on_reply=stage.on_reply,
                always_visit=stage.always_visit,
            )
        )
    return tuple(ranked)


def _qualification(qualification: document.Qualification | None) -> QualificationRule:
    if qualification is None:
        return QualificationRule(min_score=None, criteria=())
    return QualificationRule(
        min_score=qualification.min_score,
        criteria=tuple(
            Criterion(
                id=place,
                field=criterion.field,
                operator=criterion.operator,
                value=criterion.value,
                flows=criterion.flows,
                required=criterion.required,
                disqualifies=criterion.disqualifies,
            )
            for place, criterion in enumerate(qualification.criteria, start=1)
        ),
        qualified_stage=qualification.qualified_stage,
        disqualified_stage=qualification.disqualified_stage,
        undecided_stage=qualification.undecided_stage,
    )
