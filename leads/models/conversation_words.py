"""The agent's words and what they mean here: stages of a conversation, flows, and words without a meaning so far."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from common.name_spellings import name_key
from leads.models.pipeline import Pipeline
from leads.models.stage import Stage


class StageMapping(models.Model):
    """What a conversation stage, as the agent names it, means for the card. The first match wins."""

    class Action(models.TextChoices):
        MOVE = "move", _("move to a stage")
        QUALIFY = "qualify", _("decide by qualification")
        NOTHING = "nothing", _("leave the card where it is")

    class OnlyIf(models.TextChoices):
        ALWAYS = "always", _("always")
        MEETING = "meeting", _("only with a booked meeting")

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="stage_mappings", verbose_name=_("pipeline"))
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    conversation_stage = models.CharField(_("conversation stage"), max_length=200)
    conversation_stage_key = models.CharField(max_length=200, editable=False)
    action = models.CharField(_("action"), max_length=10, choices=Action, default=Action.MOVE)
    move_to = models.ForeignKey(
        Stage, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("move to")
    )
    only_if = models.CharField(_("only if"), max_length=10, choices=OnlyIf, default=OnlyIf.ALWAYS)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("stage mapping")
        verbose_name_plural = _("stage mappings")
        ordering = ("pipeline", "position", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(action="move", move_to__isnull=False) | (~Q(action="move") & Q(move_to__isnull=True)),
                name="move_mapping_has_a_stage",
                violation_error_message=_("Choose a stage exactly when the action is to move."),
            ),
        )

    def __str__(self) -> str:
        return self.conversation_stage

    def save(self, *args: object, **kwargs: object) -> None:
        self.conversation_stage_key = name_key(self.conversation_stage)
        super().save(*args, **kwargs)  # type: ignore[arg-type]


class UnmappedConversationStage(models.Model):
    """A conversation stage the agent sent and no mapping knows, kept until staff map it."""

    pipeline = models.ForeignKey(
        Pipeline, models.CASCADE, related_name="unmapped_conversation_stages", verbose_name=_("pipeline")
    )
    key = models.CharField(max_length=200)
    text = models.CharField(_("conversation stage"), max_length=200)
    times_seen = models.PositiveIntegerField(_("times seen"), default=1)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("conversation stage not mapped yet")
        verbose_name_plural = _("conversation stages not mapped yet")
        ordering = ("-last_seen_at",)
        constraints = (models.UniqueConstraint(fields=["pipeline", "key"], name="unmapped_stage_once_per_pipeline"),)

    def __str__(self) -> str:
        return self.text


class Flow(models.Model):
    """A solution a lead can choose, as the agent names it."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="flows", verbose_name=_("pipeline"))
    name = models.CharField(_("name"), max_length=200)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("flow")
        verbose_name_plural = _("flows")
        ordering = ("pipeline", "position", "id")
        constraints = (models.UniqueConstraint(fields=["pipeline", "name"], name="flow_once_per_pipeline"),)

    def __str__(self) -> str:
        return self.name


class UnmappedFlow(models.Model):
    """A flow the agent sent and the pipeline has not, kept until staff name one so."""

    pipeline = models.ForeignKey(
        Pipeline, models.CASCADE, related_name="unmapped_flows", verbose_name=_("pipeline"), db_index=False
    )
    key = models.CharField(max_length=200)
    text = models.CharField(_("flow"), max_length=200)
    times_seen = models.PositiveIntegerField(_("times seen"), default=1)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("flow not mapped yet")
        verbose_name_plural = _("flows not mapped yet")
        ordering = ("-last_seen_at",)
        constraints = (models.UniqueConstraint(fields=["pipeline", "key"], name="unmapped_flow_once_per_pipeline"),)

    def __str__(self) -> str:
        return self.text
