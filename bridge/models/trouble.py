from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from bridge.models.account import Account
from common.reasons.columns import ReasonField


class Trouble(models.Model):
    """Something an account cannot do at present: a feature Kommo refuses us, or work that keeps failing.

    Gone once it works again. While the row stands, `next_at` is when it is tried next.
    """

    class Subject(models.TextChoices):
        # Side calls, by what they are for: the values of bridge.kommo.what_an_error_stops.Purpose.
        CONTACTS = "contacts", _("contacts")
        NOTES = "notes", _("notes for sellers")
        TASKS = "tasks", _("tasks for sellers")
        SALESBOT = "salesbot", _("Salesbot")
        EVENTS = "events", _("events feed")
        WEBHOOKS = "webhooks", _("webhook subscription")
        USERS = "users", _("list of users")
        LOSS_REASONS = "loss_reasons", _("reasons of lost leads")
        # Work of ours that takes several calls.
        COMPARE = "compare", _("comparison with Kommo")
        INBOX = "inbox", _("reading of webhooks")
        CATALOGUE = "catalogue", _("stages and fields")
        HIDDEN = "hidden", _("leads that are not shown")
        ROBOTS = "robots", _("another robot answers our leads")
        CREATES = "creates", _("new leads")
        PLAN = "plan", _("room in Kommo's plan")
        STAGES = "stages", _("stages made or renamed in Kommo")

    account = models.ForeignKey(Account, models.CASCADE, related_name="troubles", verbose_name=_("account"))
    subject = models.CharField(_("what"), max_length=20, choices=Subject)
    # Kommo said no, and will until somebody changes something; otherwise it may pass by itself.
    refused = models.BooleanField(_("refused"), default=False)
    reason = ReasonField(_("reason"), max_length=500)
    since = models.DateTimeField(_("since"))
    tries = models.PositiveIntegerField(_("tries"), default=1)
    next_at = models.DateTimeField(_("next try"))

    class Meta:
        verbose_name = _("trouble with Kommo")
        verbose_name_plural = _("troubles with Kommo")
        constraints = (models.UniqueConstraint(fields=["account", "subject"], name="one_trouble_per_subject"),)

    def __str__(self) -> str:
        return f"{self.account}: {self.get_subject_display()}"
