"""A sales process as staff edit it. Its stages and the rules that move leads through them are beside this file."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from leads import served_leads
from leads.words_for_nothing import USUAL_WORDS


def every_day() -> list[str]:
    return ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def usual_opt_out_words() -> list[str]:
    return ["pare", "parar", "sair", "descadastrar", "stop"]


def usual_words_for_nothing() -> list[str]:
    return list(USUAL_WORDS)


def new_version() -> int:
    return secrets.randbits(62)


def person(request: Any = None, **_: Any) -> Any:
    """Return who changed a row, for its history: a person, never the key of a program."""
    user = getattr(request, "user", None)
    return user if isinstance(user, get_user_model()) else None


class Pipeline(models.Model):
    """A sales process; its rules are read once and kept until `rules_version` changes."""

    class Conversations(models.TextChoices):
        AGENT = "agent", _("where the agent works")
        KOMMO = "kommo", _("in Kommo's chats")

    slug = models.SlugField(_("slug"), unique=True)
    name = models.CharField(_("name"), max_length=200)
    is_default = models.BooleanField(_("default"), default=False, help_text=_("Used when the agent names no pipeline."))
    locale = models.CharField(_("locale"), max_length=20, default="pt_BR", help_text=_("How amounts are read."))
    time_zone = models.CharField(_("time zone"), max_length=64, default="America/Sao_Paulo")
    phone_region = models.CharField(_("phone region"), max_length=2, default="BR")
    meeting_stage = models.ForeignKey(
        "Stage", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("stage of a booked meeting")
    )
    handoff_stage = models.ForeignKey(
        "Stage",
        models.SET_NULL,
        null=True,
        blank=True,
        # There are a handful of pipelines: an index would find none of them sooner.
        db_index=False,
        related_name="+",
        verbose_name=_("stage of leads the agent asks a person for"),
    )
    kommo_pipeline_id = models.BigIntegerField(_("Kommo pipeline id"), null=True, blank=True, unique=True)
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_to = models.TimeField(_("quiet to"), null=True, blank=True)
    sending_weekdays = models.JSONField(_("weekdays on which messages go out"), default=every_day, blank=True)
    opt_out_words = models.JSONField(
        _("words that end all follow-ups"),
        default=usual_opt_out_words,
        blank=True,
        help_text=_("A lead who writes exactly one of these gets no follow-up ever again."),
    )
    followup_distance = models.DurationField(
        _("distance between messages to one phone"),
        null=True,
        blank=True,
        default=timedelta(hours=1),
        db_default=timedelta(hours=1),
        help_text=_("A follow-up of this pipeline waits so long after one of another pipeline to the same phone."),
    )
    words_for_nothing = models.JSONField(
        _("words for nothing"),
        default=usual_words_for_nothing,
        # Null where the version before made the row.
        null=True,
        blank=True,
        help_text=_("A name, flow, objection or further fact that is one of these was not reported."),
    )
    null_means_unknown = models.BooleanField(
        _("null means unknown"),
        default=False,
        db_default=False,
        help_text=_("For agents that fill in every field: an empty value clears nothing."),
    )
    booking_url = models.CharField(
        _("booking address"),
        max_length=1000,
        blank=True,
        default="",
        db_default="",
        help_text=_("Where leads book a meeting. Each lead's link carries a mark by which the booking finds them."),
    )
    holidays_country = models.CharField(_("holidays: country"), max_length=2, blank=True)
    holidays_subdivision = models.CharField(_("holidays: state"), max_length=10, blank=True)
    handoff_max = models.DurationField(
        _("longest handoff"), null=True, blank=True, help_text=_("Empty: a handoff lasts until a person ends it.")
    )
    silent_when_kommo_is_away = models.BooleanField(
        _("silent when Kommo is away"),
        default=True,
        db_default=True,
        help_text=_("While Kommo could not be asked for half an hour, the agent may not reply to leads with a card."),
    )
    chat_reply_pauses = models.BooleanField(
        _("a reply in the chat is a takeover"),
        default=True,
        help_text=_("A person who answers the lead in Kommo's chat takes over; the agent stops answering."),
    )
    handoff_note = models.BooleanField(
        _("note for the seller"), default=True, help_text=_("Written on the card at a handoff: what we know so far.")
    )
    handoff_task = models.CharField(
        _("task for the seller"),
        max_length=200,
        blank=True,
        default="Assumir o atendimento deste lead",
        help_text=_("Given to the responsible user at a handoff. Empty: none."),
    )
    handoff_task_within = models.DurationField(_("deadline of the task"), default=timedelta(hours=1))
    meeting_result_task = models.CharField(
        _("task where a meeting has no result"),
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text=_("Given to the responsible user when a meeting has gone by and nobody says how it went."),
    )
    meeting_result_task_after = models.DurationField(
        _("so long after it began"), default=timedelta(hours=2), db_default=timedelta(hours=2)
    )
    alert_on_calls = models.BooleanField(
        _("alert when a lead calls for a person"),
        default=False,
        db_default=False,
        help_text=_("Told by mail and webhook: who writes or books where no rule leads on, until somebody answers."),
    )
    phone_field = models.CharField(
        _("field with the phone"),
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text=_("A field of the lead in Kommo that holds the phone, where cards have no contact. Empty: none."),
    )
    channel = models.CharField(
        _("way out"),
        max_length=50,
        blank=True,
        default="",
        db_default="",
        help_text=_("By which messages leave first; when it fails, by the pipeline's others in their order."),
    )
    typing_pauses = models.BooleanField(
        _("pauses as if typing"),
        default=False,
        db_default=False,
        help_text=_("Between the parts of a message, as long as a person would type the next one."),
    )
    conversations = models.CharField(
        _("conversations"),
        max_length=10,
        choices=Conversations,
        default=Conversations.AGENT,
        db_default=Conversations.AGENT.value,
        help_text=_("Where leads and the agent write to each other: Kommo's chats are heard only where they are that."),
    )
    yields_to_bots = models.BooleanField(
        _("yields to other bots"),
        default=False,
        db_default=False,
        help_text=_("Where another bot answers a lead in Kommo's chat, the agent stops answering that lead."),
    )
    # Since when, why and by whom the agent is silent for every lead at once (leads/emergency_stop.py). It is no rule.
    silenced_at = models.DateTimeField(_("agent silenced since"), null=True, blank=True)
    silenced_reason = models.CharField(
        _("why the agent is silenced"), max_length=500, blank=True, default="", db_default=""
    )
    silenced_by = models.CharField(max_length=150, blank=True, default="", db_default="", editable=False)
    serves_only_with_tag = models.CharField(
        _("the agent serves only leads with the tag"), max_length=250, blank=True, default="", db_default=""
    )
    serves_never_with_tag = models.CharField(
        _("the agent serves no leads with the tag"), max_length=250, blank=True, default="", db_default=""
    )
    serves_only_new_leads = models.BooleanField(_("the agent serves only new leads"), default=False, db_default=False)
    # Since when that holds: whoever was there before is not new.
    serves_new_since = models.DateTimeField(null=True, blank=True, editable=False)
    serves_share = models.DecimalField(
        _("share of the leads that the agent serves"),
        max_digits=5,
        decimal_places=4,
        default=served_leads.EVERYBODY,
        db_default=served_leads.EVERYBODY,
        help_text=_("0 to 1, by a draw that stays the same for each person."),
    )
    # Drawn by lot and never counted up: a version that was rolled back must not come again with other rules.
    rules_version = models.BigIntegerField(default=new_version, editable=False)
    history = HistoricalRecords(
        get_user=person, excluded_fields=["rules_version", "serves_new_since"], no_db_index=["handoff_stage"]
    )

    class Meta:
        verbose_name = _("pipeline")
        verbose_name_plural = _("pipelines")
        ordering = ("slug",)
        constraints = (
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="one_default_pipeline"),
            models.CheckConstraint(
                condition=Q(serves_share__gte=0, serves_share__lte=1), name="served_share_between_0_and_1"
            ),
        )

    def __str__(self) -> str:
        return self.name

    def save(self, *args: object, **kwargs: object) -> None:
        if not self.serves_only_new_leads:
            self.serves_new_since = None
        elif self.serves_new_since is None:
            self.serves_new_since = timezone.now()
        if (columns := kwargs.get("update_fields")) is not None and "serves_only_new_leads" in columns:  # type: ignore[operator]
            kwargs["update_fields"] = {*columns, "serves_new_since"}  # type: ignore[misc]
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    @property
    def serves(self) -> served_leads.Terms:
        """Whom of its leads the agent serves (leads/served_leads.py)."""
        return served_leads.Terms(
            self.serves_only_with_tag,
            self.serves_never_with_tag,
            self.serves_new_since if self.serves_only_new_leads else None,
            self.serves_share,
        )

    @property
    def nothing(self) -> tuple[str, ...]:
        """The words for nothing: an empty list is staff's own."""
        return USUAL_WORDS if self.words_for_nothing is None else tuple(self.words_for_nothing)

    def rules_changed(self) -> None:
        """Make every process read this pipeline's rules again at the next interaction."""
        Pipeline.objects.filter(pk=self.pk).update(rules_version=new_version())
