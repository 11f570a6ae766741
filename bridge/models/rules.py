"""Rules on their way to the leads: drafts nobody feels yet, what held before, and moves staff asked for afterwards."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models import Pipeline


class RulesDraft(models.Model):
    """What staff are preparing for a pipeline: a whole configuration document that holds for nobody yet.

    base: the document that held when the draft was begun, so that what others change meanwhile is not undone.
    """

    pipeline = models.OneToOneField(Pipeline, models.CASCADE, related_name="draft", verbose_name=_("pipeline"))
    document = models.TextField(editable=False)
    base = models.TextField(editable=False)
    # What publishing asks of Kommo besides, by the keys of stages (bridge/configuration/stages_wanted_in_kommo.py).
    in_kommo = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), editable=False)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    started_at = models.DateTimeField(_("started"))
    saved_at = models.DateTimeField(_("saved"))

    class Meta:
        verbose_name = _("draft of rules")
        verbose_name_plural = _("drafts of rules")

    def __str__(self) -> str:
        return str(self.pipeline)


class RulesRevision(models.Model):
    """A pipeline's whole configuration as it held from one moment on; append-only."""

    class Origin(models.TextChoices):
        FIRST = "first", _("first version")
        PUBLISHED = "published", _("published")
        ROLLED_BACK = "rolled_back", _("rolled back")
        MAPPED = "mapped", _("mapped with one click")
        FOUND = "found", _("changed directly")

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="revisions", verbose_name=_("pipeline"))
    number = models.PositiveIntegerField(_("number"))
    document = models.TextField(editable=False)
    # Of the document: whether it still holds is asked often, and the text is long.
    digest = models.CharField(max_length=64, editable=False)
    origin = models.CharField(_("how"), max_length=20, choices=Origin)
    restored = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("restored")
    )
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    # Kept beside the author: it must be readable after the user is gone, and a command has a name and no user.
    author_name = models.CharField(_("author"), max_length=200, blank=True)
    comment = models.CharField(_("comment"), max_length=500, blank=True)
    # The parts that differ from the revision before (bridge/configuration/touched_parts.py). None: made before these
    # were kept.
    touched = models.JSONField(null=True, editable=False)
    created_at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("revision of rules")
        verbose_name_plural = _("revisions of rules")
        ordering = ("pipeline", "-number")
        constraints = (models.UniqueConstraint(fields=["pipeline", "number"], name="revision_once_per_pipeline"),)

    def __str__(self) -> str:
        return f"{self.pipeline} {self.number}"


class Reevaluation(models.Model):
    """Leads asked again where they belong, because staff wanted new rules to reach them too.

    cursor: everybody up to this lead has been looked at, so a worker that dies goes on where it was.
    """

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="reevaluations", verbose_name=_("pipeline"))
    asked_by = models.CharField(_("asked by"), max_length=200)
    asked_at = models.DateTimeField(_("asked at"))
    # The rules before: with them, also those go back whom nothing but the order of the stages holds (see
    # leads.reconsideration.destination).
    former = models.ForeignKey(RulesRevision, models.SET_NULL, null=True, related_name="+")
    total = models.PositiveIntegerField(default=0)
    looked = models.PositiveIntegerField(_("looked at"), default=0)
    moved = models.PositiveIntegerField(_("moved"), default=0)
    cursor = models.UUIDField(null=True, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    stopped_by = models.CharField(_("stopped by"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("re-evaluation")
        verbose_name_plural = _("re-evaluations")
        indexes = (models.Index(fields=["id"], condition=models.Q(ended_at=None), name="reevaluations_open"),)

    def __str__(self) -> str:
        return f"{self.pipeline} {self.asked_at:%Y-%m-%d %H:%M}"
