"""What somebody looks at again and again: a list as it was narrowed, under a name."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

MOST_OF_ONE_PERSON = 30


class SavedView(models.Model):
    """A list of leads as its address narrows and sorts it. Shared, all see it; only its owner changes it."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_views", verbose_name=_("owner"), db_index=False
    )
    name = models.CharField(_("name"), max_length=60)
    # What follows the “?” of the list's address.
    query = models.CharField(_("what it shows"), max_length=1000, blank=True)
    is_shared = models.BooleanField(_("shared with the team"), default=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        ordering = ("name", "id")
        constraints = (models.UniqueConstraint(fields=["owner", "name"], name="view_once_per_owner_and_name"),)

    def __str__(self) -> str:
        return self.name
