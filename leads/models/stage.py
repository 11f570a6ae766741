"""The stages of a pipeline: in their order, which of them pause the agent, and how each is bound to Kommo."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from leads.models.pipeline import Pipeline


class Stage(models.Model):
    """A lead's place in a pipeline, bound to a status in Kommo by its id and never by its name."""

    class Kind(models.TextChoices):
        OPEN = "open", _("open")
        WON = "won", _("won")
        LOST = "lost", _("lost")

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="stages", verbose_name=_("pipeline"))
    key = models.SlugField(_("key"), max_length=60, allow_unicode=False)
    name = models.CharField(_("name"), max_length=200)
    rank = models.PositiveSmallIntegerField(
        _("rank"), help_text=_("Automatically, a lead only moves to a higher rank.")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.OPEN)
    reachable_from_anywhere = models.BooleanField(_("can receive leads from any stage"), default=False)
    protected = models.BooleanField(
        _("protected"), default=False, help_text=_("Only a person takes a lead out of this stage.")
    )
    pauses_agent = models.BooleanField(_("pauses the agent"), default=False)
    tells_staff = models.BooleanField(
        _("tells staff"),
        default=True,
        db_default=True,
        help_text=_(
            "When the agent stops answering here, the seller gets a note and a task. Off: it stops answering, "
            "nothing more."
        ),
    )
    always_visit = models.BooleanField(
        _("always visit"),
        default=False,
        help_text=_("Deliver this stage to Kommo as a step of its own, so that its automations run."),
    )
    on_reply = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("stage after a reply")
    )
    loss_reason = models.CharField(
        _("loss reason"), max_length=200, blank=True, help_text=_("Given to Kommo with a move to lost.")
    )
    kommo_status_id = models.BigIntegerField(_("Kommo status id"), null=True, blank=True)
    history = HistoricalRecords()
    # Whether it paused the agent before it was saved just now (leads/signals.py).
    paused_before: bool
    # The stage of Kommo it was bound to before that (bridge/signals.py).
    bound_before: int | None

    class Meta:
        verbose_name = _("stage")
        verbose_name_plural = _("stages")
        ordering = ("pipeline", "rank", "id")
        constraints = (
            models.UniqueConstraint(fields=["pipeline", "key"], name="stage_key_once_per_pipeline"),
            models.UniqueConstraint(fields=["pipeline", "kommo_status_id"], name="status_bound_once_per_pipeline"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_alive(self) -> bool:
        """Say whether a sale may still come of those that stand here: with the agent or a person, and not given up."""
        return self.kind == self.Kind.OPEN and not self.reachable_from_anywhere

    @property
    def is_only_silent(self) -> bool:
        """Say whether the agent is silent here and no person is asked to speak in its place."""
        return self.pauses_agent and not self.tells_staff
