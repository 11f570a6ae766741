"""The configuration as the database has it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from bridge.configuration import document, yaml_file
from followups import models as followups
from leads import models as leads

# What a mapping does -> how the file says it.
DECISIONS = {leads.StageMapping.Action.QUALIFY: "qualification", leads.StageMapping.Action.NOTHING: "nothing"}
PIPELINE_COLUMNS = (
    "slug",
    "name",
    "kommo_pipeline_id",
    "is_default",
    "locale",
    "time_zone",
    "phone_region",
    "followup_distance",
    "null_means_unknown",
    "booking_url",
    "handoff_max",
    "silent_when_kommo_is_away",
    "chat_reply_pauses",
    "conversations",
    "channel",
    "typing_pauses",
    "yields_to_bots",
    "phone_field",
    "handoff_note",
    "handoff_task",
    "handoff_task_within",
    "meeting_result_task",
    "meeting_result_task_after",
    "alert_on_calls",
)
STAGE_COLUMNS = (
    "key",
    "name",
    "kind",
    "reachable_from_anywhere",
    "protected",
    "pauses_agent",
    "tells_staff",
    "always_visit",
    "loss_reason",
    "kommo_status_id",
)
SERVES_COLUMNS = ("serves_only_with_tag", "serves_never_with_tag", "serves_only_new_leads", "serves_share")
CRITERION_COLUMNS = ("field", "operator", "value", "required", "disqualifies")
FIELD_COLUMNS = ("attribute", "kommo_field", "type", "options", "kommo_field_id")
TAG_COLUMNS = ("attribute", "template")
SEQUENCE_COLUMNS = ("slug", "name", "is_active", "starts_on", "give_up_after")
STEP_COLUMNS = ("delay", "before", "text", "instruction", "template_id", "max_lateness", "only_on_time")


def read() -> document.Configuration:
    """Return everything staff can edit; pipelines by their slugs, lists in the order in which they hold."""
    return document.Configuration(pipelines=tuple(map(read_pipeline, leads.Pipeline.objects.order_by("slug"))))


def read_pipeline(row: leads.Pipeline) -> document.Pipeline:
    stages = list(row.stages.select_related("on_reply"))
    tied = {stage.pk for before, stage in pairwise(stages) if stage.rank == before.rank}
    pipeline = document.Pipeline(
        **_columns(row, PIPELINE_COLUMNS),
        meeting_stage=_key(row.meeting_stage),
        handoff_stage=_key(row.handoff_stage),
        stages=tuple(
            document.Stage(
                **_columns(stage, STAGE_COLUMNS),
                on_reply=_key(stage.on_reply),
                same_rank_as_previous=stage.pk in tied,
            )
            for stage in stages
        ),
        stage_mappings=tuple(_mapping(stage_mapping) for stage_mapping in row.stage_mappings.select_related("move_to")),
        qualification=_qualification(leads.Qualification.objects.filter(pipeline=row).first()),
        flows=tuple(flow.name for flow in row.flows.all()),
        fields=tuple(
            document.Field(**_columns(field_mapping, FIELD_COLUMNS)) for field_mapping in row.field_mappings.all()
        ),
        tags=tuple(document.Tag(**_columns(tag_rule, TAG_COLUMNS)) for tag_rule in row.tag_rules.all()),
        sequences=tuple(map(_sequence, row.sequences.select_related("give_up_stage"))),
        quiet_hours=document.QuietHours(
            quiet_from=row.quiet_from, quiet_to=row.quiet_to, sending_weekdays=tuple(row.sending_weekdays)
        ),
        holidays=document.Holidays(holidays_country=row.holidays_country, holidays_subdivision=row.holidays_subdivision)
        if row.holidays_country
        else None,
        agent_serves=document.AgentServes(**_columns(row, SERVES_COLUMNS)),
        opt_out_words=tuple(row.opt_out_words),
        words_for_nothing=tuple(row.nothing),
        without=tuple(kind for kind in document.STATUS_IDS if all(stage.kind != kind for stage in stages)),
    )
    return yaml_file.complete(pipeline)


def texts_in_force() -> set[str]:
    return {text for row in followups.Step.objects.values_list("text", "instruction") for text in row if text}


def _mapping(row: leads.StageMapping) -> document.StageMapping:
    return document.StageMapping(
        conversation_stage=row.conversation_stage,
        move_to=_key(row.move_to),
        decide=DECISIONS.get(leads.StageMapping.Action(row.action)),
        only_if=row.only_if,
    )


def _qualification(row: leads.Qualification | None) -> document.Qualification | None:
    if row is None:
        return None
    return document.Qualification(
        min_score=row.min_score,
        qualified_stage=_key(row.qualified_stage),
        disqualified_stage=_key(row.disqualified_stage),
        undecided_stage=_key(row.undecided_stage),
        criteria=tuple(
            document.Criterion(
                **_columns(criterion, CRITERION_COLUMNS), flows=tuple(flow.name for flow in criterion.flows.all())
            )
            for criterion in row.criteria.prefetch_related("flows")
        ),
    )


def _sequence(row: Any) -> document.Sequence:
    return document.Sequence(
        **_columns(row, SEQUENCE_COLUMNS),
        give_up_stage=_key(row.give_up_stage),
        stop_stages=tuple(stage.key for stage in row.stop_stages.order_by("rank", "id")),
        steps=tuple(
            document.Step(**_columns(step, STEP_COLUMNS), weekdays=tuple(step.weekdays)) for step in row.steps.all()
        ),
    )


def _columns(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _key(stage: leads.Stage | None) -> str | None:
    return stage.key if stage else None
