from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models import Pipeline


class WeeklyMail(models.Model):
    """Somebody's wish for last week's results by e-mail, in their language; the row is taken back with the wish."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="weekly_mail")
    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_index=False)
    language = models.CharField(_("language"), max_length=10)
    # Monday of the week whose mail was last claimed: whoever claims it sends it, and nobody twice.
    sent_for = models.DateField(_("sent for the week of"), null=True, blank=True)
    # Why the last one could not be handed over; it is not tried again, for it may have arrived.
    failed = models.CharField(_("failed"), max_length=300, blank=True, default="", db_default="")

    class Meta:
        verbose_name = _("weekly e-mail")
        verbose_name_plural = _("weekly e-mails")

    def __str__(self) -> str:
        return str(self.user)
