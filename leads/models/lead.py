"""The person, what we know of them, and what happened."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models import F, Q, Value
from django.utils.translation import gettext_lazy as _

from common.reasons.columns import JSONWithReasonsField, ReasonField
from leads import addresses, served_leads
from leads.addresses import LONGEST_KEY
from leads.models.pipeline import Pipeline
from leads.models.stage import Stage

# What the agent may report of a lead by name; everything else travels in `custom`.
ATTRIBUTES = (
    "name",
    "email",
    "bill_value",
    "chosen_flow",
    "qualification_score",
    "is_decision_maker",
    "has_solar_system",
    "has_active_contract",
)


# Ours was the last word, and the lead has not answered it.
UNANSWERED = (
    Q(last_inbound_at=None, last_outbound_at__isnull=False)
    | Q(last_outbound_at__gt=F("last_inbound_at"))
    | Q(last_staff_at__gt=F("last_inbound_at"))
)


class Lead(models.Model):
    """A person in a pipeline: what is true of them, and so what their card *should* show."""

    class Actor(models.TextChoices):
        AGENT = "agent", _("agent")
        LEAD = "lead", _("lead")
        STAFF = "staff", _("staff")
        BRIDGE = "bridge", _("bridge")
        KOMMO = "kommo", "Kommo"

    class MeetingStatus(models.TextChoices):
        SCHEDULED = "scheduled", _("scheduled")
        RESCHEDULED = "rescheduled", _("rescheduled")
        CANCELLED = "cancelled", _("cancelled")
        COMPLETED = "completed", _("completed")
        NO_SHOW = "no_show", _("no show")

    BOOKED = (MeetingStatus.SCHEDULED, MeetingStatus.RESCHEDULED)

    class HandoffSource(models.TextChoices):
        STAGE = "stage", _("the card stands in a stage that pauses the agent")
        CHAT = "chat", _("a person replied in the chat")
        API = "api", _("the agent asked for a person")
        ADMIN = "admin", _("staff paused the agent")
        OTHER_CARD = "other_card", _("a person has another lead of theirs")
        GUARD = "guard", _("another bot is in the conversation")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Found by the indexes below that begin with it; so are the leads of the rows further down.
    pipeline = models.ForeignKey(
        Pipeline, models.PROTECT, related_name="leads", verbose_name=_("pipeline"), db_index=False
    )
    phone = models.CharField(_("phone"), max_length=20, null=True, blank=True, help_text="E.164")
    # By what the person is known first: the key of their phone or, while none is known, of another of their addresses
    # (leads/addresses.py). None for who was found in Kommo and has no address yet.
    phone_key = models.CharField(max_length=LONGEST_KEY, null=True, blank=True, editable=False)
    # Key of the address last written from, where it is not that one.
    written_from = models.CharField(max_length=LONGEST_KEY, blank=True, default="", db_default="", editable=False)
    # Key of the address the person was first known by, where it is not that one (leads/served_leads.py).
    first_key = models.CharField(max_length=LONGEST_KEY, blank=True, default="", db_default="", editable=False)

    # The WhatsApp id last reported, spelled as WhatsApp spells it: some numbers have no ninth digit there.
    whatsapp_id = models.CharField(max_length=100, blank=True, default="", db_default="", editable=False)

    name = models.CharField(_("name"), max_length=250, blank=True)
    email = models.EmailField(_("e-mail"), max_length=254, blank=True)
    bill_value = models.DecimalField(_("bill value"), max_digits=14, decimal_places=2, null=True, blank=True)
    chosen_flow = models.CharField(_("chosen flow"), max_length=200, blank=True)
    qualification_score = models.DecimalField(
        _("qualification score"), max_digits=5, decimal_places=2, null=True, blank=True
    )
    is_decision_maker = models.BooleanField(_("takes the decision"), null=True, blank=True)
    has_solar_system = models.BooleanField(_("has a solar system"), null=True, blank=True)
    has_active_contract = models.BooleanField(_("has an active contract"), null=True, blank=True)
    custom = models.JSONField(_("further facts"), default=dict, blank=True)
    # attribute -> {"at": ISO time of the newest fact, "by": actor}; custom keys as "custom.<key>".
    provenance = models.JSONField(default=dict, blank=True, editable=False)

    # Found by `leads_in_stage`, which begins with it.
    stage = models.ForeignKey(
        Stage, models.PROTECT, null=True, blank=True, related_name="leads", verbose_name=_("stage"), db_index=False
    )
    # Kommo's own name of a stage that no stage of ours is bound to; only while `stage` is empty.
    other_stage_name = models.CharField(max_length=250, blank=True)
    stage_set_by = models.CharField(_("stage set by"), max_length=10, choices=Actor, default=Actor.BRIDGE)
    stage_set_at = models.DateTimeField(_("stage set at"))
    stage_before_meeting = models.ForeignKey(Stage, models.SET_NULL, null=True, blank=True, related_name="+")
    decision_reason = ReasonField(_("reason"), max_length=500, blank=True)
    # What the conversation has concluded, and what of it when somebody else moved the lead (leads/conclusions.py).
    # None: from before this was kept (leads.explanation.begin_memory).
    concluded = models.JSONField(default=list, null=True, blank=True, editable=False)
    concluded_when_moved = models.JSONField(default=list, null=True, blank=True, editable=False)

    conversation_stage = models.CharField(_("conversation stage"), max_length=200, blank=True)
    # The meeting that stands, or that stood last (leads/meetings.py).
    meeting_id = models.CharField(_("meeting id"), max_length=250, blank=True)
    meeting_status = models.CharField(_("meeting"), max_length=20, choices=MeetingStatus, blank=True)
    meeting_starts_at = models.DateTimeField(_("meeting starts at"), null=True, blank=True)
    meeting_link = models.URLField(_("meeting link"), max_length=1000, blank=True)
    # Its time has gone by, and nobody has said how it went.
    meeting_gone_by = models.BooleanField(default=False, db_default=False, editable=False)

    handoff_source = models.CharField(_("handoff"), max_length=10, choices=HandoffSource, blank=True)
    handoff_since = models.DateTimeField(_("handoff since"), null=True, blank=True)
    handoff_reason = ReasonField(_("reason of the handoff"), max_length=500, blank=True)
    handoff_until = models.DateTimeField(_("handoff until"), null=True, blank=True)
    # When the agent was last given the lead back; what a person wrote before that is no new takeover.
    resumed_at = models.DateTimeField(_("agent resumed at"), null=True, blank=True)
    # Whose lead it is in Kommo, by that user's id there; None while nobody has told. Lists are narrowed by it.
    kommo_responsible_id = models.BigIntegerField(null=True, blank=True, editable=False)
    # Since when this lead is shown as opted out. Who may be written to is asked of the person (leads/optout.py).
    opted_out_at = models.DateTimeField(_("opted out at"), null=True, blank=True)
    erased_at = models.DateTimeField(_("erased at"), null=True, blank=True)
    # Whose lead it was, told by nothing but the pseudonym (leads/pseudonyms.py); only once they were erased.
    erased_address = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    erased_further = models.JSONField(
        default=list, db_default=Value([], models.JSONField()), blank=True, editable=False
    )
    # The person was erased then, and is back: what is older tells of whom nobody knows any more.
    back_since_erasure_of = models.DateTimeField(null=True, blank=True, editable=False)

    last_inbound_at = models.DateTimeField(_("last message of the lead"), null=True, blank=True)
    last_outbound_at = models.DateTimeField(_("last message of the agent"), null=True, blank=True)
    last_staff_at = models.DateTimeField(_("last message of staff"), null=True, blank=True)
    # How often in a row the lead has answered us: at once, and without a pause (leads/bot_loops.py).
    quick_turns = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    turns = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(_("created at"))
    updated_at = models.DateTimeField(_("updated at"), db_index=True)

    class Meta:
        verbose_name = _("lead")
        verbose_name_plural = _("leads")
        constraints = (
            models.UniqueConstraint(fields=["pipeline", "phone_key"], name="one_lead_per_phone_and_pipeline"),
            models.CheckConstraint(condition=Q(bill_value__gte=0) | Q(bill_value=None), name="bill_value_not_negative"),
            models.CheckConstraint(
                condition=Q(qualification_score__gte=0, qualification_score__lte=100) | Q(qualification_score=None),
                name="score_between_0_and_100",
            ),
        )
        indexes = (
            models.Index(fields=["phone_key"], name="lead_by_phone"),
            # With what is at stake in each stage: the funnel is read from the index alone, and the largest come first.
            models.Index(fields=["pipeline", "stage", "bill_value", "id"], name="lead_by_stage_and_worth"),
            # Lists of leads, the newest first (bridge/selectors/lead_list_chips.py).
            models.Index(fields=["stage", "-updated_at", "-id"], name="leads_in_stage"),
            models.Index(fields=["stage", "-updated_at", "-id"], condition=UNANSWERED, name="leads_unanswered"),
            models.Index(
                fields=["kommo_responsible_id", "-updated_at", "-id"],
                condition=Q(kommo_responsible_id__isnull=False),
                name="leads_of_responsible",
            ),
            models.Index(fields=["-created_at", "-id"], name="lead_newest"),
            models.Index(fields=["handoff_until"], condition=Q(handoff_until__isnull=False), name="handoff_ends"),
            models.Index(fields=["handoff_since"], condition=~Q(handoff_source=""), name="lead_in_handoff"),
            models.Index(
                fields=["meeting_status", "meeting_starts_at"],
                condition=Q(meeting_gone_by=False, meeting_starts_at__isnull=False),
                name="meetings_ahead",
            ),
        )

    def __str__(self) -> str:
        return self.name or self.phone or (self.phone_key or "").partition(":")[2] or str(self.id)

    @property
    def further_keys(self) -> list[str]:
        """Return the keys of the person's addresses beside the one on this row."""
        if "read_keys" in self.__dict__:
            # Read together with the row (leads/interactions.py).
            return self.__dict__["read_keys"] or []
        return [address.key for address in self.further_addresses.all()] if self.pk else []

    @property
    def address_keys(self) -> list[str]:
        """Return the keys of all addresses of the person, the one they are known by first."""
        return [key for key in dict.fromkeys([self.phone_key, *self.further_keys]) if key]

    @property
    def addresses(self) -> list[dict[str, str]]:
        """Return where the person is reached, the address last written from first: [{"kind", "value"}]."""
        known = addresses.in_order(self.address_keys, self.written_from)
        return [address.as_json for address in addresses.with_jid(known, self.whatsapp_id, own=self.phone or "")]

    @property
    def channel(self) -> str | None:
        """Return by what people know the address last written from: WhatsApp's hidden ids are WhatsApp. No query."""
        key = self.written_from or self.phone_key
        if not key:
            return None
        [first, *_] = addresses.with_jid([addresses.of_key(key)], self.whatsapp_id, own=self.phone or "")
        return "whatsapp" if first.kind in (addresses.Kind.LID, addresses.Kind.BSUID) else first.kind.value

    @property
    def drawn_as(self) -> str:
        """By what the person takes part in draws (leads/served_leads.py)."""
        return served_leads.drawn_as(self.pk, self.phone_key, self.first_key)

    @property
    def in_handoff(self) -> bool:
        return bool(self.handoff_source)

    @property
    def is_with_people(self) -> bool:
        """Say whether a person has taken over: more than a stage in which the agent is silent and nobody is asked."""
        only_silent = self.handoff_source == self.HandoffSource.STAGE and self.stage and self.stage.is_only_silent
        return self.in_handoff and not only_silent

    @property
    def has_standing_meeting(self) -> bool:
        return self.meeting_status in self.BOOKED and not self.meeting_gone_by

    def facts(self) -> Mapping[str, Any]:
        """Return every attribute a rule may name; None where nothing is known. Objections are not among them."""
        known: dict[str, Any] = {attribute: getattr(self, attribute) or None for attribute in ("name", "email")}
        for attribute in ATTRIBUTES[2:]:
            value = getattr(self, attribute)
            known[attribute] = None if value == "" else value
        known |= {
            "phone": self.phone,
            "conversation_stage": self.conversation_stage or None,
            # One that has gone by stays in sight until somebody says how it went.
            "meeting_starts_at": self.meeting_starts_at if self.meeting_status in self.BOOKED else None,
            "meeting_link": (self.meeting_link or None) if self.meeting_status in self.BOOKED else None,
        }
        known |= {f"custom.{key}": value for key, value in self.custom.items()}
        return known


