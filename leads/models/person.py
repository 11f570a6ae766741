"""What is kept of a person beside their leads: a wish that outlives them, and that they asked to be forgotten.

Nobody is named here: an address stands as its pseudonym (leads/pseudonyms.py), which tells nothing to whoever has the
database alone.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.reasons.columns import ReasonField
from leads.addresses import LONGEST_KEY
from leads.encryption import EncryptedTextField
from leads.models.lead import Lead


class PseudonymKey(models.Model):
    """The one key of all pseudonyms. It never changes: with it every opt-out would be lost.

    Kept here, and not derived from a setting, so that SECRET_KEY and FIELD_ENCRYPTION_KEYS can be rotated.
    """

    secret = EncryptedTextField()

    def __str__(self) -> str:
        return f"key {self.pk}"


class OptOut(models.Model):
    """A person who wants no more follow-ups, in any pipeline, whatever leads of theirs come later."""

    address = models.CharField(max_length=64, unique=True, editable=False)
    # To show who it is, while the person is known; empty once they were erased.
    phone_key = models.CharField(_("address"), max_length=LONGEST_KEY, blank=True, db_index=True)
    opted_out_at = models.DateTimeField(_("opted out at"))
    by = models.CharField(_("recorded by"), max_length=10, choices=Lead.Actor)
    reason = ReasonField(_("reason"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("opt-out")
        verbose_name_plural = _("opt-outs")

    def __str__(self) -> str:
        return self.phone_key or str(_("somebody who was erased"))


class Forgotten(models.Model):
    """A person who asked to be forgotten: what is told of them that is older than `at` is not kept."""

    address = models.CharField(max_length=64, unique=True, editable=False)
    at = models.DateTimeField(_("erased at"), db_index=True)

    class Meta:
        verbose_name = _("forgotten person")
        verbose_name_plural = _("forgotten people")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d}"


class ForgottenReport(models.Model):
    """A report about a forgotten person that was acted on before: when it is repeated it says nothing new."""

    mark = models.CharField(max_length=64, unique=True, editable=False)
    at = models.DateTimeField(_("erased at"), db_index=True)

    class Meta:
        verbose_name = _("report about a forgotten person")
        verbose_name_plural = _("reports about forgotten people")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d}"
