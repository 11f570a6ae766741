"""The sales process as staff edit it: pipelines, stages, and the rules that move leads through them."""

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

from common.name_spellings import name_key
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
    # Since when, why and by whom the agent is silent for every lead at once (leads/pipeline_switch.py). It is no rule.
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


class StageMapping(models.Model):
    """What a conversation stage, as the agent names it, means for the card. The first match wins."""

    class Action(models.TextChoices):
        MOVE = "move", _("move to a stage")
        QUALIFY = "qualify", _("decide by qualification")
        NOTHING = "nothing", _("leave the card where it is")

    class OnlyIf(models.TextChoices):
        ALWAYS = "always", _("always")
        MEETING = "meeting", _("only with a booked meeting")

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="stage_mappings", verbose_name=_("pipeline"))
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    conversation_stage = models.CharField(_("conversation stage"), max_length=200)
    conversation_stage_key = models.CharField(max_length=200, editable=False)
    action = models.CharField(_("action"), max_length=10, choices=Action, default=Action.MOVE)
    move_to = models.ForeignKey(
        Stage, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("move to")
    )
    only_if = models.CharField(_("only if"), max_length=10, choices=OnlyIf, default=OnlyIf.ALWAYS)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("stage mapping")
        verbose_name_plural = _("stage mappings")
        ordering = ("pipeline", "position", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(action="move", move_to__isnull=False) | (~Q(action="move") & Q(move_to__isnull=True)),
                name="move_mapping_has_a_stage",
                violation_error_message=_("Choose a stage exactly when the action is to move."),
            ),
        )

    def __str__(self) -> str:
        return self.conversation_stage

    def save(self, *args: object, **kwargs: object) -> None:
        self.conversation_stage_key = name_key(self.conversation_stage)
        super().save(*args, **kwargs)  # type: ignore[arg-type]


class UnmappedConversationStage(models.Model):
    """A conversation stage the agent sent and no mapping knows, kept until staff map it."""

    pipeline = models.ForeignKey(
        Pipeline, models.CASCADE, related_name="unmapped_conversation_stages", verbose_name=_("pipeline")
    )
    key = models.CharField(max_length=200)
    text = models.CharField(_("conversation stage"), max_length=200)
    times_seen = models.PositiveIntegerField(_("times seen"), default=1)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("conversation stage not mapped yet")
        verbose_name_plural = _("conversation stages not mapped yet")
        ordering = ("-last_seen_at",)
        constraints = (models.UniqueConstraint(fields=["pipeline", "key"], name="unmapped_stage_once_per_pipeline"),)

    def __str__(self) -> str:
        return self.text


