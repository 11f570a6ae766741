from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models import Stage


class StageInKommo(models.Model):
    """What Kommo calls a stage of ours, as staff last knew it, and what they want done about it there.

    A name in Kommo that is another by now was given by somebody there: it is told, and never written over.
    """

    class Wish(models.TextChoices):
        NOTHING = "", _("nothing")
        CREATE = "create", _("create it in Kommo")
        RENAME = "rename", _("rename it in Kommo")

    stage = models.OneToOneField(Stage, models.CASCADE, primary_key=True, related_name="in_kommo")
    # The stage of Kommo that is called so: another binding is another name.
    kommo_status_id = models.BigIntegerField(null=True, editable=False)
    name = models.CharField(_("name in Kommo"), max_length=255, blank=True)
    wish = models.CharField(
        _("what is to be done there"), max_length=10, choices=Wish, blank=True, default=Wish.NOTHING
    )
    wished_name = models.CharField(max_length=255, blank=True)
    wished_by = models.CharField(_("asked by"), max_length=200, blank=True)
    wished_at = models.DateTimeField(_("asked at"), null=True, blank=True)
    # Why it was not done.
    answer = models.CharField(_("why not"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("stage in Kommo")
        verbose_name_plural = _("stages in Kommo")
        indexes = (models.Index(fields=["stage"], condition=~models.Q(wish=""), name="stages_to_do_in_kommo"),)

    def __str__(self) -> str:
        return f"{self.stage}: {self.name}"
