"""Further numbers of a person: a lead is found by any of them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models.lead import Lead
from leads.models.pipeline import Pipeline


class FurtherPhone(models.Model):
    """A number of a lead beside the one on its row. In a pipeline a number is one person's."""

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="further_phones", verbose_name=_("lead"))
    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_index=False)
    phone = models.CharField(_("phone"), max_length=20, help_text="E.164")
    phone_key = models.CharField(max_length=20, editable=False)
    # Where it stands, in words of whoever told of it: what is not there any more is forgotten.
    seen_in = models.CharField(max_length=40, editable=False)
    first_seen_at = models.DateTimeField(_("first seen"))

    class Meta:
        verbose_name = _("further phone")
        verbose_name_plural = _("further phones")
        constraints = (models.UniqueConstraint(fields=["pipeline", "phone_key"], name="further_phone_of_one_person"),)
        indexes = (models.Index(fields=["phone_key"], name="lead_by_further_phone"),)

    def __str__(self) -> str:
        return self.phone
