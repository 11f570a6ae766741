"""The rules' tables, to look at. Rules are changed on the rules pages (`pages`): draft, look ahead, publication."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline, TabularInline
from unfold.decorators import display

from bridge.admin.base import AdvancedAdmin, RawRulesAdmin
from bridge.admin.rules import page_frame, pages
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
    UnmappedFlow,
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
class PipelineAdmin(RawRulesAdmin):
    list_display = ("name", "rules", "slug", "is_default", "kommo_pipeline_id")
    inlines = (FlowInline, TagRuleInline)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    "slug",
                    "is_default",
                    "meeting_stage",
                    "handoff_stage",
                    "kommo_pipeline_id",
                    "handoff_max",
                )
            },
        ),
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
            '<a class="text-primary-600 font-medium" href="{}">{}</a>',
            page_frame.address("overview", pipeline),
            _("Rules"),
        )


@admin.register(Stage)
class StageAdmin(RawRulesAdmin):
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
        "tells_staff",
        "always_visit",
        "loss_reason",
    )

    @display(description=_("stage in Kommo"), label={_("not bound"): "danger"})
    def binding(self, stage: Stage) -> str:
        return str(stage.kommo_status_id or _("not bound"))


@admin.register(StageMapping)
class StageMappingAdmin(RawRulesAdmin):
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


@admin.register(UnmappedConversationStage, UnmappedFlow)
class UnmappedConversationStageAdmin(AdvancedAdmin):
    nothing_here = _("Every name that the agent used means something.")
    list_display = ("text", "pipeline", "times_seen", "last_seen_at")
    list_select_related = ("pipeline",)


class CriterionInline(StackedInline):
    model = Criterion
    fields = ("position", ("field", "operator", "value"), "flows", ("required", "disqualifies"))
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Criterion]:
        rows: QuerySet[Criterion] = super().get_queryset(request)
        return rows.prefetch_related("flows")


@admin.register(Qualification)
class QualificationAdmin(RawRulesAdmin):
    list_display = ("pipeline", "min_score", "qualified_stage", "disqualified_stage")
    list_select_related = ("pipeline", "qualified_stage", "disqualified_stage")
    fields = ("pipeline", "min_score", "qualified_stage", "disqualified_stage", "undecided_stage")
    inlines = (CriterionInline,)


@admin.register(FieldMapping)
class FieldMappingAdmin(RawRulesAdmin):
    list_display = ("attribute", "kommo_field", "type", "binding", "pipeline")
    list_filter = (("pipeline", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("pipeline",)
    fields = ("pipeline", "position", "attribute", "kommo_field", "type", "options", "kommo_field_id")

    @display(description=_("field id in Kommo"), label={_("not bound"): "danger"})
    def binding(self, mapping: FieldMapping) -> str:
        return str(mapping.kommo_field_id or _("not bound"))
