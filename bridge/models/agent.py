"""The agent as a client of our API: its keys, its repeated requests, and what we tell it."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from common.reasons.columns import ReasonField
from leads.models import Lead, Pipeline


class ApiKey(models.Model):
    """A key an agent calls us with. Only its hash is kept. may_act: the tools of /mcp/ may change something."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    prefix = models.CharField(_("starts with"), max_length=12)
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    pipeline = models.ForeignKey(
        Pipeline, models.CASCADE, null=True, blank=True, verbose_name=_("only for pipeline"), related_name="+"
    )
    may_act = models.BooleanField(
        _("its tools may act"),
        default=False,
        db_default=False,
        help_text=_("At /mcp/ an assistant with this key may hand leads over, give them back and hold follow-ups."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return self.name

    @property
    def is_authenticated(self) -> bool:
        return True


class IdempotencyRecord(models.Model):
    """The first answer to a request, given again when the request is repeated within 48 hours."""

    KEPT_FOR = timedelta(hours=48)

    key = models.CharField(max_length=300, unique=True)
    fingerprint = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField()
    answer = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key


class AgentEvent(models.Model):
    """Something the agent is told at AGENT_WEBHOOK_URL; its id is the `webhook-id` of every try."""

    class State(models.TextChoices):
        DUE = "due", _("due")
        DELIVERED = "delivered", _("delivered")
        DEAD = "dead", _("given up")
        DROPPED = "dropped", _("not told any more")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="agent_events")
    type = models.CharField(_("type"), max_length=40)
    data = models.JSONField(_("data"), default=dict)
    created_at = models.DateTimeField(_("created at"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DUE)
    due_at = models.DateTimeField(_("due at"))
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    status_code = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    error = ReasonField(_("error"), max_length=1000, blank=True)
    # Of the newest tries, oldest first: `at` (ISO 8601), `status` (HTTP, None without an answer), `error`, `seconds`.
    tries = models.JSONField(null=True, editable=False)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)
    # Whose process is sending it just now, as `process_identity.process()` names it.
    holder = models.CharField(max_length=120, blank=True, default="", db_default="", editable=False)

    class Meta:
        verbose_name = _("event for the agent")
        verbose_name_plural = _("events for the agent")
        indexes = (
            models.Index(fields=["due_at"], condition=Q(state="due"), name="agent_events_due"),
            models.Index(fields=["-created_at"], name="agent_events_newest"),
            models.Index(fields=["created_at"], condition=Q(state="dead"), name="agent_events_given_up"),
        )

    def __str__(self) -> str:
        return self.type
