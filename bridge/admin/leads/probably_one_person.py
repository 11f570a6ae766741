"""Two leads that are probably one person, each with a card: the evidence, and a person's word on it."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from bridge.admin.base import ReadOnlyAdmin
from bridge.admin.leads.address_words import of_key
from bridge.models import Card
from leads import joining
from leads.models import Lead, ProbablySame

# So many of a lead's doubts its page shows; all of them stand in the list.
DOUBTS_SHOWN = 3


@dataclass(frozen=True)
class Doubt:
    """A pair, as the page of one of the two shows it: the other one, both cards, and what calls them one person."""

    pair: ProbablySame
    other: Lead
    kept: Card | None
    left: Card | None
    evidence: list[str]


def doubts(lead: Lead) -> list[Doubt]:
    """Return with whom a lead is probably one person. One query."""
    rows = ProbablySame.objects.filter(Q(older=lead) | Q(younger=lead), are_two=False)
    rows = rows.select_related("older__card__account", "younger__card__account").order_by("-last_seen_at", "pk")
    return [
        Doubt(
            pair=row,
            other=row.younger if row.older_id == lead.pk else row.older,
            kept=getattr(row.older, "card", None),
            left=getattr(row.younger, "card", None),
            evidence=list(map(of_key, row.evidence)),
        )
        for row in rows[:DOUBTS_SHOWN]
    ]


@admin.register(ProbablySame)
class ProbablySameAdmin(ReadOnlyAdmin):
    nothing_here = _("No two leads look like one person.")
    list_display = ("the_older", "the_younger", "because", "first_seen_at", "last_seen_at", "are_two")
    list_display_links = None
    list_filter = ("are_two",)
    list_select_related = ("older__card", "younger__card")
    ordering = ("are_two", "-last_seen_at", "pk")
    actions = ("join", "keep_apart")
    fields = ("the_older", "the_younger", "because", "first_seen_at", "last_seen_at", "are_two")
    readonly_fields = fields

    @admin.display(description=_("stays, with its card"))
    def the_older(self, row: ProbablySame) -> str:
        return _lead(row.older)

    @admin.display(description=_("becomes the older one"))
    def the_younger(self, row: ProbablySame) -> str:
        return _lead(row.younger)

    @admin.display(description=_("told together, as of one person"))
    def because(self, row: ProbablySame) -> str:
        return ", ".join(map(of_key, row.evidence))

    @admin.action(
        description=_(
            "Join: the older lead stays with all that both know, and so does its card. "
            "The other card stays in Kommo as it is, and is nobody's here; merge the two in Kommo if you like."
        )
    )
    def join(self, request: HttpRequest, rows: QuerySet[ProbablySame]) -> None:
        name, now = request.user.get_username(), timezone.now()
        done = sum(joining.join_by_hand(row, name=name, now=now) is not None for row in rows)
        self.message_user(
            request,
            ngettext("%(count)d pair of leads joined.", "%(count)d pairs of leads joined.", done) % {"count": done},
            messages.SUCCESS,
        )

    @admin.action(description=_("Keep apart: they are two people, and nobody is asked again"))
    def keep_apart(self, request: HttpRequest, rows: QuerySet[ProbablySame]) -> None:
        done = rows.update(are_two=True)
        self.message_user(
            request,
            ngettext("%(count)d pair is two people.", "%(count)d pairs are two people each.", done) % {"count": done},
            messages.SUCCESS,
        )


def _lead(lead: Lead) -> str:
    card = getattr(lead, "card", None)
    number = _("card %(number)s") % {"number": card.kommo_lead_id} if card and card.kommo_lead_id else ""
    address = reverse("admin:leads_lead_change", args=[lead.pk])
    return format_html('<a class="kb-link" href="{}">{}</a> {} {}', address, lead, lead.phone or "", number)
