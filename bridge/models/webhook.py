"""What Kommo told us: stored before it is read."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from bridge.models.account import Account
from common.reasons.columns import ReasonField


class WebhookEvent(models.Model):
    """A stored call from Kommo: untrusted bytes, read later."""

    class State(models.TextChoices):
        RECEIVED = "received", _("received")
        PROCESSED = "processed", _("processed")
        FAILED = "failed", _("failed")

    class Cause(models.TextChoices):
        EMPTY = "empty", _("the body is empty")
        UNREADABLE = "unreadable", _("the body is no form")
        NOTHING_KNOWN = "nothing_known", _("the body names nothing we know")
        OTHER_ACCOUNT = "other_account", _("sent by another account")
        ITEM_FAILED = "item_failed", _("something in it could not be processed")
        PARKED = "parked", _("reading it ended without an outcome, again and again")

    account = models.ForeignKey(Account, models.CASCADE, related_name="webhook_events", verbose_name=_("account"))
    received_at = models.DateTimeField(_("received at"))
    headers = models.JSONField(_("headers"), default=dict)
    body = models.BinaryField(_("body"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RECEIVED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    # Why it failed, so that all of one cause can be processed again together; `error` says it in full.
    cause = models.CharField(_("cause"), max_length=20, choices=Cause, blank=True)
    error = models.TextField(_("error"), blank=True)
    processed_at = models.DateTimeField(_("processed at"), null=True, blank=True)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        indexes = (
            models.Index(fields=["account", "id"], condition=Q(state="received"), name="webhook_inbox"),
            models.Index(fields=["-received_at"], name="webhook_newest"),
            models.Index(fields=["cause"], condition=Q(state="failed"), name="webhooks_failed"),
        )

    def __str__(self) -> str:
        return f"{self.pk} {self.get_state_display()}"


class WebhookItem(models.Model):
    """One entity and action inside a webhook, with what became of it."""

    class Result(models.TextChoices):
        PENDING = "pending", _("pending")
        ADOPTED = "adopted", _("a person's change, adopted")
        ECHO = "echo", _("echo of our own write")
        UNCHANGED = "unchanged", _("nothing new")
        IGNORED = "ignored", _("not about a lead of ours")
        UNLINKED = "unlinked", _("of a chat that is no lead's yet")
        FAILED = "failed", _("failed")
        FORGOTTEN = "forgotten", _("about a person who was erased: not kept")

    event = models.ForeignKey(WebhookEvent, models.CASCADE, related_name="items")
    entity = models.CharField(_("entity"), max_length=20)
    action = models.CharField(_("action"), max_length=20)
    kommo_id = models.BigIntegerField(_("Kommo id"), null=True)
    data = models.JSONField(default=dict)
    result = models.CharField(_("result"), max_length=10, choices=Result, default=Result.PENDING)
    error = ReasonField(_("error"), max_length=1000, blank=True)

    class Meta:
        verbose_name = _("event in a webhook")
        verbose_name_plural = _("events in webhooks")
        indexes = (
            models.Index(fields=["event"], condition=Q(result="pending"), name="pending_items"),
            models.Index(fields=["event"], condition=Q(result="unlinked"), name="unlinked_chats"),
            models.Index(fields=["kommo_id"], name="items_of_a_kommo_id"),
        )

    def __str__(self) -> str:
        return f"{self.entity} {self.action} {self.kommo_id}"
