"""The lead's record in Kommo as we last knew it, whether it is due, and every write we tried."""

from __future__ import annotations

from django.db import models
from django.db.models import Q, Value
from django.utils.translation import gettext_lazy as _

from bridge.encryption import EncryptedTextField
from bridge.models.account import Account
from common.reasons.columns import JSONWithReasonsField, ReasonField
from leads.models import Lead

# For rows that a version without the column still makes.
NOTHING = Value({}, models.JSONField())
# How the error of a card begins whose lead could not be adopted.
UNREADABLE = "what Kommo holds could not be adopted"


class Card(models.Model):
    """What Kommo is known to hold for a lead (observed). The set of due cards is the outbox.

    observed: {"name", "price", "pipeline_id", "status_id", "responsible_user_id", "loss_reason_id",
    "fields": {field id as text: comparable value}, "tags": [name], "updated_at": unix seconds}; a key that is missing
    is unknown. in_doubt: the part of a write whose answer never came; whatever it names counts as unknown until Kommo
    confirms it. ownership: who set what last (bridge/cards/ownership.py).
    """

    class State(models.TextChoices):
        IN_SYNC = "in_sync", _("in sync")
        DUE = "due", _("due")
        RETRYING = "retrying", _("retrying")
        BLOCKED = "blocked", _("blocked: configuration is missing")
        DEAD = "dead", _("refused by Kommo")
        SHOWN = "shown", _("shown: would be sent (shadow)")
        GONE = "gone", _("deleted in Kommo")
        CLOSED = "closed", _("no card: closed by staff")

    class Lane(models.IntegerChoices):
        LIVE = 0, _("live")
        BULK = 1, _("bulk")

    # States in which the drain has work to do.
    PENDING = (State.DUE, State.RETRYING)

    lead = models.OneToOneField(Lead, models.CASCADE, related_name="card", verbose_name=_("lead"))
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="cards", verbose_name=_("account"), db_index=False
    )
    kommo_lead_id = models.BigIntegerField(_("Kommo lead id"), null=True, blank=True)
    # The lead's main contact as we last knew it.
    kommo_contact_id = models.BigIntegerField(_("Kommo contact id"), null=True, blank=True)
    # Whom we knew as its main contact first, where that is somebody else by now: the person's own.
    own_contact_id = models.BigIntegerField(null=True, blank=True, editable=False)

    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DUE)
    lane = models.PositiveSmallIntegerField(_("lane"), choices=Lane, default=Lane.LIVE)
    # Counts every change of the lead. A card is in sync when the version that was sent is still the newest.
    wanted_version = models.PositiveIntegerField(default=1)
    due_at = models.DateTimeField(_("due at"), null=True, blank=True)
    # Since when the card differs from its lead; kept through retries, so that the age of the backlog is honest.
    pending_since = models.DateTimeField(_("waiting since"), null=True, blank=True)
    waiting_reason = ReasonField(_("waiting for"), max_length=500, blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    # Counted before the work and cleared after it: a card that kills its worker is parked by it.
    tries_without_outcome = models.PositiveSmallIntegerField(default=0)
    last_error = ReasonField(_("last error"), max_length=1000, blank=True)
    # Fingerprint of the plan Kommo refused for good; the same plan is not sent again.
    refused_plan = models.CharField(max_length=64, blank=True)

    observed = models.JSONField(_("what Kommo holds"), default=dict, blank=True)
    observed_at = models.DateTimeField(_("observed at"), null=True, blank=True)
    observed_contact = models.JSONField(default=dict, blank=True)
    agreed = models.JSONField(_("last sync"), default=dict, blank=True)
    in_doubt = models.JSONField(default=dict, blank=True)
    # What of our confirmed writes has not been read back yet, and what Kommo was seen to make of earlier ones
    # (bridge/cards/kept_forms.py).
    unread = models.JSONField(default=dict, db_default=NOTHING, blank=True, editable=False)
    kept_forms = models.JSONField(default=dict, db_default=NOTHING, blank=True, editable=False)
    # By what a person who was erased, and is back, left on it: pseudonyms (bridge/inbound/values_of_before.py).
    of_before = models.JSONField(null=True, blank=True, editable=False)
    # Parts of the card that Kommo refused: part -> {"reason", "cause", "at"} (bridge/cards/refused_parts.py).
    refused_parts = JSONWithReasonsField(default=dict, db_default=NOTHING, blank=True, editable=False)
    ownership = models.JSONField(_("who set what"), default=dict, blank=True)
    # Stored before the call that creates the lead; while set without a Kommo id, look before creating again.
    create_intent_at = models.DateTimeField(null=True, blank=True)
    # The lead that the agent's own tables know for this person: looked at before one is created.
    named_lead_id = models.BigIntegerField(null=True, blank=True, editable=False)
    # When the person was last looked for in Kommo by phone, and had no card there.
    looked_for_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Until then Kommo may still be at work on the last write: looking for its outcome proves nothing, and a second
    # write could be overtaken by it. The column keeps its first name, for the version that is still serving.
    write_settles_at = models.DateTimeField(null=True, blank=True, editable=False, db_column="create_settles_at")
    # Tags that told a fact of the lead at some time and may still be there; null: not counted yet.
    said_tags = models.JSONField(null=True, blank=True, editable=False)
    # Ids of stages with `always_visit` the card has still to enter, in order.
    stages_to_visit = models.JSONField(default=list, blank=True)
    # Kommo refused a loss reason sent together with the move: give it afterwards.
    loss_reason_after_move = models.BooleanField(default=False, editable=False)
    # Fingerprint of the plan last shown in shadow mode, so that it is shown once.
    shadow_plan = models.CharField(max_length=64, blank=True, editable=False)
    # Since when Kommo does not show the lead; believed only once it was asked for alone, a little later.
    missing_since = models.DateTimeField(null=True, blank=True, editable=False)
    contact_due_at = models.DateTimeField(null=True, blank=True)
    # Written by the version before; see Forgetting.
    contact_to_forget = models.BooleanField(default=False, editable=False)
    # Of the request that last changed the lead (bridge/correlation_id.py).
    correlation_id = models.CharField(max_length=64, blank=True, db_default="", default="", editable=False)
    synced_at = models.DateTimeField(_("synced at"), null=True, blank=True)

    class Meta:
        verbose_name = _("card")
        verbose_name_plural = _("cards")
        constraints = (
            models.UniqueConstraint(fields=["account", "kommo_lead_id"], name="one_card_per_kommo_lead"),
            models.CheckConstraint(
                condition=~Q(state__in=["due", "retrying"]) | Q(due_at__isnull=False), name="pending_card_has_due_at"
            ),
        )
        indexes = (
            models.Index(
                fields=["account", "lane", "due_at", "id"],
                condition=Q(state__in=["due", "retrying"]),
                name="outbox",
            ),
            models.Index(fields=["pending_since"], condition=Q(state__in=["due", "retrying"]), name="oldest_pending"),
            models.Index(
                fields=["account", "contact_due_at"], condition=Q(contact_due_at__isnull=False), name="contact_due"
            ),
            models.Index(fields=["state"], condition=~Q(state="in_sync"), name="card_by_trouble"),
            models.Index(fields=["id"], condition=Q(last_error__startswith=UNREADABLE), name="cards_unreadable"),
            models.Index(
                fields=["account", "missing_since"], condition=Q(missing_since__isnull=False), name="cards_missing"
            ),
            models.Index(
                fields=["account", "kommo_contact_id"],
                condition=Q(kommo_contact_id__isnull=False),
                name="card_by_contact",
            ),
            models.Index(
                fields=["account", "own_contact_id"],
                condition=Q(own_contact_id__isnull=False),
                name="card_by_own_contact",
            ),
        )

    def __str__(self) -> str:
        return f"{self.lead_id} ({self.get_state_display()})"


class CardContact(models.Model):
    """A contact on a card's lead in Kommo, beside the one the card keeps to: its numbers are the person's as well."""

    card = models.ForeignKey(Card, models.CASCADE, related_name="other_contacts")
    kommo_contact_id = models.BigIntegerField(db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["card", "kommo_contact_id"], name="contact_once_per_card"),)

    def __str__(self) -> str:
        return str(self.kommo_contact_id)


