"""What went out, what came in, what differs: read-only, newest first, with the few actions that free what is stuck."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action, display

from bridge.admin.base import Tones
from bridge.admin.paging import LogAdmin
from bridge.agent import agent_events
from bridge.cards import nudge, outbox
from bridge.cards.why_cards_wait import wait_of
from bridge.delivery import erasing_in_kommo
from bridge.errors import DriftError
from bridge.inbound import drifts, missing_leads
from bridge.models import AgentEvent, Card, Delivery, Drift, Forgetting, WebhookEvent, WebhookItem
from bridge.reasons import told
from bridge.selectors import finding_leads
from bridge.webhooks import parsing
from bridge.webhooks.inbox import reprocess

FIND_A_LEAD = _("Name, phone, e-mail, or the lead's number in Kommo")
# Of a body that is larger than a person reads.
RAW_SHOWN = 20_000
ITEMS_SHOWN = 200


def pretty(value: Any) -> SafeString:
    """Return a stored value as a person reads it: indented, in its own order, and escaped."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return format_html('<div class="kb-page"><pre class="kb-raw" tabindex="0">{}</pre></div>', text)


def lead_link(lead: Any) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:leads_lead_change", args=[lead.pk]), lead)


class AboutLeads(LogAdmin):
    """A log whose rows are found by their lead, however it is called; `lead_path` leads from a row to its lead."""

    lead_path = "card__lead"
    # Only so that the box is there; `get_search_results` finds.
    search_fields = ("pk",)
    search_help_text = FIND_A_LEAD
    list_filter_submit = True

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        return queryset.filter(**{f"{self.lead_path}__in": finding_leads.ids(search_term)}), False


@admin.register(Card)
class CardAdmin(AboutLeads):
    lead_path = "lead"
    nothing_here = _("No card has been made yet.")
    list_display = ("whose", "kommo_lead_id", "state_badge", "waits_for", "due_at", "attempts", "synced_at")
    # The first column is a link to the lead already: a link within it would have no words.
    list_display_links = ("kommo_lead_id",)
    list_filter = ("state", "lane")
    list_select_related = ("lead", "account")
    actions = ("requeue", "recreate", "close")
    fields = (
        ("whose", "kommo_lead_id", "kommo_contact_id"),
        ("state", "waits_for", "due_at", "pending_since"),
        ("attempts", "last_error", "synced_at"),
        "observed_as_text",
        "agreed_as_text",
        "ownership_as_text",
    )
    readonly_fields = ("whose", "waits_for", "observed_as_text", "agreed_as_text", "ownership_as_text")

    @admin.display(description=_("lead"))
    def whose(self, card: Card) -> SafeString:
        return lead_link(card.lead)

    @display(
        description=_("state"),
        label=Tones(
            {
                Card.State.IN_SYNC: "success",
                Card.State.SHOWN: "info",
                Card.State.DUE: "info",
                Card.State.RETRYING: "warning",
                Card.State.BLOCKED: "danger",
                Card.State.DEAD: "danger",
                Card.State.GONE: "warning",
            }
        ),
    )
    def state_badge(self, card: Card) -> tuple[str, str]:
        return card.state, str(card.get_state_display())

    @admin.display(description=_("waiting for"))
    def waits_for(self, card: Card) -> str:
        wait = wait_of(card, now=timezone.now())
        return told(wait.reason) if wait else ""

    @admin.display(description=_("what Kommo holds"))
    def observed_as_text(self, card: Card) -> SafeString:
        return pretty(card.observed)

    @admin.display(description=_("last sync"))
    def agreed_as_text(self, card: Card) -> SafeString:
        return pretty(card.agreed)

    @admin.display(description=_("who set what"))
    def ownership_as_text(self, card: Card) -> SafeString:
        return pretty(card.ownership)

    @admin.action(description=_("Send to Kommo again"))
    def requeue(self, request: HttpRequest, cards: QuerySet[Card]) -> None:
        done = outbox.requeue(cards, now=timezone.now(), lane=Card.Lane.LIVE)
        _nudge(cards)
        self.message_user(
            request,
            ngettext("%(count)d card will be sent again.", "%(count)d cards will be sent again.", done)
            % {"count": done},
        )

    @admin.action(description=_("Make new cards for those that are gone"))
    def recreate(self, request: HttpRequest, cards: QuerySet[Card]) -> None:
        done = missing_leads.recreate(cards, who=str(request.user), now=timezone.now())
        self.message_user(
            request,
            ngettext("%(count)d card will be made anew.", "%(count)d cards will be made anew.", done) % {"count": done},
        )

    @admin.action(description=_("Close: nothing is written to this card any more"))
    def close(self, request: HttpRequest, cards: QuerySet[Card]) -> None:
        done = missing_leads.close(cards, who=str(request.user), now=timezone.now())
        self.message_user(
            request, ngettext("%(count)d card closed.", "%(count)d cards closed.", done) % {"count": done}
        )


