"""What differs between a lead and its card, and what staff decide about it."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action, display

from bridge.admin.base import Tones
from bridge.admin.pages_about_leads import AboutLeads, lead_link
from bridge.errors import DriftError
from bridge.inbound import drifts
from bridge.models import Drift


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
