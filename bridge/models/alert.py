from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Alert(models.Model):
    """One trouble that staff are, or soon will be, told about: what, since when, and whether they know."""

    # What tells one trouble from another, from one look to the next.
    subject = models.CharField(_("subject"), max_length=200, unique=True)
    message = models.CharField(_("message"), max_length=500)
    remedy = models.CharField(_("remedy"), max_length=500)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    # Looks in a row that found it.
    times_seen = models.PositiveIntegerField(_("times seen"), default=1)
    told_at = models.DateTimeField(_("staff told at"), null=True, blank=True)
    # A telling that failed is tried again.
    telling_failed = models.CharField(_("telling failed"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")

    def __str__(self) -> str:
        return self.subject
