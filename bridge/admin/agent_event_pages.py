"""What the agent was told: every event, whether it was taken, and telling it again."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action, display

from bridge.admin.base import Tones
from bridge.admin.pages_about_leads import AboutLeads, lead_link, pretty
from bridge.agent import agent_events
from bridge.models import AgentEvent
from bridge.reasons import in_words


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
                date_format(localtime(datetime.fromisoformat(attempt["at"])), "SHORT_DATETIME_FORMAT"),
                attempt["status"] or "–",
                f"{attempt['seconds']:.1f} s",
                in_words(attempt["error"]) or _("taken"),
            )
            for attempt in reversed(event.tries or ())
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
