"""The list of leads, and of everything that happened to any of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from unfold.decorators import display

from bridge.admin.base import Tones
from bridge.admin.leads import acting, conversation, page
from bridge.admin.leads.buttons import stands_with_people
from bridge.admin.leads.reached import reached
from bridge.admin.paging import KeysetChangeList, LogAdmin
from bridge.cards import nudge, outbox
from bridge.models import Card
from bridge.reasons import told
from bridge.selectors import search
from bridge.templatetags.overview import age, moment
from leads import gate, handoff
from leads.models import Event, JoinedLead, Lead

STATE_COLOURS: dict[str, str] = {
    Card.State.IN_SYNC: "success",
    Card.State.SHOWN: "info",
    Card.State.DUE: "info",
    Card.State.RETRYING: "warning",
    Card.State.BLOCKED: "danger",
    Card.State.DEAD: "danger",
    Card.State.GONE: "warning",
    Card.State.CLOSED: "info",
}


class WaitingForAPerson(admin.SimpleListFilter):
    title = _("waiting for a person")
    parameter_name = "handoff"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, leads: QuerySet[Lead]) -> QuerySet[Lead]:
        if self.value() == "yes":
            return leads.exclude(handoff_source="")
        return leads.filter(handoff_source="") if self.value() == "no" else leads


class LeadList(KeysetChangeList):
    def _page(self) -> list[Any]:
        found: list[Any] = super()._page()
        prefetch_related_objects(found, "further_addresses")
        shut = gate.refusals(found)
        for lead in found:
            lead.is_refused = lead.pk in shut
        return found


@admin.register(Lead)
class LeadAdmin(LogAdmin):
    list_display = ("who", "stage_badge", "sync_badge", "why", "agent_badge", "when")
    # Pipelines and stages are few; nothing here reads the table of leads for its choices.
    list_filter = (WaitingForAPerson, "card__state", "stage", "pipeline")
    list_filter_submit = True
    search_fields = ("name",)
    search_help_text = _("Name, phone, e-mail, or the lead's number in Kommo")
    keyset = "updated_at"
    actions = ("pause_agent", "resume_agent", "requeue")
    export_columns = (
        "name", "phone", "email", "pipeline__slug", "stage__name", "decision_reason", "bill_value", "chosen_flow",
        "qualification_score", "conversation_stage", "meeting_status", "meeting_starts_at", "handoff_source",
        "opted_out_at", "card__kommo_lead_id", "card__state", "created_at", "updated_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lead]:
        rows: QuerySet[Lead] = super().get_queryset(request)
        return rows.select_related("pipeline", "stage", "card")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Lead], search_term: str
    ) -> tuple[QuerySet[Lead], bool]:
        return search.find(queryset, search_term), False

    def get_urls(self) -> list[URLPattern]:
        act = require_POST(self.admin_site.admin_view(self.act))
        talk = self.admin_site.admin_view(self.conversation)
        return [
            path("<uuid:lead_id>/do/<slug:do>/", act, name="leads_lead_do"),
            path("<uuid:lead_id>/conversation/", talk, name="leads_lead_conversation"),
            *super().get_urls(),
        ]

    def act(self, request: HttpRequest, lead_id: Any, do: str) -> HttpResponse:
        return acting.act(request, str(lead_id), do)

    def conversation(self, request: HttpRequest, lead_id: Any) -> HttpResponse:
        """Answer the newest messages alone, for the page to put in the place of those it shows."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        lead = get_object_or_404(Lead.objects.select_related("pipeline"), pk=lead_id)
        with timezone.override(lead.pipeline.time_zone):
            shown = {"lead": lead, "talk": conversation.page(lead, before="")}
            return render(request, "admin/lead/talk.html", shown)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the page of one lead; there is no form on it."""
        if request.method != "GET" or not self.has_view_permission(request):
            raise PermissionDenied
        try:
            lead = page.find(UUID(object_id))
        except ValueError:
            return self._no_such_lead(request)
        if lead is None and (joined := JoinedLead.objects.filter(former_id=object_id).first()):
            # An older link to somebody who is known as this one by now.
            return redirect("admin:leads_lead_change", joined.lead_id)
        if lead is None:
            return self._no_such_lead(request)
        with timezone.override(lead.pipeline.time_zone):
            shown = page.context(request, lead)
        context = {**self.admin_site.each_context(request), "opts": self.opts, **shown}
        return TemplateResponse(request, "admin/lead/page.html", context)

    def _no_such_lead(self, request: HttpRequest) -> HttpResponse:
        messages.warning(request, _("There is no such lead."))
        return redirect("admin:leads_lead_changelist")

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[KeysetChangeList]:
        return LeadList

    @display(description=_("lead"), header=True)
    def who(self, lead: Lead) -> tuple[str, str]:
        return str(lead), next((one.words for one in reached(lead)), "")

    @display(description=_("stage"), label=True)
    def stage_badge(self, lead: Lead) -> str:
        return lead.stage.name if lead.stage else f"? {lead.other_stage_name}"

    @display(description=_("Kommo"), label=Tones(STATE_COLOURS))
    def sync_badge(self, lead: Lead) -> tuple[str, str]:
        card = getattr(lead, "card", None)
        return (card.state, str(card.get_state_display())) if card else ("", str(_("no card")))

    @admin.display(description=_("reason"))
    def why(self, lead: Lead) -> str:
        return told(lead.decision_reason)

    @admin.display(description=_("updated"))
    def when(self, lead: Lead) -> SafeString:
        return format_html(
            '<span title="{}" class="whitespace-nowrap">{}</span>', moment(lead.updated_at), age(lead.updated_at)
        )

    @display(description=_("agent"), label=Tones({"paused": "warning", "silent": "warning", "answers": "success"}))
    def agent_badge(self, lead: Lead) -> tuple[str, str]:
        if lead.in_handoff:
            return "paused", str(_("paused"))
        # Switched off, or not one of those it serves: the lead's page says which.
        is_refused = getattr(lead, "is_refused", False)
        return ("silent", str(_("silent"))) if is_refused else ("answers", str(_("answers")))

    @admin.action(description=_("Pause the agent"), permissions=["operate"])
    def pause_agent(self, request: HttpRequest, leads: QuerySet[Lead]) -> None:
        reason = f"paused by {request.user}"
        done = sum(
            handoff.pause(lead, source=Lead.HandoffSource.ADMIN, by=Lead.Actor.STAFF, reason=reason, now=timezone.now())
            for lead in leads
        )
        self.message_user(
            request,
            ngettext("Agent paused for %(count)d lead.", "Agent paused for %(count)d leads.", done) % {"count": done},
        )

    @admin.action(description=_("Give the lead back to the agent"), permissions=["operate"])
    def resume_agent(self, request: HttpRequest, leads: QuerySet[Lead]) -> None:
        reason = f"resumed by {request.user}"
        with_people = [lead for lead in leads if stands_with_people(lead)]
        others = [lead for lead in leads if not stands_with_people(lead)]
        done = sum(handoff.resume(lead, by=Lead.Actor.STAFF, reason=reason, now=timezone.now()) for lead in others)
        self.message_user(
            request,
            ngettext("Agent resumed for %(count)d lead.", "Agent resumed for %(count)d leads.", done) % {"count": done},
        )
        if with_people:
            text = _("Left as they are, for their stage keeps the agent silent: %(leads)s. Their pages ask where to.")
            self.message_user(request, text % {"leads": ", ".join(map(str, with_people))}, messages.WARNING)

    @admin.action(description=_("Send to Kommo again"), permissions=["operate"])
    def requeue(self, request: HttpRequest, leads: QuerySet[Lead]) -> None:
        cards = Card.objects.filter(lead__in=list(leads.values_list("pk", flat=True)))
        done = outbox.requeue(cards, now=timezone.now(), lane=Card.Lane.LIVE)
        for account_id in cards.values_list("account_id", flat=True).distinct():
            nudge.send(account_id)
        self.message_user(
            request,
            ngettext("%(count)d card will be sent again.", "%(count)d cards will be sent again.", done)
            % {"count": done},
            messages.SUCCESS,
        )


@admin.register(Event)
class EventAdmin(LogAdmin):
    list_display = ("at", "lead", "kind", "actor", "why")
    list_filter = ("kind", "actor")
    list_filter_submit = True
    list_select_related = ("lead",)
    search_fields = ("lead__name",)
    search_help_text = _("Name, phone, e-mail, or the lead's number in Kommo")
    fields = ("at", "lead", "kind", "actor", "why", "data")
    readonly_fields = ("why",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        return (queryset.filter(lead__in=search.ids(search_term)) if search_term else queryset), False

    @admin.display(description=_("reason"))
    def why(self, event: Event) -> str:
        return told(event.reason)