@admin.register(Delivery)
class DeliveryAdmin(AboutLeads):
    nothing_here = _("Nothing has been sent to Kommo yet.")
    list_display = ("at", "whose", "operation", "outcome_badge", "status_code", "duration_ms", "lag_ms", "fault")
    list_filter = ("outcome", "operation")
    list_select_related = ("card__lead",)
    fields = (
        ("at", "whose", "operation", "outcome"),
        ("status_code", "request_id", "duration_ms", "lag_ms"),
        "why",
        "fault",
        "sent_as_text",
    )
    readonly_fields = ("whose", "why", "fault", "sent_as_text")

    @admin.display(description=_("lead"))
    def whose(self, delivery: Delivery) -> SafeString:
        return lead_link(delivery.card.lead)

    @display(
        description=_("outcome"),
        label=Tones(
            {
                Delivery.Outcome.DELIVERED: "success",
                Delivery.Outcome.UNKNOWN: "warning",
                Delivery.Outcome.FAILED: "warning",
                Delivery.Outcome.REFUSED: "danger",
                Delivery.Outcome.WOULD_SEND: "info",
            }
        ),
    )
    def outcome_badge(self, delivery: Delivery) -> tuple[str, str]:
        return delivery.outcome, str(delivery.get_outcome_display())

    @admin.display(description=_("reason"))
    def why(self, delivery: Delivery) -> str:
        return told(delivery.reason)

    @admin.display(description=_("error"))
    def fault(self, delivery: Delivery) -> str:
        return told(delivery.error)

    @admin.display(description=_("sent"))
    def sent_as_text(self, delivery: Delivery) -> SafeString:
        return pretty(delivery.sent)


