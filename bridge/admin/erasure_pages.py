"""Who asked to be forgotten in Kommo too: what was done there, and what is left for a person to do."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display

from bridge.admin.base import Tones
from bridge.admin.pages_about_leads import lead_link
from bridge.admin.paging import LogAdmin
from bridge.cards import nudge
from bridge.delivery import erasing_in_kommo
from bridge.models import Forgetting
from bridge.reasons import in_words


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
        return in_words(row.problem) or "–"

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
