"""The meetings of a lead, a row each."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models.lead import Lead


class Meeting(models.Model):
    """A meeting as the agent's calendar told of it last. Which one of a lead stands is told by leads/meetings.py."""

    lead = models.ForeignKey(
        Lead, models.CASCADE, related_name="meetings", verbose_name=_("lead"), db_index=False, editable=False
    )
    # By the calendar's own name; empty for the one that has none.
    meeting_id = models.CharField(_("meeting id"), max_length=250, blank=True)
    status = models.CharField(_("meeting"), max_length=20, choices=Lead.MeetingStatus)
    starts_at = models.DateTimeField(_("meeting starts at"), null=True, blank=True)
    link = models.URLField(_("meeting link"), max_length=1000, blank=True)
    # Its time has gone by, and nobody has said how it went.
    awaits_result = models.BooleanField(_("awaits its result"), default=False)
    # Nobody but the agent had spoken with the lead when it was booked; None where that was not kept.
    is_by_agent = models.BooleanField(_("booked by the agent"), null=True, editable=False)
    # What the earliest news of it said, and of when that and the newest are.
    began_as = models.CharField(max_length=20, choices=Lead.MeetingStatus, editable=False)
    first_told_at = models.DateTimeField(editable=False)
    told_at = models.DateTimeField(_("told at"), editable=False)

    class Meta:
        verbose_name = _("meeting")
        verbose_name_plural = _("meetings")
        ordering = ("starts_at", "id")
        constraints = (models.UniqueConstraint(fields=["lead", "meeting_id"], name="meeting_once_per_lead"),)
        indexes = (
            models.Index(fields=["starts_at"], condition=models.Q(awaits_result=True), name="meeting_without_result"),
            # What the results count: when meetings were booked, and when they were held.
            models.Index(fields=["first_told_at"], name="meetings_by_booking"),
            models.Index(fields=["status", "starts_at"], name="meetings_by_status"),
        )

    def __str__(self) -> str:
        return f"{self.get_status_display()} {self.starts_at:%Y-%m-%d %H:%M}" if self.starts_at else self.meeting_id

    @property
    def is_booked(self) -> bool:
        return self.status in Lead.BOOKED
