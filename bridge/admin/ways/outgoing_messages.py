"""What is said to leads by the ways out: every message, how it stands, and why it waits or was refused."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from bridge.admin.base import Tones
from bridge.admin.pages_about_leads import AboutLeads, lead_link
from bridge.models import Outgoing
from bridge.reasons import in_words
from leads.models import Message

State = Message.State


@admin.register(Outgoing)
class OutgoingAdmin(AboutLeads):
    lead_path = "lead"
    keyset = "created_at"
    nothing_here = _("No message has left by a way out yet.")
    list_display = ("created_at", "whose", "excerpt", "channel", "state_badge", "why")
    list_filter = (("message__state", admin.ChoicesFieldListFilter), ("channel", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("lead", "message", "channel")
    fields = (
        "whose",
        "words",
        "channel",
        "state_now",
        "why",
        "parts",
        "tried_before",
        "changes",
        "created_at",
        "due_at",
    )
    readonly_fields = fields

    @admin.display(description=_("lead"))
    def whose(self, row: Outgoing) -> SafeString:
        return lead_link(row.lead)

    @admin.display(description=_("text"))
    def excerpt(self, row: Outgoing) -> str:
        return Truncator(row.message.text).chars(80) or "–"

    @admin.display(description=_("text"))
    def words(self, row: Outgoing) -> str:
        return row.message.text or "–"

    @display(
        description=_("state"),
        label=Tones(
            {
                State.QUEUED: "info",
                State.SENT: "info",
                State.DELIVERED: "success",
                State.NOT_DELIVERED: "danger",
                State.REFUSED: "warning",
            }
        ),
    )
    def state_badge(self, row: Outgoing) -> tuple[str, str]:
        return row.message.state, str(row.message.get_state_display())

    @admin.display(description=_("state"))
    def state_now(self, row: Outgoing) -> str:
        return str(row.message.get_state_display())

    @admin.display(description=_("reason"))
    def why(self, row: Outgoing) -> str:
        return in_words(row.message.reason or row.reason) or "–"

    @admin.display(description=_("parts of messages"))
    def parts(self, row: Outgoing) -> SafeString:
        lines = [
            (part.position, Truncator(part.text).chars(80), str(part.get_state_display()), in_words(part.reason))
            for part in row.message.parts.order_by("position")
        ]
        return format_html_join("", "<p>{}. {} · {} {}</p>", lines)

    @admin.display(description=_("tried before"))
    def tried_before(self, row: Outgoing) -> SafeString:
        return format_html_join(
            "", "<p>{}: {}</p>", [(attempt["channel"], in_words(attempt["reason"])) for attempt in row.tried]
        )
