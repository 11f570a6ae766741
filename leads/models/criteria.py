"""Who is qualified: the score, and the criteria."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from leads.models.conversation_words import Flow
from leads.models.pipeline import Pipeline
from leads.models.stage import Stage


class Qualification(models.Model):
    """When a lead counts as qualified, and the stages the three verdicts lead to."""

    pipeline = models.OneToOneField(Pipeline, models.CASCADE, related_name="qualification", verbose_name=_("pipeline"))
    min_score = models.DecimalField(
        _("minimum score"), max_digits=5, decimal_places=2, null=True, blank=True, help_text=_("0 to 100")
    )
    qualified_stage = models.ForeignKey(
        Stage, models.SET_NULL, null=True, related_name="+", verbose_name=_("stage when qualified")
    )
    disqualified_stage = models.ForeignKey(
        Stage, models.SET_NULL, null=True, related_name="+", verbose_name=_("stage when disqualified")
    )
    undecided_stage = models.ForeignKey(
        Stage, models.SET_NULL, null=True, related_name="+", verbose_name=_("stage while facts are missing")
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("qualification")
        verbose_name_plural = _("qualifications")
        constraints = (
            models.CheckConstraint(
                condition=Q(min_score__isnull=True) | Q(min_score__gte=0, min_score__lte=100),
                name="min_score_between_0_and_100",
                violation_error_message=_("The minimum score lies between 0 and 100."),
            ),
        )

    def __str__(self) -> str:
        return str(self.pipeline)


class Criterion(models.Model):
    """One condition a lead is held against. Not knowing is never failing."""

    class Operator(models.TextChoices):
        GTE = "gte", _("at least")
        GT = "gt", _("more than")
        LTE = "lte", _("at most")
        LT = "lt", _("less than")
        EQ = "eq", _("equal to")
        NE = "ne", _("different from")
        IN = "in", _("one of")
        NOT_IN = "not_in", _("none of")
        IS_TRUE = "is_true", _("is yes")
        IS_FALSE = "is_false", _("is no")
        IS_SET = "is_set", _("is known")
        IS_NOT_SET = "is_not_set", _("is not known")

    qualification = models.ForeignKey(Qualification, models.CASCADE, related_name="criteria")
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    field = models.CharField(_("field"), max_length=100)
    operator = models.CharField(_("operator"), max_length=20, choices=Operator)
    value = models.JSONField(_("value"), null=True, blank=True)
    flows = models.ManyToManyField(Flow, blank=True, related_name="+", verbose_name=_("flows"))
    required = models.BooleanField(_("required"), default=False)
    disqualifies = models.BooleanField(_("disqualifies"), default=False)
    history = HistoricalRecords(m2m_fields=[flows])

    class Meta:
        verbose_name = _("criterion")
        verbose_name_plural = _("criteria")
        ordering = ("qualification", "position", "id")

    def __str__(self) -> str:
        return f"{self.field} {self.get_operator_display()} {'' if self.value is None else self.value}".strip()
