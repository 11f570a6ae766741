"""Further addresses of a person: a lead is found by any of them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.addresses import LONGEST_KEY
from leads.models.lead import Lead
from leads.models.pipeline import Pipeline


class FurtherAddress(models.Model):
    """An address of a lead beside the one on its row (leads/addresses.py). In a pipeline an address is one person's."""

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="further_addresses", verbose_name=_("lead"))
    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_index=False)
    # The columns keep their first names, for the version that is still serving: once all were phones.
    value = models.CharField(_("address"), max_length=LONGEST_KEY, db_column="phone")
    key = models.CharField(max_length=LONGEST_KEY, editable=False, db_column="phone_key")
    # Where it stands, in words of whoever told of it: a number that is not on a contact any more is forgotten.
    seen_in = models.CharField(_("first seen in"), max_length=40, editable=False)
    first_seen_at = models.DateTimeField(_("first seen"))

    class Meta:
        db_table = "leads_furtherphone"
        verbose_name = _("further address")
        verbose_name_plural = _("further addresses")
        constraints = (models.UniqueConstraint(fields=["pipeline", "key"], name="further_phone_of_one_person"),)
        indexes = (models.Index(fields=["key"], name="lead_by_further_phone"),)

    def __str__(self) -> str:
        return self.value
