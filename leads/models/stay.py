"""Where leads stood, from when until when: what conversion and time in stage are counted from."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from leads.models.lead import Lead
from leads.models.stage import Stage


class Stay(models.Model):
    """One lead's time in one stage. Open (`left_at` empty) while the lead stands there.

    Rows of their own, and not counters: a counter would be one row that every interaction has to lock.
    """

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="stays")
    stage = models.ForeignKey(Stage, models.CASCADE, related_name="+", db_index=False, verbose_name=_("stage"))
    entered_at = models.DateTimeField(_("entered"))
    left_at = models.DateTimeField(_("left"), null=True, blank=True)

    class Meta:
        verbose_name = _("stay in a stage")
        verbose_name_plural = _("stays in stages")
        constraints = (
            models.UniqueConstraint(fields=["lead"], condition=Q(left_at=None), name="one_open_stay_per_lead"),
        )
        indexes = (
            # Each holds all its figures need, so that they are read from the index alone.
            models.Index(fields=["entered_at", "stage", "lead"], name="stays_entered"),
            models.Index(
                fields=["left_at", "stage", "entered_at"], condition=Q(left_at__isnull=False), name="stays_left"
            ),
        )

    def __str__(self) -> str:
        return f"{self.lead_id}: {self.stage_id}"