@admin.register(Drift)
class DriftAdmin(AboutLeads):
    keyset = "found_at"
    nothing_here = _("No difference: Kommo and the bridge say the same.")
    list_display = ("found_at", "whose", "subject", "ours", "theirs", "agreed", "found_by", "resolution_badge")
    list_filter = ("resolution",)
    list_select_related = ("card__lead",)
    fields = (
        ("found_at", "whose", "subject", "found_by"),
        ("ours", "theirs", "agreed"),
        ("resolution", "resolved_at", "resolved_by"),
    )
    readonly_fields = ("whose",)
    actions = ("keep_ours", "take_theirs", "dismiss")
    actions_detail = ("keep_this", "take_this", "dismiss_this")

    @admin.display(description=_("lead"))
    def whose(self, drift: Drift) -> SafeString:
        return lead_link(drift.card.lead)

    @admin.action(description=_("Keep what we hold, and write it to Kommo"))
    def keep_ours(self, request: HttpRequest, rows: QuerySet[Drift]) -> None:
        self._decide(request, rows, drifts.Choice.OURS)

    @admin.action(description=_("Take what Kommo holds"))
    def take_theirs(self, request: HttpRequest, rows: QuerySet[Drift]) -> None:
        self._decide(request, rows, drifts.Choice.THEIRS)

    @admin.action(description=_("Dismiss: leave both as they are"))
    def dismiss(self, request: HttpRequest, rows: QuerySet[Drift]) -> None:
        self._decide(request, rows, drifts.Choice.DISMISS)

    @action(description=_("Keep ours"), icon="upload")
    def keep_this(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._decide_one(request, object_id, drifts.Choice.OURS)

    @action(description=_("Take Kommo's"), icon="download")
    def take_this(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._decide_one(request, object_id, drifts.Choice.THEIRS)

    @action(description=_("Dismiss"), icon="close")
    def dismiss_this(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return self._decide_one(request, object_id, drifts.Choice.DISMISS)

    def _decide_one(self, request: HttpRequest, object_id: int, choice: drifts.Choice) -> HttpResponse:
        self._decide(request, Drift.objects.filter(pk=object_id), choice)
        return redirect("admin:bridge_drift_change", object_id)

    def _decide(self, request: HttpRequest, rows: QuerySet[Drift], choice: drifts.Choice) -> None:
        """Let each difference end as a person says; one that cannot keeps no other from it."""
        done, now = 0, timezone.now()
        for drift in rows.filter(resolution=Drift.Resolution.OPEN).select_related("card__account__catalogue"):
            catalogue = getattr(drift.card.account, "catalogue", None)
            try:
                drifts.decide(drift, choice, who=str(request.user), catalogue=catalogue, now=now)
            except DriftError as error:
                self.message_user(request, f"{drift.card.lead}, {drift}: {error}", messages.ERROR)
            else:
                done += 1
        if done:
            self.message_user(
                request,
                ngettext("%(count)d difference decided.", "%(count)d differences decided.", done) % {"count": done},
                messages.SUCCESS,
            )

    @display(
        description=_("resolution"),
        label=Tones(
            {
                Drift.Resolution.OPEN: "warning",
                Drift.Resolution.ADOPTED: "success",
                Drift.Resolution.REPAIRED: "success",
            }
        ),
    )
    def resolution_badge(self, drift: Drift) -> tuple[str, str]:
        return drift.resolution, str(drift.get_resolution_display())


@admin.register(WebhookEvent)
class WebhookEventAdmin(LogAdmin):
    nothing_here = _("Kommo has not called yet.")
    list_display = ("received_at", "account", "state_badge", "attempts", "error")
    list_filter = ("state", "cause", "account")
    list_filter_submit = True
    list_select_related = ("account",)
    fields = (
        ("received_at", "account"),
        ("state", "attempts", "processed_at"),
        "error",
        "parsed",
        "raw",
        "headers_as_text",
    )
    readonly_fields = ("raw", "parsed", "headers_as_text")
    actions = ("process_again",)
    actions_detail = ("process_this_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        rows: QuerySet[WebhookEvent] = super().get_queryset(request)
        # Bodies may be large; a list does not show them.
        return rows if request.resolver_match and "object_id" in request.resolver_match.kwargs else rows.defer("body")

    @display(
        description=_("state"),
        label=Tones(
            {
                WebhookEvent.State.PROCESSED: "success",
                WebhookEvent.State.RECEIVED: "info",
                WebhookEvent.State.FAILED: "danger",
            }
        ),
    )
    def state_badge(self, event: WebhookEvent) -> tuple[str, str]:
        return event.state, str(event.get_state_display())

    @admin.display(description=_("body"))
    def raw(self, event: WebhookEvent) -> SafeString:
        return pretty(bytes(event.body).decode("utf-8", errors="replace")[:RAW_SHOWN])

    @admin.display(description=_("headers"))
    def headers_as_text(self, event: WebhookEvent) -> SafeString:
        return pretty(event.headers)

    @admin.display(description=_("what it tells"))
    def parsed(self, event: WebhookEvent) -> SafeString:
        """Show every entity of the body with what became of it; of a body not read yet, what it would tell."""
        items = list(event.items.order_by("pk")[:ITEMS_SHOWN])
        labels = dict(WebhookItem.Result.choices)
        told = [
            {
                "what": f"{item.entity} {item.action} {item.kommo_id or ''}".strip(),
                "result": str(labels.get(item.result, item.result)) + (f": {item.error}" if item.error else ""),
                "data": item.data,
            }
            for item in items
        ]
        if not told:
            read = parsing.parse(bytes(event.body))
            told = [
                {"what": f"{item.entity} {item.action} {item.kommo_id or ''}".strip(), "data": item.data}
                for item in read.items[:ITEMS_SHOWN]
            ] or [{"problem": parsing.SAID[read.problem] if read.problem else ""}]
        return pretty(told)

    @admin.action(description=_("Process again"))
    def process_again(self, request: HttpRequest, events: QuerySet[WebhookEvent]) -> None:
        self.message_user(
            request,
            ngettext(
                "%(count)d webhook will be read again.", "%(count)d webhooks will be read again.", reprocess(events)
            )
            % {"count": reprocess(events)},
        )

    @action(description=_("Process again"), icon="replay")
    def process_this_again(self, request: HttpRequest, object_id: int) -> HttpResponse:
        self.process_again(request, WebhookEvent.objects.filter(pk=object_id))
        return redirect("admin:bridge_webhookevent_change", object_id)


@admin.register(AgentEvent)
class AgentEventAdmin(AboutLeads):
    keyset = "created_at"
    lead_path = "lead"
    nothing_here = _("The agent has been told nothing yet.")
    list_display = ("created_at", "whose", "type", "state_badge", "attempts", "status_code", "error")
    list_filter = ("state",)
    list_select_related = ("lead",)
    fields = (
        ("created_at", "whose", "type"),
        ("state", "attempts", "status_code"),
        ("due_at", "delivered_at"),
        "error",
        "each_try",
        "data_as_text",
    )
    readonly_fields = ("whose", "each_try", "data_as_text")
    actions = ("tell_again",)
    actions_detail = ("tell_this_again",)

    @admin.display(description=_("lead"))
    def whose(self, event: AgentEvent) -> SafeString:
        return lead_link(event.lead)

    @display(
        description=_("state"),
        label=Tones(
            {
                AgentEvent.State.DELIVERED: "success",
                AgentEvent.State.DUE: "info",
                AgentEvent.State.DEAD: "danger",
            }
        ),
    )
    def state_badge(self, event: AgentEvent) -> tuple[str, str]:
        return event.state, str(event.get_state_display())

    @admin.display(description=_("data"))
    def data_as_text(self, event: AgentEvent) -> SafeString:
        return pretty(event.data)

    @admin.display(description=_("tries"))
    def each_try(self, event: AgentEvent) -> SafeString | str:
        rows = [
            (
                date_format(localtime(datetime.fromisoformat(one["at"])), "SHORT_DATETIME_FORMAT"),
                one["status"] or "–",
                f"{one['seconds']:.1f} s",
                told(one["error"]) or _("taken"),
            )
            for one in reversed(event.tries or ())
        ]
        lines = format_html_join("", "<li>{} · HTTP {} · {} · {}</li>", rows)
        return format_html('<ol class="kb-page" reversed>{}</ol>', lines) if rows else "–"

    @admin.action(description=_("Tell the agent again"))
    def tell_again(self, request: HttpRequest, events: QuerySet[AgentEvent]) -> None:
        done = agent_events.replay(events, now=timezone.now())
        self.message_user(
            request,
            ngettext("%(count)d event will be told again.", "%(count)d events will be told again.", done)
            % {"count": done},
            messages.SUCCESS,
        )

    @action(description=_("Tell the agent again"), icon="replay")
    def tell_this_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.tell_again(request, AgentEvent.objects.filter(pk=object_id))
        return redirect("admin:bridge_agentevent_change", object_id)


def _nudge(cards: QuerySet[Card]) -> None:
    for account_id in cards.values_list("account_id", flat=True).distinct():
        nudge.send(account_id)


@admin.register(Forgetting)
class ForgettingAdmin(LogAdmin):
    """Who asked to be forgotten in Kommo too: what was done there, and what is left for a person to do."""

    nothing_here = _("Nothing of anybody has to be erased in Kommo.")
    list_display = ("whose", "asked_at", "state_badge", "left", "ended_at")
    list_display_links = ("asked_at",)
    list_filter = ("state",)
    list_select_related = ("card__lead", "card__account")
    actions = ("done_by_hand", "try_again")
    fields = ("whose", "asked_at", "state", "left", "ended_at")
    readonly_fields = ("whose", "left")

    @admin.display(description=_("card"))
    def whose(self, row: Forgetting) -> SafeString:
        return lead_link(row.card.lead)

    @display(
        description=_("state"),
        label=Tones({Forgetting.State.DUE: "info", Forgetting.State.DONE: "success", Forgetting.State.LEFT: "danger"}),
    )
    def state_badge(self, row: Forgetting) -> tuple[str, str]:
        return row.state, str(row.get_state_display())

    @admin.display(description=_("what is left"))
    def left(self, row: Forgetting) -> str:
        return told(row.problem) or "–"

    @admin.action(description=_("It is erased in Kommo now, by hand"))
    def done_by_hand(self, request: HttpRequest, rows: QuerySet[Forgetting]) -> None:
        count = erasing_in_kommo.done_by_hand(rows, who=request.user.get_username(), now=timezone.now())
        self.message_user(
            request,
            ngettext("%(count)d erasure noted as done.", "%(count)d erasures noted as done.", count) % {"count": count},
            messages.SUCCESS,
        )

    @admin.action(description=_("Try again"))
    def try_again(self, request: HttpRequest, rows: QuerySet[Forgetting]) -> None:
        accounts = erasing_in_kommo.try_again(rows, now=timezone.now())
        for account_id in accounts:
            nudge.send(account_id)
        self.message_user(request, _("It is tried again now."), messages.SUCCESS)