class Flow(models.Model):
    """A solution a lead can choose, as the agent names it."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="flows", verbose_name=_("pipeline"))
    name = models.CharField(_("name"), max_length=200)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("flow")
        verbose_name_plural = _("flows")
        ordering = ("pipeline", "position", "id")
        constraints = (models.UniqueConstraint(fields=["pipeline", "name"], name="flow_once_per_pipeline"),)

    def __str__(self) -> str:
        return self.name


class UnmappedFlow(models.Model):
    """A flow the agent sent and the pipeline has not, kept until staff name one so."""

    pipeline = models.ForeignKey(
        Pipeline, models.CASCADE, related_name="unmapped_flows", verbose_name=_("pipeline"), db_index=False
    )
    key = models.CharField(max_length=200)
    text = models.CharField(_("flow"), max_length=200)
    times_seen = models.PositiveIntegerField(_("times seen"), default=1)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("flow not mapped yet")
        verbose_name_plural = _("flows not mapped yet")
        ordering = ("-last_seen_at",)
        constraints = (models.UniqueConstraint(fields=["pipeline", "key"], name="unmapped_flow_once_per_pipeline"),)

    def __str__(self) -> str:
        return self.text


class Qualification(models.Model):
    """When a lead counts as qualified, and the stages the three verdicts lead to."""

    pipeline = models.OneToOneField(Pipeline, models.CASCADE, related_name="qualification", verbose_name=_("pipeline"))
    min_score = models.DecimalField(
        _("minimum score"), max_digits=5, decimal_places=2, null=True, blank=True, help_text=_("0 to 100")
    )
    qualified_stage = models.ForeignKey(
        Stage, models.SET_NULL, null=True, related_name="+", verbose_name=_("stage when qualified")
    )
    disqualified_stage = models.ForeignKey(
        Stage, models.SET_NULL, null=True, related_name="+", verbose_name=_("stage when disqualified")
    )
    undecided_stage = models.ForeignKey(
        Stage, models.SET_NULL, null=True, related_name="+", verbose_name=_("stage while facts are missing")
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("qualification")
        verbose_name_plural = _("qualifications")
        constraints = (
            models.CheckConstraint(
                condition=Q(min_score__isnull=True) | Q(min_score__gte=0, min_score__lte=100),
                name="min_score_between_0_and_100",
                violation_error_message=_("The minimum score lies between 0 and 100."),
            ),
        )

    def __str__(self) -> str:
        return str(self.pipeline)


class Criterion(models.Model):
    """One condition a lead is held against. Not knowing is never failing."""

    class Operator(models.TextChoices):
        GTE = "gte", _("at least")
        GT = "gt", _("more than")
        LTE = "lte", _("at most")
        LT = "lt", _("less than")
        EQ = "eq", _("equal to")
        NE = "ne", _("different from")
        IN = "in", _("one of")
        NOT_IN = "not_in", _("none of")
        IS_TRUE = "is_true", _("is yes")
        IS_FALSE = "is_false", _("is no")
        IS_SET = "is_set", _("is known")
        IS_NOT_SET = "is_not_set", _("is not known")

    qualification = models.ForeignKey(Qualification, models.CASCADE, related_name="criteria")
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    field = models.CharField(_("field"), max_length=100)
    operator = models.CharField(_("operator"), max_length=20, choices=Operator)
    value = models.JSONField(_("value"), null=True, blank=True)
    flows = models.ManyToManyField(Flow, blank=True, related_name="+", verbose_name=_("flows"))
    required = models.BooleanField(_("required"), default=False)
    disqualifies = models.BooleanField(_("disqualifies"), default=False)
    history = HistoricalRecords(m2m_fields=[flows])

    class Meta:
        verbose_name = _("criterion")
        verbose_name_plural = _("criteria")
        ordering = ("qualification", "position", "id")

    def __str__(self) -> str:
        return f"{self.field} {self.get_operator_display()} {'' if self.value is None else self.value}".strip()


class TagRule(models.Model):
    """A family of tags the bridge owns: the text of the template up to `{value}`."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="tag_rules", verbose_name=_("pipeline"))
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    attribute = models.CharField(_("attribute"), max_length=100)
    # Its template before it was saved just now (bridge/signals.py).
    template_before: str
    template = models.CharField(_("template"), max_length=100, help_text=_("For example fluxo_{value}"))
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("tag rule")
        verbose_name_plural = _("tag rules")
        ordering = ("pipeline", "position", "id")
        constraints = (
            models.UniqueConstraint(fields=["pipeline", "template"], name="tag_template_once_per_pipeline"),
            models.CheckConstraint(
                # A family without a text of its own would own every tag on the card, those of staff too.
                condition=Q(template__regex=r"^[^{}]+\{value\}[^{}]*$"),
                name="tag_template_has_a_family",
                violation_error_message=_("Write some text before {value}, for example fluxo_{value}."),
            ),
        )

    def __str__(self) -> str:
        return self.template


class FieldMapping(models.Model):
    """Which custom field in Kommo shows an attribute of the lead."""

    class Type(models.TextChoices):
        TEXT = "text", _("text")
        TEXTAREA = "textarea", _("long text")
        NUMERIC = "numeric", _("number")
        MONETARY = "monetary", _("amount of money")
        CHECKBOX = "checkbox", _("yes or no")
        SELECT = "select", _("choice")
        MULTISELECT = "multiselect", _("several choices")
        URL = "url", _("link")
        DATE = "date", _("date")
        DATE_TIME = "date_time", _("date and time")

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="field_mappings", verbose_name=_("pipeline"))
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    attribute = models.CharField(_("attribute"), max_length=100)
    kommo_field = models.CharField(_("field in Kommo"), max_length=200)
    type = models.CharField(_("type"), max_length=20, choices=Type)
    options = models.JSONField(
        _("options"),
        default=dict,
        blank=True,
        help_text=_("Our value -> the option's name in Kommo, where they differ."),
    )
    kommo_field_id = models.BigIntegerField(_("Kommo field id"), null=True, blank=True)
    # The field it was bound to before it was saved just now (bridge/signals.py).
    bound_before: int | None
    enum_ids = models.JSONField(default=dict, blank=True, editable=False, help_text="Our value -> Kommo's enum id.")
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("field mapping")
        verbose_name_plural = _("field mappings")
        ordering = ("pipeline", "position", "id")
        constraints = (
            models.UniqueConstraint(fields=["pipeline", "attribute"], name="attribute_mapped_once_per_pipeline"),
            models.UniqueConstraint(fields=["pipeline", "kommo_field_id"], name="kommo_field_mapped_once"),
        )

    def __str__(self) -> str:
        return self.kommo_field
