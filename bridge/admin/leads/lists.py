"""The list of leads, and of everything that happened to any of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from unfold.decorators import display

from bridge import money_shown
from bridge.admin.leads import conversation, page, saved_views, staff_actions
from bridge.admin.leads.address_words import reached
from bridge.admin.leads.buttons import stands_with_people
from bridge.admin.leads.conversation import Page as Talk
from bridge.admin.leads.list_chips import InOrder, LeadList, OfResponsible, OnShelf
from bridge.admin.paging import KeysetChangeList, LogAdmin
from bridge.cards import nudge, outbox
from bridge.models import Card
from bridge.reasons import in_words
from bridge.selectors import finding_leads
from bridge.selectors.lead_list_cells import Glance
from bridge.selectors.stuck_cards import STUCK
from common.reasons import Reason
from leads import handoff
from leads.models import Event, JoinedLead, Lead

# What a list does not show of a lead and its card is not read either: most of a row's bytes.
UNSEEN = (
    "custom",
    "provenance",
    "concluded",
    "concluded_when_moved",
    *(f"card__{name}" for name in ("observed", "observed_contact", "agreed", "in_doubt", "unread", "kept_forms")),
    *(f"card__{name}" for name in ("of_before", "refused_parts", "ownership", "said_tags", "stages_to_visit")),
)
CURRENCY = "pipeline__account_link__account__currency"
VIEWS: tuple[tuple[str, str, Callable[..., HttpResponse]], ...] = (
    ("save", "views/save/", saved_views.save),
    ("change", "views/<int:view_id>/change/", saved_views.change),
    ("delete", "views/<int:view_id>/delete/", saved_views.delete),
    ("back", "views/back/", saved_views.bring_back),
)


def _cell(name: str, **shown: Any) -> SafeString:
    return SafeString(render_to_string(f"admin/lead/cell_{name}.html", shown))


def _glance(lead: Lead) -> Glance:
    return getattr(lead, "glance", None) or Glance()


class WaitingForAPerson(admin.SimpleListFilter):
    title = _("waiting for a person")
    parameter_name = "handoff"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, leads: QuerySet[Lead]) -> QuerySet[Lead]:
        if self.value() == "yes":
            return leads.exclude(handoff_source="")
        return leads.filter(handoff_source="") if self.value() == "no" else leads


@admin.register(Lead)
class LeadAdmin(LogAdmin):
    nothing_here = _("No lead yet. The first comes with the agent's first report.")
    list_display = ("who", "standing", "worth", "last", "coming", "responsible")
    # Pipelines and stages are few; nothing here reads the table of leads for its choices.
    list_filter = (OnShelf, OfResponsible, InOrder, WaitingForAPerson, "card__state", "stage", "pipeline")
    list_filter_submit = True
    search_fields = ("name",)
    search_help_text = _("Name, phone, e-mail, or the lead's number in Kommo")
    keyset = "updated_at"
    change_list_template = "admin/lead/list.html"
    actions = ("pause_agent", "resume_agent", "requeue")
    export_columns = (
        "name", "phone", "email", "pipeline__slug", "stage__name", "decision_reason", "bill_value", "chosen_flow",
        "qualification_score", "conversation_stage", "meeting_status", "meeting_starts_at", "handoff_source",
        "opted_out_at", "card__kommo_lead_id", "card__state", "created_at", "updated_at", CURRENCY,
    )  # fmt: skip
    export_heads = {CURRENCY: _("currency")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lead]:
        rows: QuerySet[Lead] = super().get_queryset(request)
        return rows.select_related("pipeline", "stage", "card").defer(*UNSEEN)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Lead], search_term: str
    ) -> tuple[QuerySet[Lead], bool]:
        return finding_leads.find(queryset, search_term), False

    def get_urls(self) -> list[URLPattern]:
        act = require_POST(self.admin_site.admin_view(self.act))
        talk, head = self.admin_site.admin_view(self.conversation), self.admin_site.admin_view(self.header)
        return [
            *(path(address, self._of_views(view), name=f"leads_view_{name}") for name, address, view in VIEWS),
            path("<uuid:lead_id>/do/<slug:do>/", act, name="leads_lead_do"),
            path("<uuid:lead_id>/conversation/", talk, name="leads_lead_conversation"),
            path("<uuid:lead_id>/header/", head, name="leads_lead_header"),
            *super().get_urls(),
        ]

    def _of_views(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """Return what is done with saved views, for whoever may look at leads."""

        @wraps(view)
        def guarded(request: HttpRequest, **named: Any) -> HttpResponse:
            if not self.has_view_permission(request):
                raise PermissionDenied
            return view(request, **named)

        found: Callable[..., HttpResponse] = require_POST(self.admin_site.admin_view(guarded))
        return found

    def act(self, request: HttpRequest, lead_id: Any, do: str) -> HttpResponse:
        return staff_actions.act(request, str(lead_id), do)

    def conversation(self, request: HttpRequest, lead_id: Any) -> HttpResponse:
        """Answer the newest messages alone, for the page to put in the place of those it shows."""
        return self._part(request, lead_id, "talk", lambda lead, talk: {"lead": lead, "talk": talk})

    def header(self, request: HttpRequest, lead_id: Any) -> HttpResponse:
        """Answer the head of the page alone, as the lead stands now."""
        return self._part(request, lead_id, "header", lambda lead, talk: page.header(request, lead, talk))

    def _part(
        self, request: HttpRequest, lead_id: Any, name: str, shown: Callable[[Lead, Talk], dict[str, Any]]
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if (lead := page.find(lead_id)) is None:
            raise Http404
        with timezone.override(lead.pipeline.time_zone):
            talk = conversation.page(lead, before="")
            return render(request, f"admin/lead/{name}.html", shown(lead, talk))

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

    # --- Columns: each is read at a glance, and on a phone they share three lines

    @display(description=_("lead"))
    def who(self, lead: Lead) -> SafeString:
        address = next(iter(reached(lead)), None)
        return _cell("who", lead=lead, address=address if address and address.value != str(lead) else None)

    @display(description=_("stage"))
    def standing(self, lead: Lead) -> SafeString:
        card = getattr(lead, "card", None)
        # Only what is not as it should be is said.
        trouble = card.get_state_display() if card and card.state in STUCK else ""
        is_silent = getattr(lead, "is_refused", False) and not lead.in_handoff
        return _cell("standing", lead=lead, glance=_glance(lead), trouble=trouble, is_silent=is_silent)

    @display(description=_("value"))
    def worth(self, lead: Lead) -> str:
        return (
            money_shown.written(lead.bill_value, lead.pipeline, with_cents=False) if lead.bill_value is not None else ""
        )

    @display(description=_("last message"))
    def last(self, lead: Lead) -> SafeString:
        message = _glance(lead).last
        return _cell("last", lead=lead, message=message, said=conversation.line(message, lead) if message else "")

    @display(description=_("next step"))
    def coming(self, lead: Lead) -> SafeString:
        return _cell("coming", lead=lead, glance=_glance(lead))

    @display(description=_("responsible"))
    def responsible(self, lead: Lead) -> str:
        return _glance(lead).responsible

    @admin.action(description=_("Pause the agent"), permissions=["operate"])
    def pause_agent(self, request: HttpRequest, leads: QuerySet[Lead]) -> None:
        reason = Reason("paused_by", a=request.user)
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
        reason = Reason("resumed_by", a=request.user)
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
        return (queryset.filter(lead__in=finding_leads.ids(search_term)) if search_term else queryset), False

    @admin.display(description=_("reason"))
    def why(self, event: Event) -> str:
        return in_words(event.reason)
