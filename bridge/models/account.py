"""A Kommo account: how to reach it, whether to, and who is at it now."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from bridge.encryption import EncryptedTextField
from bridge.kommo import token_expiry
from common.reasons.columns import ReasonField
from leads.models import Pipeline


class Account(models.Model):
    """One Kommo account. At most one worker drains it at a time: whoever holds the lease."""

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        SHADOW = "shadow", _("shadow: compute and show, write nothing")
        PAUSED = "paused", _("paused")

    class PausedBy(models.TextChoices):
        # Stays until a person resumes it.
        PERSON = "person", _("a person")
        # Refused us: tried again, gently, until it answers.
        KOMMO = "kommo", "Kommo"

    name = models.CharField(_("name"), max_length=200)
    base_url = models.URLField(_("address"), unique=True, help_text="https://acme.kommo.com")
    kommo_account_id = models.BigIntegerField(_("Kommo account id"), null=True, blank=True)
    kommo_user_id = models.BigIntegerField(_("our user in Kommo"), null=True, blank=True)

    access_token = EncryptedTextField(_("access token"), blank=True)
    token_expires_at = models.DateTimeField(_("token expires at"), null=True, blank=True)
    client_id = models.CharField(_("integration id"), max_length=200, blank=True)
    client_secret = EncryptedTextField(_("integration secret"), blank=True)
    redirect_uri = models.URLField(_("redirect address"), blank=True)
    refresh_token = EncryptedTextField(_("refresh token"), blank=True)
    # Kept until the pair that replaced it has been used: Kommo still takes it when our answer was lost.
    previous_refresh_token = EncryptedTextField(blank=True, editable=False)

    state = models.CharField(_("state"), max_length=10, choices=State, default=State.ACTIVE)
    state_reason = ReasonField(_("reason"), max_length=500, blank=True)
    # What to go back to when the pause ends.
    state_before_pause = models.CharField(max_length=10, choices=State, default=State.ACTIVE, editable=False)
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True)
    paused_by = models.CharField(_("paused by"), max_length=10, choices=PausedBy, blank=True, db_default="", default="")
    # Of a pause by Kommo's doing: when it is asked again.
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    # How often in a row Kommo has refused us: the waits grow with it.
    refusals = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    # Since when nothing is written and nothing said to anybody; kept through a pause.
    shadow_since = models.DateTimeField(_("in shadow since"), null=True, blank=True)

    requests_per_second = models.PositiveSmallIntegerField(
        _("requests per second"), default=7, validators=[MinValueValidator(1), MaxValueValidator(50)]
    )
    batch_size = models.PositiveSmallIntegerField(
        _("batch size"), default=50, validators=[MinValueValidator(1), MaxValueValidator(250)]
    )
    # Shrunk by 504 and 422, grown back by success.
    batch_limit = models.PositiveSmallIntegerField(default=250, editable=False)
    # Bulk work leaves the slots alone until then, because a live call found none free.
    live_waits_until = models.DateTimeField(null=True, blank=True, editable=False)
    # Calls in a row that Kommo did not answer, and until when all calls wait because of it.
    failures = models.PositiveIntegerField(default=0, editable=False)
    retry_at = models.DateTimeField(_("calls wait until"), null=True, blank=True)
    # How long calls take, by the machine that made them: {"address", "at", "kinds"}, see bridge/accounts/rate_limit.py.
    distances = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), blank=True, editable=False
    )
    # As the account's settings tell it: dates are days there. Empty: not told yet.
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, db_default="", default="", editable=False)
    # The money of its sale values, as the account's settings tell it: BRL. Empty: not told yet.
    currency = models.CharField(_("currency"), max_length=3, blank=True, db_default="", default="", editable=False)
    # How this very account was seen to behave (bridge/account_traits.py); what is missing is not known.
    traits = models.JSONField(
        _("traits"), default=dict, db_default=models.Value({}, models.JSONField()), blank=True, editable=False
    )
    bridge_id_field_id = models.BigIntegerField(_("id of the field “Bridge ID”"), null=True, blank=True)

    webhook_secret = EncryptedTextField(blank=True, editable=False)
    webhook_secret_hash = models.CharField(max_length=64, blank=True, db_index=True, editable=False)
    webhook_destination = EncryptedTextField(blank=True, editable=False)
    webhook_checked_at = models.DateTimeField(_("subscription checked at"), null=True, blank=True)
    webhook_heard_at = models.DateTimeField(_("last webhook"), null=True, blank=True)
    # When a comparison last found a change that no webhook had told of.
    webhook_missed_at = models.DateTimeField(_("last change no webhook told of"), null=True, blank=True)
    webhook_problem = ReasonField(_("webhook problem"), max_length=300, blank=True)
    # Kommo's own clock: how far the poll of changes and of the events feed has read.
    polled_until = models.DateTimeField(_("polled until"), null=True, blank=True)
    events_read_until = models.DateTimeField(null=True, blank=True, editable=False)
    # Our clock: when the events feed was last asked whether a person replied in a chat.
    takeovers_looked_at = models.DateTimeField(_("last look for takeovers"), null=True, blank=True)
    polled_at = models.DateTimeField(_("last poll"), null=True, blank=True)
    # Set by kommo_connect: before it, there is nothing to compare.
    connected_at = models.DateTimeField(_("connected at"), null=True, blank=True)
    compared_at = models.DateTimeField(_("last full comparison"), null=True, blank=True)
    # A full comparison under way: since when, and how far it has come, so that whoever takes it up goes on from there.
    comparing_since = models.DateTimeField(_("comparing since"), null=True, blank=True)
    comparing_at = models.JSONField(default=dict, blank=True, editable=False)
    # What the first comparison has found so far: {"read", "taken_in", "left": {why: count}, "seconds": [Kommo ids]}.
    first_comparison = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), blank=True, editable=False
    )

    # How far the list of deleted leads was read: the page to go on with, and Kommo's time of the newest one seen.
    trash_page = models.PositiveIntegerField(default=1, db_default=1, editable=False)
    trash_newest = models.DateTimeField(null=True, blank=True, editable=False)
    trash_read_until = models.DateTimeField(null=True, blank=True, editable=False)

    lease_holder = models.CharField(max_length=100, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    nudged_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("Kommo account")
        verbose_name_plural = _("Kommo accounts")
        # What pages may do beyond adding, changing and deleting rows: see bridge/roles.py.
        permissions = (
            ("operate", "Can send again, pause, resume, move, hold and cancel"),
            ("export", "Can take lists out as files"),
        )

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Account {self.pk} {self.base_url}>"

    def save(self, **kwargs: Any) -> None:
        """Save, with the end of the access token as the token itself tells it, wherever it came from."""
        columns = kwargs.get("update_fields")
        if columns is None or "access_token" in columns:
            if ends_at := token_expiry.expiry(self.access_token):
                self.token_expires_at = ends_at
            elif not self.refresh_token:
                self.token_expires_at = None
            if columns is not None:
                kwargs["update_fields"] = {*columns, "token_expires_at"}
        super().save(**kwargs)

    @property
    def is_silent(self) -> bool:
        """Say whether it only shows what it would do: in shadow, or paused while it was."""
        if self.state == self.State.PAUSED:
            return self.state_before_pause == self.State.SHADOW
        return self.state == self.State.SHADOW

    @property
    def may_create(self) -> bool:
        """Say whether new cards may be made: only once it is known who is in Kommo already."""
        return self.compared_at is not None


class AccountPipeline(models.Model):
    """Which account holds the cards of a pipeline."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="pipeline_links")
    pipeline = models.OneToOneField(Pipeline, models.CASCADE, related_name="account_link")

    class Meta:
        verbose_name = _("pipeline of an account")
        verbose_name_plural = _("pipelines of an account")

    def __str__(self) -> str:
        return f"{self.pipeline} @ {self.account}"


