"""What a card shows of a lead: which fields of Kommo, and which tags."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from leads.models.pipeline import Pipeline


class TagRule(models.Model):
    """A family of tags the bridge owns: the text of the template up to `{value}`."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="tag_rules", verbose_name=_("pipeline"))
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    attribute = models.CharField(_("attribute"), max_length=100)
    # Its template before it was saved just now (bridge/signals.py).
    template_before: str
    template = models.CharField(_("template"), max_length=100, help_text=_("For example fluxo_{value}"))
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("tag rule")
        verbose_name_plural = _("tag rules")
        ordering = ("pipeline", "position", "id")
        constraints = (
            models.UniqueConstraint(fields=["pipeline", "template"], name="tag_template_once_per_pipeline"),
            models.CheckConstraint(
                # A family without a text of its own would own every tag on the card, those of staff too.
                condition=Q(template__regex=r"^[^{}]+\{value\}[^{}]*$"),
                name="tag_template_has_a_family",
                violation_error_message=_("Write some text before {value}, for example fluxo_{value}."),
            ),
        )

    def __str__(self) -> str:
        return self.template


class FieldMapping(models.Model):
    """Which custom field in Kommo shows an attribute of the lead."""

    class Type(models.TextChoices):
        TEXT = "text", _("text")
        TEXTAREA = "textarea", _("long text")
        NUMERIC = "numeric", _("number")
        MONETARY = "monetary", _("amount of money")
        CHECKBOX = "checkbox", _("yes or no")
        SELECT = "select", _("choice")
        MULTISELECT = "multiselect", _("several choices")
        URL = "url", _("link")
        DATE = "date", _("date")
        DATE_TIME = "date_time", _("date and time")

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="field_mappings", verbose_name=_("pipeline"))
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    attribute = models.CharField(_("attribute"), max_length=100)
    kommo_field = models.CharField(_("field in Kommo"), max_length=200)
    type = models.CharField(_("type"), max_length=20, choices=Type)
    options = models.JSONField(
        _("options"),
        default=dict,
        blank=True,
        help_text=_("Our value -> the option's name in Kommo, where they differ."),
    )
    kommo_field_id = models.BigIntegerField(_("Kommo field id"), null=True, blank=True)
    # The field it was bound to before it was saved just now (bridge/signals.py).
    bound_before: int | None
    enum_ids = models.JSONField(default=dict, blank=True, editable=False, help_text="Our value -> Kommo's enum id.")
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("field mapping")
        verbose_name_plural = _("field mappings")
        ordering = ("pipeline", "position", "id")
        constraints = (
            models.UniqueConstraint(fields=["pipeline", "attribute"], name="attribute_mapped_once_per_pipeline"),
            models.UniqueConstraint(fields=["pipeline", "kommo_field_id"], name="kommo_field_mapped_once"),
        )

    def __str__(self) -> str:
        return self.kommo_field
