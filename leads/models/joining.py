"""Leads that turned out to be one person, and leads that probably are."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from leads.models.lead import Lead


class JoinedLead(models.Model):
    """A lead that is another one by now: whoever still knows it by its id is answered with that one."""

    former_id = models.UUIDField(unique=True, editable=False)
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="joined", verbose_name=_("lead"))
    joined_at = models.DateTimeField(_("joined at"))
    # The card it left behind, which shows nobody any more: it is not taken in again.
    kommo_lead_id = models.BigIntegerField(null=True, blank=True, db_index=True)

    class Meta:
        verbose_name = _("joined lead")
        verbose_name_plural = _("joined leads")

    def __str__(self) -> str:
        return str(self.former_id)


class ProbablySame(models.Model):
    """Two leads that an address calls one person, each with a card of its own: a person decides."""

    older = models.ForeignKey(Lead, models.CASCADE, related_name="+", verbose_name=_("older lead"))
    younger = models.ForeignKey(Lead, models.CASCADE, related_name="+", verbose_name=_("younger lead"))
    # Keys of the addresses that were told together of one person (leads/addresses.py).
    evidence = models.JSONField(_("evidence"), default=list)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    # Staff have said that they are two people.
    are_two = models.BooleanField(_("two people"), default=False)

    class Meta:
        verbose_name = _("probably the same")
        verbose_name_plural = _("probably the same")
        constraints = (
            models.UniqueConstraint(fields=["older", "younger"], name="probably_same_once"),
            models.CheckConstraint(condition=~Q(older=F("younger")), name="probably_same_are_two_leads"),
        )

    def __str__(self) -> str:
        return f"{self.older} / {self.younger}"