class Objection(models.Model):
    """An objection the lead raised; they accumulate until the agent clears them."""

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="objections", db_index=False)
    name = models.CharField(_("objection"), max_length=100)
    key = models.CharField(max_length=100, editable=False)
    raised_at = models.DateTimeField(_("raised at"))

    class Meta:
        verbose_name = _("objection")
        verbose_name_plural = _("objections")
        ordering = ("raised_at", "id")
        constraints = (models.UniqueConstraint(fields=["lead", "key"], name="objection_once_per_lead"),)
        indexes = (models.Index(fields=["raised_at"], name="objections_by_age"),)

    def __str__(self) -> str:
        return self.name


class Event(models.Model):
    """One row of a lead's timeline. Append-only."""

    class Kind(models.TextChoices):
        INTERACTION = "interaction", _("interaction")
        DECISION = "decision", _("decision")
        STAGE_CHANGED = "stage_changed", _("stage changed")
        MOVE_SUPPRESSED = "move_suppressed", _("move suppressed")
        STAFF_TOLD = "staff_told", _("staff told")
        STAFF_MOVE = "staff_move", _("moved by staff")
        STAFF_EDIT = "staff_edit", _("edited by staff")
        HANDOFF = "handoff", _("handoff")
        RESUMED = "resumed", _("agent resumed")
        DELIVERY = "delivery", _("delivery")
        FOLLOW_UP = "followup", _("follow-up")
        OPTED_OUT = "opted_out", _("opted out")
        CARD = "card", _("card")
        ERASED = "erased", _("personal data erased")
        ADDRESS = "address", _("address")
        JOINED = "joined", _("joined with another lead")
        MESSAGE = "message", _("what became of a message")

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField(_("at"))
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    actor = models.CharField(_("actor"), max_length=10, choices=Lead.Actor)
    reason = ReasonField(_("reason"), max_length=500, blank=True)
    data = JSONWithReasonsField(_("data"), default=dict, blank=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("at", "id")
        indexes = (models.Index(fields=["lead", "at", "id"], name="timeline"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.at:%Y-%m-%d %H:%M}"