class Delivery(models.Model):
    """One card's part in one write to Kommo."""

    class Operation(models.TextChoices):
        CREATE = "create", _("card created")
        UPDATE = "update", _("card updated")
        CONTACT = "contact", _("contact")
        NOTE = "note", _("note")
        TASK = "task", _("CRM task")

    class Outcome(models.TextChoices):
        DELIVERED = "delivered", _("delivered")
        UNKNOWN = "unknown", _("no answer: may have been applied")
        FAILED = "failed", _("failed, will be retried")
        REFUSED = "refused", _("refused")
        DROPPED = "dropped", _("dropped: the lead had moved on")
        WOULD_SEND = "would_send", _("would have been sent (shadow)")

    account = models.ForeignKey(Account, models.CASCADE, related_name="deliveries")
    card = models.ForeignKey(Card, models.CASCADE, related_name="deliveries", db_index=False)
    at = models.DateTimeField(_("at"))
    operation = models.CharField(_("operation"), max_length=10, choices=Operation)
    outcome = models.CharField(_("outcome"), max_length=12, choices=Outcome)
    sent = models.JSONField(_("sent"), default=dict)
    reason = ReasonField(_("reason"), max_length=500, blank=True)
    error = ReasonField(_("error"), max_length=1000, blank=True)
    status_code = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    request_id = models.CharField("X-Request-Id", max_length=100, blank=True)
    correlation_id = models.CharField(
        _("correlation id"), max_length=64, blank=True, db_default="", default="", editable=False
    )
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), null=True, blank=True)
    lag_ms = models.PositiveBigIntegerField(_("lag (ms)"), null=True, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        indexes = (
            models.Index(fields=["card", "-at"], name="deliveries_of_card"),
            models.Index(fields=["-at"], name="deliveries_newest"),
            # The log shows them apart; among a million that went well they would be searched for.
            models.Index(fields=["outcome", "id"], condition=~Q(outcome="delivered"), name="deliveries_in_trouble"),
        )

    def __str__(self) -> str:
        return f"{self.get_operation_display()}: {self.get_outcome_display()}"


class Briefing(models.Model):
    """What a seller is told when a lead is handed to a person, or calls for one: a note and a task, each once."""

    card = models.ForeignKey(Card, models.CASCADE, related_name="briefings", db_index=False)
    # The handoff it belongs to: a later one has a briefing of its own. Of a call, when the lead spoke.
    since = models.DateTimeField(_("handoff since"))
    # Why somebody should look at a lead that nobody was handed; empty for a handoff.
    call = ReasonField(_("what staff are called for"), max_length=500, blank=True, default="", db_default="")
    # A task about a meeting that began at `since` and has no result; completed once that is known.
    asks_result = models.BooleanField(default=False, db_default=False, editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Empty once everything is there, or not needed any more.
    due_at = models.DateTimeField(_("due at"), null=True, blank=True)
    note_id = models.BigIntegerField(_("note"), null=True, blank=True)
    task_id = models.BigIntegerField(_("CRM task"), null=True, blank=True)
    # Set before the first call: an answer may get lost, so later tries look first.
    tried = models.BooleanField(default=False)
    error = ReasonField(_("error"), max_length=500, blank=True)
    # Parts the seller will not be told by us, as operations of a delivery; emptied when a person has it tried again.
    given_up = models.CharField(max_length=20, blank=True, default="", db_default="", editable=False)
    given_up_at = models.DateTimeField(_("given up at"), null=True, blank=True)

    class Meta:
        verbose_name = _("briefing")
        verbose_name_plural = _("briefings")
        constraints = (models.UniqueConstraint(fields=["card", "since"], name="one_briefing_per_handoff"),)
        indexes = (
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="briefings_due"),
            models.Index(fields=["given_up_at"], condition=Q(given_up_at__isnull=False), name="briefings_given_up"),
            models.Index(
                fields=["resolved_at", "since"], condition=Q(asks_result=True), name="briefings_asking_results"
            ),
        )

    def __str__(self) -> str:
        return f"{self.card_id} {self.since:%Y-%m-%d %H:%M}"


class Forgetting(models.Model):
    """What is to be emptied in Kommo of a person who asked to be forgotten, and what a person has to do there.

    phone, email: to find what is theirs there; gone as soon as it is over, whichever way it ended.
    """

    class State(models.TextChoices):
        DUE = "due", _("still to be done")
        DONE = "done", _("done")
        LEFT = "left", _("something is left for a person to do")

    card = models.OneToOneField(Card, models.CASCADE, related_name="forgetting", verbose_name=_("card"))
    # Otherwise a create in doubt is looked up, so that what it made is known for theirs; nothing is emptied.
    empties = models.BooleanField(default=True)
    asked_at = models.DateTimeField(_("asked at"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DUE)
    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    phone = EncryptedTextField(blank=True, editable=False)
    email = EncryptedTextField(blank=True, editable=False)
    # Contacts that are theirs by proof, noted before they are emptied: afterwards nothing on them proves it.
    contacts = models.JSONField(default=list, editable=False)
    problem = ReasonField(_("what is left"), max_length=500, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("erasure in Kommo")
        verbose_name_plural = _("erasures in Kommo")
        indexes = (
            models.Index(fields=["due_at"], condition=Q(state="due"), name="forgettings_due"),
            models.Index(fields=["state"], condition=Q(state="left"), name="forgettings_left"),
        )

    def __str__(self) -> str:
        return f"{self.card_id} {self.get_state_display()}"


class Drift(models.Model):
    """A difference between our copy and Kommo's, found by comparing."""

    class Resolution(models.TextChoices):
        OPEN = "open", _("open")
        ADOPTED = "adopted", _("adopted from Kommo")
        REPAIRED = "repaired", _("repaired in Kommo")
        DISMISSED = "dismissed", _("dismissed")

    card = models.ForeignKey(Card, models.CASCADE, related_name="drifts")
    subject = models.CharField(_("what differs"), max_length=100)
    ours = models.JSONField(_("ours"), null=True)
    theirs = models.JSONField(_("Kommo's"), null=True)
    agreed = models.JSONField(_("last sync"), null=True)
    found_at = models.DateTimeField(_("found at"))
    found_by = models.CharField(_("found by"), max_length=20)
    resolution = models.CharField(_("resolution"), max_length=10, choices=Resolution, default=Resolution.OPEN)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    resolved_by = models.CharField(_("resolved by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("drift")
        verbose_name_plural = _("drifts")
        ordering = ("-found_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["card", "subject"], condition=Q(resolution="open"), name="one_open_drift_per_subject"
            ),
        )
        indexes = (
            models.Index(fields=["-found_at"], name="drift_newest"),
            models.Index(fields=["card", "subject"], condition=Q(resolution="open"), name="open_drift"),
        )

    def __str__(self) -> str:
        return self.subject
