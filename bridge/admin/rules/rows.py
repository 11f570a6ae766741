"""Single rows of the rules, for a quick correction: it holds at once, and the row's own history keeps before and after.

The rules pages (`pages`) are where staff prepare, look, publish and roll back.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.decorators import display

from bridge.admin.base import ConfigurationAdmin
from bridge.admin.rules import pages
from leads.models import (
    Criterion,
    FieldMapping,
    Flow,
    Pipeline,
    Qualification,
    Stage,
    StageMapping,
    TagRule,
    UnmappedConversationStage,
)


class FlowInline(TabularInline):
    model = Flow
    fields = ("position", "name")
    extra = 0
    tab = True


class TagRuleInline(TabularInline):
    model = TagRule
    fields = ("position", "attribute", "template")
    extra = 0
    tab = True


@admin.register(Pipeline)
class PipelineAdmin(ConfigurationAdmin):
    list_display = ("name", "rules", "slug", "is_default", "kommo_pipeline_id")
    inlines = (FlowInline, TagRuleInline)
    fieldsets = (
        (None, {"fields": ("name", "slug", "is_default", "meeting_stage", "kommo_pipeline_id", "handoff_max")}),
        (_("Place"), {"fields": ("locale", "time_zone", "phone_region")}),
        (
            _("Hours of follow-ups"),
            {"fields": ("quiet_from", "quiet_to", "sending_weekdays", "holidays_country", "holidays_subdivision")},
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        return [*pages.urls(), *super().get_urls()]

    @admin.display(description=_("rules"))
    def rules(self, pipeline: Pipeline) -> SafeString:
        return format_html(
            '<a class="text-primary-600 font-medium" href="{}">{}</a>', pages.address("overview", pipeline), _("Rules")
        )

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "meeting_stage" and request.resolver_match:
            kwargs["queryset"] = Stage.objects.filter(pipeline_id=request.resolver_match.kwargs.get("object_id") or 0)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


@admin.register(Stage)
class StageAdmin(ConfigurationAdmin):
    list_display = ("name", "pipeline", "rank", "binding", "reachable_from_anywhere", "protected", "pauses_agent")
    list_display_links = ("name",)
    list_filter = (("pipeline", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("pipeline",)
    ordering = ("pipeline", "rank")
    fields = (
        "pipeline",
        "key",
        "name",
        "rank",
        "kind",
        "kommo_status_id",
        "on_reply",
        "reachable_from_anywhere",
        "protected",
        "pauses_agent",
        "always_visit",
        "loss_reason",
    )

    @display(description=_("stage in Kommo"), label={_("not bound"): "danger"})
    def binding(self, stage: Stage) -> str:
        return str(stage.kommo_status_id or _("not bound"))


@admin.register(StageMapping)
class StageMappingAdmin(ConfigurationAdmin):
    list_display = ("sentence", "pipeline", "position")
    list_filter = (("pipeline", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("pipeline", "move_to")
    fields = ("pipeline", "position", "conversation_stage", "action", "move_to", "only_if")

    @admin.display(description=_("rule"), ordering="position")
    def sentence(self, mapping: StageMapping) -> str:
        if mapping.action == StageMapping.Action.QUALIFY:
            return _("In “%(stage)s”: decide by qualification") % {"stage": mapping.conversation_stage}
        if mapping.action == StageMapping.Action.NOTHING:
            return _("In “%(stage)s”: leave the card where it is") % {"stage": mapping.conversation_stage}
        words = {"stage": mapping.conversation_stage, "target": mapping.move_to.name if mapping.move_to else "?"}
        if mapping.only_if == StageMapping.OnlyIf.MEETING:
            return _("In “%(stage)s”, once a meeting is booked: move to %(target)s") % words
        return _("In “%(stage)s”: move to %(target)s") % words


@admin.register(UnmappedConversationStage)
class UnmappedConversationStageAdmin(ModelAdmin):
    list_display = ("text", "pipeline", "times_seen", "last_seen_at")
    list_select_related = ("pipeline",)
    actions = ("leave_alone",)

    def get_actions(self, request: HttpRequest) -> Any:
        """Offer one action per stage: mapping a conversation stage is one click."""
        actions = super().get_actions(request)
        if not self.has_change_permission(request):
            return actions
        for stage in Stage.objects.filter(kind=Stage.Kind.OPEN).select_related("pipeline"):
            name = f"map_to_{stage.pk}"
            label = _("Means %(stage)s (%(pipeline)s)") % {"stage": stage.name, "pipeline": stage.pipeline.slug}
            actions[name] = (_mapper(stage), name, label)
        return actions

    @admin.action(description=_("Means nothing: leave the card where it is"), permissions=["change"])
    def leave_alone(self, request: HttpRequest, rows: QuerySet[UnmappedConversationStage]) -> None:
        for row in rows:
            _map(row, StageMapping.Action.NOTHING, None)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _mapper(stage: Stage) -> Any:
    def map_to(_admin: Any, _request: HttpRequest, rows: QuerySet[UnmappedConversationStage]) -> None:
        for row in rows.filter(pipeline=stage.pipeline):
            _map(row, StageMapping.Action.MOVE, stage)

    return map_to


def _map(row: UnmappedConversationStage, action: StageMapping.Action, stage: Stage | None) -> None:
    last = row.pipeline.stage_mappings.aggregate(last=Max("position"))["last"]
    StageMapping.objects.create(
        pipeline=row.pipeline,
        conversation_stage=row.text,
        action=action,
        move_to=stage,
        position=(last or 0) + 1,
    )
    row.delete()


class CriterionInline(StackedInline):
    model = Criterion
    fields = ("position", ("field", "operator", "value"), "flows", ("required", "disqualifies"))
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Criterion]:
        rows: QuerySet[Criterion] = super().get_queryset(request)
        return rows.prefetch_related("flows")


@admin.register(Qualification)
class QualificationAdmin(ConfigurationAdmin):
    list_display = ("pipeline", "min_score", "qualified_stage", "disqualified_stage")
    list_select_related = ("pipeline", "qualified_stage", "disqualified_stage")
    fields = ("pipeline", "min_score", "qualified_stage", "disqualified_stage", "undecided_stage")
    inlines = (CriterionInline,)


@admin.register(FieldMapping)
class FieldMappingAdmin(ConfigurationAdmin):
    list_display = ("attribute", "kommo_field", "type", "binding", "pipeline")
    list_filter = (("pipeline", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("pipeline",)
    fields = ("pipeline", "position", "attribute", "kommo_field", "type", "options", "kommo_field_id")

    @display(description=_("field id in Kommo"), label={_("not bound"): "danger"})
    def binding(self, mapping: FieldMapping) -> str:
        return str(mapping.kommo_field_id or _("not bound"))
