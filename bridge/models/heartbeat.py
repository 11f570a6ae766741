from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Heartbeat(models.Model):
    """The last sign that a worker's cluster really executes tasks, written by a task in that cluster."""

    worker = models.CharField(_("worker"), max_length=100, unique=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("worker heartbeat")
        verbose_name_plural = _("worker heartbeats")

    def __str__(self) -> str:
        return self.worker
