from __future__ import annotations

from django.db import models


class Figure(models.Model):
    """A running total, kept in the database because many processes add to it and any may be asked."""

    name = models.CharField(max_length=60)
    # Label values in the metric's order, joined by a line break.
    labels = models.CharField(max_length=120, blank=True)
    value = models.FloatField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["name", "labels"], name="figure_once"),)

    def __str__(self) -> str:
        return f"{self.name} {self.labels}"
