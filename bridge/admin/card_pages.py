"""Cards: what Kommo is known to hold, what waits and why, and the few actions that free what is stuck."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display

from bridge.admin.base import Tones
from bridge.admin.pages_about_leads import AboutLeads, lead_link, pretty
from bridge.cards import nudge, outbox
from bridge.cards.why_cards_wait import wait_of
from bridge.inbound import missing_leads
from bridge.models import Card
from bridge.reasons import in_words


@admin.register(Card)
class CardAdmin(AboutLeads):
    lead_path = "lead"
    nothing_here = _("No card has been made yet.")
    list_display = ("whose", "kommo_lead_id", "state_badge", "waits_for", "due_at", "attempts", "synced_at")
    # The first column is a link to the lead already: a link within it would have no words.
    list_display_links = ("kommo_lead_id",)
    list_filter = ("state", "lane")
    list_select_related = ("lead", "account")
    actions = ("requeue", "recreate", "close")
    fields = (
        ("whose", "kommo_lead_id", "kommo_contact_id"),
        ("state", "waits_for", "due_at", "pending_since"),
        ("attempts", "last_error", "synced_at"),
        "observed_as_text",
        "agreed_as_text",
        "ownership_as_text",
    )
    readonly_fields = ("whose", "waits_for", "observed_as_text", "agreed_as_text", "ownership_as_text")

    @admin.display(description=_("lead"))
    def whose(self, card: Card) -> SafeString:
        return lead_link(card.lead)

    @display(
        description=_("state"),
        label=Tones(
            {
                Card.State.IN_SYNC: "success",
                Card.State.SHOWN: "info",
                Card.State.DUE: "info",
                Card.State.RETRYING: "warning",
                Card.State.BLOCKED: "danger",
                Card.State.DEAD: "danger",
                Card.State.GONE: "warning",
            }
        ),
    )
    def state_badge(self, card: Card) -> tuple[str, str]:
        return card.state, str(card.get_state_display())

    @admin.display(description=_("waiting for"))
    def waits_for(self, card: Card) -> str:
        wait = wait_of(card, now=timezone.now())
        return in_words(wait.reason) if wait else ""

    @admin.display(description=_("what Kommo holds"))
    def observed_as_text(self, card: Card) -> SafeString:
        return pretty(card.observed)

    @admin.display(description=_("last sync"))
    def agreed_as_text(self, card: Card) -> SafeString:
        return pretty(card.agreed)

    @admin.display(description=_("who set what"))
    def ownership_as_text(self, card: Card) -> SafeString:
        return pretty(card.ownership)

    @admin.action(description=_("Send to Kommo again"))
    def requeue(self, request: HttpRequest, cards: QuerySet[Card]) -> None:
        done = outbox.requeue(cards, now=timezone.now(), lane=Card.Lane.LIVE)
        _nudge(cards)
        self.message_user(
            request,
            ngettext("%(count)d card will be sent again.", "%(count)d cards will be sent again.", done)
            % {"count": done},
        )

    @admin.action(description=_("Make new cards for those that are gone"))
    def recreate(self, request: HttpRequest, cards: QuerySet[Card]) -> None:
        done = missing_leads.recreate(cards, who=str(request.user), now=timezone.now())
        self.message_user(
            request,
            ngettext("%(count)d card will be made anew.", "%(count)d cards will be made anew.", done) % {"count": done},
        )

    @admin.action(description=_("Close: nothing is written to this card any more"))
    def close(self, request: HttpRequest, cards: QuerySet[Card]) -> None:
        done = missing_leads.close(cards, who=str(request.user), now=timezone.now())
        self.message_user(
            request, ngettext("%(count)d card closed.", "%(count)d cards closed.", done) % {"count": done}
        )


def _nudge(cards: QuerySet[Card]) -> None:
    for account_id in cards.values_list("account_id", flat=True).distinct():
        nudge.send(account_id)