class CallSlot(models.Model):
    """One of the N calls an account may make in a second (see bridge/kommo/throttle.py)."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="call_slots")
    number = models.PositiveSmallIntegerField()
    free_at = models.DateTimeField()
    permit = models.CharField(max_length=36, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["account", "number"], name="slot_once_per_account"),)
        indexes = (models.Index(fields=["account", "free_at"], name="next_free_slot"),)

    def __str__(self) -> str:
        return f"{self.account_id}/{self.number}"


class Catalogue(models.Model):
    """What the account has, as Kommo last told it: pipelines with statuses, custom fields, users, loss reasons."""

    account = models.OneToOneField(Account, models.CASCADE, related_name="catalogue")
    pipelines = models.JSONField(default=list)
    lead_fields = models.JSONField(default=list)
    contact_fields = models.JSONField(default=list)
    users = models.JSONField(default=list)
    loss_reasons = models.JSONField(default=list)
    fetched_at = models.DateTimeField()

    class Meta:
        verbose_name = _("catalogue")
        verbose_name_plural = _("catalogues")

    def __str__(self) -> str:
        return str(self.account)

    def status(self, pipeline_id: int | None, status_id: int | None) -> dict[str, Any] | None:
        """Return Kommo's status by both its ids: 142 and 143 exist in every pipeline."""
        for pipeline in self.pipelines:
            if pipeline["id"] == pipeline_id:
                return next((status for status in pipeline["statuses"] if status["id"] == status_id), None)
        return None
