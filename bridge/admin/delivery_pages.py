"""What was sent to Kommo: every write, and what came of it. Read-only, newest first."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from bridge.admin.base import Tones
from bridge.admin.pages_about_leads import AboutLeads, lead_link, pretty
from bridge.models import Delivery
from bridge.reasons import in_words


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
        return in_words(delivery.reason)

    @admin.display(description=_("error"))
    def fault(self, delivery: Delivery) -> str:
        return in_words(delivery.error)

    @admin.display(description=_("sent"))
    def sent_as_text(self, delivery: Delivery) -> SafeString:
        return pretty(delivery.sent)
