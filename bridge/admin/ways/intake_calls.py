"""What the ways in told: every call, what became of it, and reading it again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display

from bridge.admin.base import StaffAdmin, Tones
from bridge.admin.pages_about_leads import lead_link
from bridge.intakes import inbox
from bridge.models import IntakeCall, IntakeItem
from bridge.reasons import in_words


@admin.register(IntakeCall)
class IntakeCallAdmin(StaffAdmin):
    nothing_here = _("No messenger and no calendar has called yet.")
    list_display = ("received_at", "intake", "state_badge", "what_it_told", "fault")
    list_filter = ("state", "intake")
    list_select_related = ("intake",)
    fields = (("received_at", "intake", "state", "processed_at"), "what_it_told", "fault", "body_as_text")
    readonly_fields = ("what_it_told", "fault", "body_as_text", "received_at", "intake", "state", "processed_at")
    actions = ("read_again",)
    ordering = ("-received_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[IntakeCall]:
        rows: QuerySet[IntakeCall] = super().get_queryset(request).prefetch_related("items__lead")
        return rows

    @display(
        description=_("state"),
        label=Tones(
            {
                IntakeCall.State.RECEIVED: "info",
                IntakeCall.State.PROCESSED: "success",
                IntakeCall.State.FAILED: "danger",
            }
        ),
    )
    def state_badge(self, call: IntakeCall) -> tuple[str, str]:
        return call.state, str(call.get_state_display())

    @admin.display(description=_("what it told"))
    def what_it_told(self, call: IntakeCall) -> SafeString:
        return format_html_join(", ", "{}: {} {}", (self._told(item) for item in call.items.all()))

    def _told(self, item: IntakeItem) -> tuple[str, str, SafeString | str]:
        who = lead_link(item.lead) if item.lead else f"({in_words(item.reason)})" if item.reason else ""
        return item.what, str(item.get_result_display()), who

    @admin.display(description=_("error"))
    def fault(self, call: IntakeCall) -> str:
        return in_words(call.error)

    @admin.display(description=_("body"))
    def body_as_text(self, call: IntakeCall) -> SafeString:
        text = bytes(call.body).decode(errors="replace")[:20_000]
        return format_html('<pre class="whitespace-pre-wrap">{}</pre>', text)

    @admin.action(description=_("Read again"), permissions=["operate"])
    def read_again(self, request: HttpRequest, rows: QuerySet[IntakeCall]) -> None:
        done = inbox.reprocess(rows, now=timezone.now())
        self.message_user(
            request,
            ngettext("%(count)d call will be read again.", "%(count)d calls will be read again.", done)
            % {"count": done},
        )
