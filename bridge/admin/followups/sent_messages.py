"""What went out, one row for each message, and how each step of a sequence does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from bridge.admin import moments_shown
from bridge.admin.base import ReadOnlyAdmin, Tones, safe
from bridge.reasons import in_words
from followups.models import Attempt, Sequence
from followups.selectors import outcomes

PERIODS = (7, 30, 90, 365)
USUAL_PERIOD = 30

# Green is what the person got, and nothing else: what was only logged, declined or never confirmed is amber.
STATE_COLOURS = Tones(
    {
        Attempt.State.SENT.value: "success",
        Attempt.State.SENDING.value: "info",
        Attempt.State.WOULD_SEND.value: "info",
        Attempt.State.SKIPPED.value: "neutral",
        Attempt.State.MISSED.value: "danger",
        Attempt.State.UNREACHABLE.value: "danger",
        Attempt.State.NOT_DELIVERED.value: "danger",
        Attempt.State.HANDED_OVER.value: "info",
        Attempt.State.DECLINED.value: "warning",
        Attempt.State.NOT_SENT.value: "warning",
        Attempt.State.UNCONFIRMED.value: "warning",
        Attempt.State.DROPPED.value: "warning",
    }
)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    nothing_here = _("No follow-up has been sent yet.")
    list_display = ("when", "who", "which", "excerpt", "state_badge", "why", "tries", "answered")
    list_filter = ("state", ("enrollment__sequence", admin.RelatedOnlyFieldListFilter), "step")
    list_filter_submit = True
    search_fields = ("id", "enrollment__lead__phone", "enrollment__lead__name")
    search_help_text = _("Phone, name, or the id the agent was told")
    list_select_related = ("enrollment__lead", "enrollment__sequence")
    ordering = ("-created_at",)
    actions_list = ("figures",)
    fields = (
        "id", "who", "which", "state", "why", "text", "template_id", "due_at", "created_at", "ended_at",
        "tries", "retry_at", "answered_at", "booked_at", "opted_out_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("created at"), ordering="created_at")
    def when(self, attempt: Attempt) -> SafeString:
        return moments_shown.cell(attempt.created_at)

    @admin.display(description=_("answered"), ordering="answered_at")
    def answered(self, attempt: Attempt) -> SafeString:
        return moments_shown.cell(attempt.answered_at)

    @display(description=_("lead"), ordering="enrollment__lead__name", header=True)
    def who(self, attempt: Attempt) -> tuple[str, str]:
        lead = attempt.enrollment.lead
        return str(lead), lead.phone or ""

    @admin.display(description=_("step"))
    def which(self, attempt: Attempt) -> str:
        return f"{attempt.enrollment.sequence} · {attempt.step}"

    @admin.display(description=_("text"))
    def excerpt(self, attempt: Attempt) -> str:
        return Truncator(attempt.text).chars(80) or "–"

    @display(description=_("state"), ordering="state", label=STATE_COLOURS)
    def state_badge(self, attempt: Attempt) -> tuple[str, str]:
        return attempt.state, str(attempt.get_state_display())

    @admin.display(description=_("reason"))
    def why(self, attempt: Attempt) -> str:
        return in_words(attempt.reason) or "–"

    @safe
    @action(description=_("Step results"), icon="bar_chart", permissions=["view"])
    def figures(self, request: HttpRequest) -> HttpResponse:
        return self.outcomes_view(request)

    # --- Figures

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.outcomes_view)
        return [path("outcomes/", view, name="followups_attempt_outcomes"), *super().get_urls()]

    def outcomes_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = request.GET.get("days", "")
        days = int(asked) if asked in {str(period) for period in PERIODS} else USUAL_PERIOD
        since = timezone.now() - timedelta(days=days)
        sequences: QuerySet[Sequence] = Sequence.objects.select_related("pipeline").order_by("pipeline", "id")
        tables = [
            {"sequence": sequence, "rows": [_row(outcome) for outcome in outcomes(sequence, since=since)]}
            for sequence in sequences
        ]
        context = {**self.admin_site.each_context(request), "title": _("Step results"), "tables": tables}
        return TemplateResponse(request, "admin/followups/outcomes.html", context | {"days": days, "periods": PERIODS})


def _row(counts: dict[str, Any]) -> dict[str, Any]:
    """Add what share of the messages sent was answered, booked after, and opted out after."""
    sent = counts["sent"]
    shares = {f"{name}_share": counts[name] / sent if sent else None for name in ("answered", "booked", "opted_out")}
    return counts | shares | {"answered_percent": round(100 * (shares["answered_share"] or 0))}
