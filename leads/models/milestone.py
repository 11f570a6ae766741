"""Moments of a lead's way that are counted: what the results are made of where no other row says it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.reasons.columns import ReasonField
from leads.models.lead import Lead
from leads.models.pipeline import Pipeline


class Milestone(models.Model):
    """Something that happened to a lead and is counted, and stays counted when the person is erased.

    Rows of their own, written when it happens, so that no page reads conversations to count.
    """

    class Kind(models.TextChoices):
        # seconds: from the lead's first message to the first answer to it.
        FIRST_REPLY = "first_reply", _("first reply")
        # seconds: from the handoff to the first message of a person; detail: that person's name, where it was told.
        HANDOFF_WAIT = "handoff_wait", _("answered by a person")
        # detail: why, without the lead's own values (leads/milestones.py).
        DISQUALIFIED = "disqualified", _("disqualified")

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="milestones", verbose_name=_("lead"))
    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    at = models.DateTimeField(_("at"))
    seconds = models.PositiveIntegerField(_("seconds"), null=True, blank=True)
    detail = ReasonField(_("detail"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("milestone")
        verbose_name_plural = _("milestones")
        indexes = (
            models.Index(fields=["pipeline", "kind", "at", "seconds"], name="milestones_counted"),
            models.Index(fields=["at"], name="milestones_by_age"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.at:%Y-%m-%d %H:%M}"
