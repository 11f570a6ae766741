"""Ways out: by what messages reach a lead, and the messages that are on their way."""

from __future__ import annotations

from django.db import models
from django.db.models import Q, Value
from django.utils.translation import gettext_lazy as _

from common.reasons.columns import JSONWithReasonsField, ReasonField
from leads.encryption import EncryptedTextField
from leads.models import Lead, Message, Pipeline


class Channel(models.Model):
    """A way out. A pipeline's first is the one it names; when it fails, its others are tried in their order."""

    class Kind(models.TextChoices):
        AGENT = "agent", _("the agent itself")
        KOMMO_CHATS = "kommo_chats", _("Kommo: chats add-on")
        KOMMO_SALESBOT = "kommo_salesbot", _("Kommo: Salesbot")
        EVOLUTION = "evolution", "Evolution API"
        WAHA = "waha", "WAHA"
        ZAPI = "zapi", "Z-API"
        WHATSAPP_CLOUD = "whatsapp_cloud", "WhatsApp Cloud API"
        CHATWOOT = "chatwoot", "Chatwoot"
        LOG = "log", _("only the log")

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
    position = models.PositiveSmallIntegerField(
        _("position"), default=0, help_text=_("Of several, the lower is tried first.")
    )
    # What the kind takes (bridge/channels/channel_kinds.py), as JSON.
    settings = EncryptedTextField(blank=True, default="")
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    # The newest message it took, and the newest it did not, with why.
    sent_at = models.DateTimeField(_("last sent"), null=True, blank=True)
    failed_at = models.DateTimeField(_("last failure"), null=True, blank=True)
    failure = ReasonField(_("why"), max_length=500, blank=True)
    # Its quota is used up, or it refuses us: nothing is tried by it before then.
    rests_until = models.DateTimeField(_("rests until"), null=True, blank=True)

    class Meta:
        verbose_name = _("way out")
        verbose_name_plural = _("ways out")
        ordering = ("position", "id")

    def __str__(self) -> str:
        return self.slug


class Outgoing(models.Model):
    """A message of ours on its way, beside its row: by which channel, when it is looked at next, and who is at it.

    What was said is in `leads.Message`, what of it has left in its parts. `due` while something is to be done: a part
    to be sent, or a proof to be waited for.
    """

    class State(models.TextChoices):
        DUE = "due", _("on its way")
        ENDED = "ended", _("ended")

    message = models.OneToOneField(
        Message, models.CASCADE, primary_key=True, related_name="outgoing", verbose_name=_("message")
    )
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="outgoing", verbose_name=_("lead"), db_index=False)
    channel = models.ForeignKey(
        Channel, models.SET_NULL, null=True, related_name="outgoing", verbose_name=_("way out"), db_index=False
    )
    # By this one or by none: the agent named it.
    is_fixed = models.BooleanField(default=False, editable=False)
    template_id = models.CharField(_("approved template"), max_length=200, blank=True)
    # The follow-up it is (followups.Attempt); empty for what the agent asked for.
    attempt_id = models.UUIDField(null=True, unique=True, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DUE)
    created_at = models.DateTimeField(_("created at"))
    due_at = models.DateTimeField(_("next look"))
    # Nobody else is at it before then.
    held_until = models.DateTimeField(null=True, blank=True, editable=False)
    holder = models.CharField(max_length=120, blank=True, editable=False)
    # By the channel of now.
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    reason = ReasonField(_("why it waits"), max_length=500, blank=True)
    # What was tried before: [{"channel", "reason", "at"}].
    tried = JSONWithReasonsField(_("tried before"), default=list, db_default=Value([], models.JSONField()), blank=True)
    # What could not leave as it was meant: sentences for whoever wrote it.
    changes = models.JSONField(_("changed"), default=list, db_default=Value([], models.JSONField()), blank=True)
    # Until when the part that left last may prove that it arrived.
    proof_until = models.DateTimeField(null=True, blank=True, editable=False)
    # What the agent was told last of what became of it.
    told = models.CharField(max_length=15, blank=True, default="", db_default="", editable=False)
    # It stands in the conversation: the lead has, as far as we know, read some of it.
    is_counted = models.BooleanField(default=False, db_default=False, editable=False)

    class Meta:
        verbose_name = _("message on its way")
        verbose_name_plural = _("messages on their way")
        indexes = (
            models.Index(fields=["due_at"], condition=Q(state="due"), name="outgoing_due"),
            models.Index(fields=["lead", "created_at"], name="outgoing_of_lead"),
            models.Index(fields=["channel", "created_at"], name="outgoing_by_channel"),
            models.Index(fields=["-created_at"], name="outgoing_newest"),
        )

    def __str__(self) -> str:
        return f"{self.message}"
