"""Ways in: where a messenger or a calendar tells us itself what was said and booked, and what it told."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from common.reasons.columns import ReasonField
from leads.encryption import EncryptedTextField
from leads.models import Lead, Pipeline


class Intake(models.Model):
    """A way in. Its address is `/intake/<slug>/<secret>/`; whoever knows it may tell us things."""

    class Kind(models.TextChoices):
        EVOLUTION = "evolution", "Evolution API"
        WAHA = "waha", "WAHA"
        ZAPI = "zapi", "Z-API"
        WHATSAPP_CLOUD = "whatsapp_cloud", "WhatsApp Cloud API"
        CHATWOOT = "chatwoot", "Chatwoot"
        CALCOM = "calcom", "Cal.com"
        CALENDLY = "calendly", "Calendly"

    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    slug = models.SlugField(_("short name"), max_length=50, unique=True)
    pipeline = models.ForeignKey(
        Pipeline,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("pipeline"),
        help_text=_("Empty: the default one"),
    )
    secret = EncryptedTextField()
    secret_hash = models.CharField(max_length=64, editable=False)
    # What the kind takes (bridge/intakes/source_kinds.py), as JSON: keys by which it proves who calls.
    settings = EncryptedTextField(blank=True, default="")
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    # The newest call that was taken, and the newest that was turned away because its signature was wrong or missing.
    heard_at = models.DateTimeField(_("last heard"), null=True, blank=True)
    refused_at = models.DateTimeField(_("last refused"), null=True, blank=True)

    class Meta:
        verbose_name = _("way in")
        verbose_name_plural = _("ways in")
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class IntakeCall(models.Model):
    """A stored call to a way in: untrusted, without keys of the other side, read later."""

    class State(models.TextChoices):
        RECEIVED = "received", _("received")
        PROCESSED = "processed", _("processed")
        FAILED = "failed", _("failed")

    intake = models.ForeignKey(Intake, models.CASCADE, related_name="calls", verbose_name=_("way in"))
    received_at = models.DateTimeField(_("received at"))
    body = models.BinaryField(_("body"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RECEIVED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    # Not read again before then.
    due_at = models.DateTimeField(_("due at"))
    error = ReasonField(_("error"), max_length=1000, blank=True)
    processed_at = models.DateTimeField(_("processed at"), null=True, blank=True)

    class Meta:
        verbose_name = _("call to a way in")
        verbose_name_plural = _("calls to ways in")
        indexes = (
            models.Index(fields=["due_at", "id"], condition=Q(state="received"), name="intake_inbox"),
            models.Index(fields=["-received_at"], name="intake_calls_newest"),
        )

    def __str__(self) -> str:
        return f"{self.pk} {self.get_state_display()}"


class IntakeItem(models.Model):
    """One thing a call told, and what became of it."""

    class Result(models.TextChoices):
        TAKEN = "taken", _("taken in")
        KNOWN = "known", _("known before")
        IGNORED = "ignored", _("about no lead")
        NOT_FOUND = "not_found", _("nobody was found whom it is about")
        FORGOTTEN = "forgotten", _("about a person who was erased: not kept")

    call = models.ForeignKey(IntakeCall, models.CASCADE, related_name="items")
    # What it is: a message, a status, a booking, or the other side's word for something else.
    what = models.CharField(_("what"), max_length=60)
    lead = models.ForeignKey(Lead, models.SET_NULL, null=True, related_name="told_by_ways_in", verbose_name=_("lead"))
    result = models.CharField(_("result"), max_length=10, choices=Result)
    reason = ReasonField(_("reason"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("thing told by a way in")
        verbose_name_plural = _("things told by ways in")

    def __str__(self) -> str:
        return f"{self.what} {self.get_result_display()}"
