"""What is said when nobody answers, who is on the way through it, and what was said."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from common.reasons.columns import ReasonField
from leads.addresses import LONGEST_KEY
from leads.models import Lead, Pipeline, Stage


class Sequence(models.Model):
    """Messages in order, with what starts them. Leads on their way keep the version they started with."""

    class StartsOn(models.TextChoices):
        AGENT_UNANSWERED = "agent_unanswered", _("our last message is not answered")
        MEETING_SCHEDULED = "meeting_scheduled", _("a meeting is booked")

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="sequences", verbose_name=_("pipeline"))
    slug = models.SlugField(_("slug"), max_length=60)
    name = models.CharField(_("name"), max_length=200, blank=True)
    starts_on = models.CharField(_("starts when"), max_length=30, choices=StartsOn)
    stop_stages = models.ManyToManyField(
        Stage,
        blank=True,
        related_name="+",
        verbose_name=_("further stages that stop it"),
        help_text=_("It always stops with an answer, a handoff, an opt-out, a disqualification, won and lost."),
    )
    give_up_after = models.DurationField(
        _("give up after"), null=True, blank=True, help_text=_("Silence after the last message.")
    )
    give_up_stage = models.ForeignKey(
        Stage, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("stage when given up")
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("An inactive sequence takes nobody in and sends nothing.")
    )
    history = HistoricalRecords(m2m_fields=[stop_stages])

    class Meta:
        verbose_name = _("sequence")
        verbose_name_plural = _("sequences")
        ordering = ("pipeline", "id")
        constraints = (
            models.UniqueConstraint(fields=["pipeline", "slug"], name="sequence_once_per_pipeline"),
            models.CheckConstraint(
                condition=Q(give_up_after=None) | Q(starts_on="agent_unanswered"),
                name="only_silence_is_given_up",
                violation_error_message=_("Only a sequence that waits for an answer can end without one."),
            ),
        )

    def __str__(self) -> str:
        return self.name or self.slug


class Step(models.Model):
    """One message of a sequence: so long after our last one, or so long before the meeting."""

    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(_("position"))
    delay = models.DurationField(_("after our last message"), null=True, blank=True)
    before = models.DurationField(_("before the meeting"), null=True, blank=True)
    text = models.TextField(
        _("text"),
        max_length=4000,
        blank=True,
        help_text=_("Liquid, for example: Olá {{ first_name }}, tudo bem? Empty where the agent finds the words."),
    )
    instruction = models.TextField(
        _("instruction for the agent"),
        max_length=4000,
        blank=True,
        default="",
        db_default="",
        help_text=_("In place of a text: what the agent is to speak of. It finds the words."),
    )
    template_id = models.CharField(
        _("approved template"),
        max_length=200,
        blank=True,
        help_text=_("WhatsApp takes only approved templates 24 hours after the lead's last message."),
    )
    max_lateness = models.DurationField(
        _("not later than"),
        null=True,
        blank=True,
        help_text=_("A step later than this is left out. Empty: 12 hours; reminders: until the meeting."),
    )
    only_on_time = models.BooleanField(
        _("only on time"),
        default=False,
        db_default=False,
        help_text=_("Left out where the hours would move it to another moment."),
    )
    weekdays = models.JSONField(
        _("only on"), default=list, blank=True, help_text=_("mon, tue, … Empty: as the pipeline says.")
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ("sequence", "position")
        constraints = (
            models.UniqueConstraint(fields=["sequence", "position"], name="step_position_once"),
            models.CheckConstraint(
                condition=Q(delay__isnull=True, before__isnull=False) | Q(delay__isnull=False, before__isnull=True),
                name="step_has_one_time",
                violation_error_message=_("Give either the time after our message or the time before the meeting."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.sequence} {self.position}"


class SequenceVersion(models.Model):
    """A sequence as it was when somebody started on it; never changed afterwards.

    content: {"steps": [{"delay" | "before": seconds, "text", "template_id", "max_lateness": seconds or None,
    "weekdays": [...], "only_on_time": only where it is}], "give_up_after": seconds or None, "give_up_stage": key or
    None, "stop_stages": [keys]}.
    """

    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="versions")
    digest = models.CharField(max_length=64)
    content = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["sequence", "digest"], name="version_once_per_content"),)

    def __str__(self) -> str:
        return f"{self.sequence} {self.digest[:8]}"


class Enrollment(models.Model):
    """A lead on its way through a sequence. `next_at` is when something is due: a step, or giving up."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        FINISHED = "finished", _("finished")
        CANCELLED = "cancelled", _("cancelled")

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="enrollments", db_index=False)
    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="enrollments", verbose_name=_("sequence"))
    version = models.ForeignKey(SequenceVersion, models.PROTECT, related_name="+")
    purpose = models.CharField(_("purpose"), max_length=30, choices=Sequence.StartsOn)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    reason = ReasonField(_("reason"), max_length=500, blank=True)
    # From 1; one above the last step while only giving up remains.
    step = models.PositiveSmallIntegerField(_("next step"), default=1)
    # Our last delivered message, from which the next delay counts.
    anchor_at = models.DateTimeField(_("our last message"))
    meeting_starts_at = models.DateTimeField(_("meeting"), null=True, blank=True)
    # Empty while an attempt is on its way, and when nothing is due any more.
    next_at = models.DateTimeField(_("next at"), null=True, blank=True)
    next_reason = ReasonField(_("why then"), max_length=200, blank=True)
    # How late the step was each time it was put off to other hours; empty when it never was. Hours slept do not count.
    late_so_far = models.DurationField(null=True, editable=False)
    held = models.BooleanField(_("held"), default=False)
    # A person asked for this step at this moment: hours are not looked at again.
    sent_by_hand = models.BooleanField(default=False, editable=False)
    # Whether every step so far was sent, or left out by staff: only then is silence an answer.
    complete = models.BooleanField(default=True, editable=False)
    last_sent_at = models.DateTimeField(_("last sent"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    ended_by = models.CharField(_("ended by"), max_length=10, choices=Lead.Actor, blank=True)

    class Meta:
        verbose_name = _("enrollment")
        verbose_name_plural = _("enrollments")
        constraints = (
            models.UniqueConstraint(
                fields=["lead", "purpose"], condition=Q(state="waiting"), name="one_live_enrollment_per_purpose"
            ),
        )
        indexes = (
            models.Index(fields=["next_at"], condition=Q(state="waiting", held=False), name="enrollments_due"),
            models.Index(fields=["lead", "-id"], name="enrollments_of_lead"),
            # What staff look at, those held too.
            models.Index(fields=["next_at", "id"], condition=Q(state="waiting"), name="enrollments_waiting"),
        )

    def __str__(self) -> str:
        return f"{self.lead}: {self.sequence}"


class Attempt(models.Model):
    """One step for one lead. Its row is stored before anything leaves, and its id is the same on every retry."""

    class State(models.TextChoices):
        SENDING = "sending", _("sending")
        # Handed to the pipeline's channel, which has not said yet what became of it.
        HANDED_OVER = "handed_over", _("on its way")
        SENT = "sent", _("sent")
        # The channel took it, and it did not reach the lead.
        NOT_DELIVERED = "not_delivered", _("not delivered")
        DECLINED = "declined", _("declined by the agent")
        SKIPPED = "skipped", _("left out")
        MISSED = "missed", _("missed")
        UNREACHABLE = "unreachable", _("unreachable")
        # There was no way to send it: messages are only logged.
        NOT_SENT = "not_sent", _("not sent")
        # The account is in shadow: this is what would have gone out.
        WOULD_SEND = "would_send", _("would have been sent (shadow)")
        # It may have gone out, and whoever takes it would say it twice.
        UNCONFIRMED = "unconfirmed", _("not confirmed")
        DROPPED = "dropped", _("dropped")

    # Nobody heard these, and nothing is concluded from them.
    UNSAID = (State.NOT_SENT, State.WOULD_SEND)
    # After these the lead may have heard it; what was under way when its reason ended (DROPPED) as well.
    MAY_HAVE_ARRIVED = (State.SENT, State.UNCONFIRMED)
    # These reached nobody, or nobody knows.
    LOST = (State.MISSED, State.UNCONFIRMED, State.NOT_DELIVERED)
    # What `end` sets.
    ENDING = ("state", "reason", "ended_at", "retry_at", "holder")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    enrollment = models.ForeignKey(Enrollment, models.CASCADE, related_name="attempts", db_index=False)
    step = models.PositiveSmallIntegerField(_("step"))
    state = models.CharField(_("state"), max_length=13, choices=State, default=State.SENDING)
    text = models.TextField(_("text"), blank=True)
    # What the agent is asked to speak of, where it finds the words.
    instruction = models.TextField(_("instruction for the agent"), blank=True, default="", db_default="")
    # When the text was made: what it says of today and tomorrow is true of that day.
    rendered_at = models.DateTimeField(null=True, editable=False)
    template_id = models.CharField(_("approved template"), max_length=200, blank=True)
    reason = ReasonField(_("reason"), max_length=500, blank=True)
    due_at = models.DateTimeField(_("due at"))
    created_at = models.DateTimeField(_("created at"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    tries = models.PositiveIntegerField(_("tries"), default=0)
    # A person asked for it at this moment: hours are not looked at.
    by_hand = models.BooleanField(default=False, editable=False)
    # While sending: nobody else may send it before then, and then anybody may. Empty while it is held back.
    retry_at = models.DateTimeField(_("next try"), null=True, blank=True)
    holder = models.CharField(max_length=120, blank=True, editable=False)
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)
    booked_at = models.DateTimeField(_("booked"), null=True, blank=True)
    opted_out_at = models.DateTimeField(_("opted out"), null=True, blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = (models.UniqueConstraint(fields=["enrollment", "step"], name="one_attempt_per_step"),)
        indexes = (
            models.Index(fields=["retry_at"], condition=Q(state="sending"), name="attempts_to_retry"),
            models.Index(fields=["-created_at"], name="attempts_newest"),
            models.Index(fields=["answered_at"], condition=Q(answered_at__isnull=False), name="attempts_answered"),
        )

    def __str__(self) -> str:
        return f"{self.enrollment} {self.step}"

    @property
    def is_in_doubt(self) -> bool:
        """Whether a try was begun whose end nobody has recorded: a try that was put off has a reason."""
        return self.state == self.State.SENDING and not self.reason

    def end(self, state: Attempt.State, reason: str, *, now: datetime) -> None:
        """Settle it for good; the caller saves ENDING."""
        self.state, self.reason, self.ended_at = state, reason[:500], now
        self.retry_at, self.holder = None, ""


class Unreachable(models.Model):
    """A number that no message reaches, in any pipeline, as whoever sends says."""

    phone_key = models.CharField(max_length=LONGEST_KEY, unique=True)
    reason = ReasonField(_("reason"), max_length=500)
    # Only that the number does not work was said: whoever writes from it shows that it does.
    is_certain = models.BooleanField(default=False)
    since = models.DateTimeField(_("since"))

    class Meta:
        verbose_name = _("unreachable number")
        verbose_name_plural = _("unreachable numbers")

    def __str__(self) -> str:
        return self.phone_key
