from __future__ import annotations

from django.db import models


class WorkLease(models.Model):
    """The right of one worker to do one kind of work alone; it ends by itself when its holder dies."""

    name = models.CharField(max_length=100, unique=True)
    holder = models.CharField(max_length=100, blank=True)
    until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
