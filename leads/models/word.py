"""The words of leads' names, by which people are found however their names are typed."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models.lead import Lead


class NameWord(models.Model):
    """A word of a lead's name as `common.name_spellings.name_key` spells it: without case and accents.

    Rows of their own, written when a name is learned and never again: an index over the lead's own row would have an
    entry more with every interaction.
    """

    LONGEST = 40

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="name_words", db_index=False)
    word = models.CharField(_("word"), max_length=LONGEST)

    class Meta:
        verbose_name = _("word of a name")
        verbose_name_plural = _("words of names")
        constraints = (models.UniqueConstraint(fields=["lead", "word"], name="word_once_per_lead"),)
        indexes = (
            # By its beginning, whatever the database's own order of letters.
            models.Index(fields=["word", "lead"], opclasses=["varchar_pattern_ops", "uuid_ops"], name="leads_by_word"),
        )

    def __str__(self) -> str:
        return self.word
