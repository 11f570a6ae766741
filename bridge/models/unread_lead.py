from __future__ import annotations

from django.db import models

from bridge.models.account import Account
from common.reasons.columns import ReasonField


class UnreadLead(models.Model):
    """A lead of Kommo's that no card of ours shows, because it could not be taken in.

    Gone once it was, or is nobody's to take in any more. `next_at` is when it is read again.
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="unread_leads")
    kommo_lead_id = models.BigIntegerField()
    error = ReasonField(max_length=500)
    since = models.DateTimeField()
    tries = models.PositiveIntegerField(default=1)
    next_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["account", "kommo_lead_id"], name="one_row_per_unread_lead"),)

    def __str__(self) -> str:
        return f"{self.account}: lead {self.kommo_lead_id}"
