"""What was said to and by a lead, a row each."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q, Value
from django.utils.translation import gettext_lazy as _

from common.reasons.columns import ReasonField
from leads.models.lead import Lead


class Message(models.Model):
    """One message of a lead's conversation, whoever told of it, and by however many roads (leads/same_message.py)."""

    class Direction(models.TextChoices):
        INBOUND = "inbound", _("the lead")
        OUTBOUND = "outbound", _("the agent")
        STAFF = "staff", _("a person")
        BOT = "bot", _("another bot")

    class Kind(models.TextChoices):
        TEXT = "text", _("text")
        IMAGE = "image", _("image")
        AUDIO = "audio", _("audio")
        VIDEO = "video", _("video")
        DOCUMENT = "document", _("document")
        STICKER = "sticker", _("sticker")
        LOCATION = "location", _("location")
        CONTACT = "contact", _("contact")
        OTHER = "other", _("something else")

    class State(models.TextChoices):
        RECEIVED = "received", _("received")
        QUEUED = "queued", _("waits to be sent")
        SENT = "sent", _("sent")
        DELIVERED = "delivered", _("delivered")
        NOT_DELIVERED = "not_delivered", _("not delivered")
        REFUSED = "refused", _("refused")

    class Telling(models.TextChoices):
        """What the agent is told of a lead's message (leads/untold_messages.py).

        Empty: nothing, it knows or nobody listened.
        """

        NONE = "", "–"
        WAITING = "waiting", _("will be told to the agent")
        HELD = "held", _("held back: the agent may not speak")
        TOLD = "told", _("told to the agent")
        LEFT = "left", _("left to others")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="messages", verbose_name=_("lead"), db_index=False)
    # By the messenger's own name, in its one spelling (leads.same_message.plain_id); empty where nobody told it.
    message_id = models.CharField(_("message id"), max_length=250, blank=True)
    # What another road calls the same message.
    other_id = models.CharField(max_length=250, blank=True, default="", db_default="", editable=False)
    direction = models.CharField(_("written by"), max_length=10, choices=Direction)
    # The name of whoever wrote it, where it is a person of ours.
    author = models.CharField(_("author"), max_length=250, blank=True, default="", db_default="")
    # The slug of the way it came or left by; empty for what the agent alone told of.
    channel = models.CharField(_("channel"), max_length=100, blank=True, default="", db_default="")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.TEXT, db_default=Kind.TEXT)
    text = models.TextField(_("text"), blank=True)
    # [{"kind", "mime", "name", "reference"}]: where the file is to be had, never the file.
    attachments = models.JSONField(_("attachments"), default=list, db_default=Value([], models.JSONField()), blank=True)
    state = models.CharField(_("state"), max_length=15, choices=State)
    reason = ReasonField(_("reason"), max_length=500, blank=True, default="", db_default="")
    # When it was written.
    at = models.DateTimeField(_("at"))
    queued_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)
    # By which roads it was told: the agent's report, and an intake.
    is_reported = models.BooleanField(default=False, db_default=False, editable=False)
    is_heard = models.BooleanField(default=False, db_default=False, editable=False)

    telling = models.CharField(max_length=8, choices=Telling, blank=True, default="", db_default="", editable=False)
    # When it was heard, while it waits to be told.
    untold_since = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ("at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["lead", "message_id"], condition=~Q(message_id=""), name="message_once_per_lead"
            ),
        )
        indexes = (
            models.Index(fields=["lead", "at", "id"], name="conversation"),
            # Statuses name a message alone.
            models.Index(fields=["message_id"], condition=~Q(message_id=""), name="message_by_id"),
            models.Index(fields=["other_id"], condition=~Q(other_id=""), name="message_by_other_id"),
            models.Index(fields=["untold_since"], condition=Q(untold_since__isnull=False), name="messages_to_be_told"),
            models.Index(fields=["lead"], condition=Q(telling="held"), name="messages_held_back"),
            # The oldest are forgotten by it, and what the agent wrote is counted without a look at the rows.
            models.Index(fields=["at", "direction", "lead"], name="messages_by_time"),
        )

    def __str__(self) -> str:
        return f"{self.get_direction_display()}, {self.at:%Y-%m-%d %H:%M}"


class MessagePart(models.Model):
    """A piece of a message of ours that is too long for its channel, or whose lines leave one by one; in order.

    A message that leaves whole has one. By its own id the messenger tells of each part by itself.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("waits to be sent")
        # Handed to the channel by a process that has not said yet what became of it.
        SENDING = "sending", _("sending")
        SENT = "sent", _("sent")
        DELIVERED = "delivered", _("delivered")
        NOT_DELIVERED = "not_delivered", _("not delivered")
        # It may have left: the answer was lost on a way that would say it twice.
        UNCONFIRMED = "unconfirmed", _("not confirmed")
        REFUSED = "refused", _("refused")

    # After these the lead may have read it.
    MAY_HAVE_LEFT = (State.SENDING, State.SENT, State.DELIVERED, State.UNCONFIRMED)

    message = models.ForeignKey(Message, models.CASCADE, related_name="parts", db_index=False)
    position = models.PositiveSmallIntegerField()
    text = models.TextField(_("text"), blank=True)
    state = models.CharField(_("state"), max_length=15, choices=State, default=State.QUEUED)
    reason = ReasonField(_("reason"), max_length=500, blank=True)
    # By the messenger's own name, in its one spelling; empty until it is told.
    their_id = models.CharField(max_length=250, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)

    class Meta:
        verbose_name = _("part of a message")
        verbose_name_plural = _("parts of messages")
        ordering = ("message", "position")
        constraints = (models.UniqueConstraint(fields=["message", "position"], name="part_once_per_message"),)
        indexes = (models.Index(fields=["their_id"], condition=~Q(their_id=""), name="part_by_id"),)

    def __str__(self) -> str:
        return f"{self.message} ({self.position})"
