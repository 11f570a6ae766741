"""What Kommo told: every webhook as it came, what became of it, and reading it again."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action, display

from bridge.admin.base import Tones
from bridge.admin.pages_about_leads import pretty
from bridge.admin.paging import LogAdmin
from bridge.models import WebhookEvent, WebhookItem
from bridge.webhooks import parsing
from bridge.webhooks.inbox import reprocess

# Of a body that is larger than a person reads.
RAW_SHOWN = 20_000
ITEMS_SHOWN = 200


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
        rows = [
            {
                "what": f"{item.entity} {item.action} {item.kommo_id or ''}".strip(),
                "result": str(labels.get(item.result, item.result)) + (f": {item.error}" if item.error else ""),
                "data": item.data,
            }
            for item in items
        ]
        if not rows:
            read = parsing.parse(bytes(event.body))
            rows = [
                {"what": f"{item.entity} {item.action} {item.kommo_id or ''}".strip(), "data": item.data}
                for item in read.items[:ITEMS_SHOWN]
            ] or [{"problem": parsing.SAID[read.problem] if read.problem else ""}]
        return pretty(rows)

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
