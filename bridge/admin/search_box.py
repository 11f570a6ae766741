"""One box that finds anything: people first, then pages, then what one may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bridge.admin.navigation import sidebar
from bridge.admin.rules.page_frame import ICONS
from bridge.configuration import sentences
from bridge.roles import EXPORT
from bridge.selectors import finding_leads
from leads.models import Lead, Pipeline
from leads.name_words import words

PEOPLE_SHOWN = 8
LONGEST = 200
# What is done from a page of its own: how it is called, its icon, the page's name, and what one needs for it.
ACTIONS: tuple[tuple[Any, str, str, str], ...] = (
    (gettext_lazy("Print the results"), "print", "results-page", "leads.view_lead"),
    (gettext_lazy("Export leads"), "download", "admin:leads_lead_changelist", EXPORT),
    (gettext_lazy("Change the rules"), "edit", "admin:rules", "leads.change_pipeline"),
    (gettext_lazy("Give an assistant a key"), "key", "admin:bridge_apikey_add", "bridge.add_apikey"),
    (gettext_lazy("Invite somebody"), "person_add", "admin:auth_user_add", "auth.add_user"),
)


@dataclass(frozen=True)
class Found:
    title: str
    description: str
    link: str
    icon: str


def page(request: HttpRequest) -> HttpResponse:
    """Answer what was found, as the box shows it. Five queries at most, whatever the tables hold."""
    if not request.user.has_perm("leads.view_lead"):
        raise PermissionDenied
    text = request.GET.get("s", "").strip()[:LONGEST].replace("\0", "")
    if not text:
        return HttpResponse()
    found = [*_people(text), *_pages(request, text), *_parts_of_the_rules(request, text), *_actions(request, text)]
    paginator = Paginator(found, len(found) or 1)
    context = {"results": paginator.page(1), "page_obj": paginator, "page_counter": 0}
    return render(request, "admin/found.html", context)


def _people(text: str) -> list[Found]:
    rows = finding_leads.find(Lead.objects.filter(erased_at=None), text).select_related("stage")
    return [
        Found(
            str(lead),
            " · ".join(filter(None, [lead.stage.name if lead.stage else lead.other_stage_name, lead.phone])),
            reverse("admin:leads_lead_change", args=[lead.pk]),
            "person",
        )
        for lead in rows.order_by("-created_at", "-pk")[:PEOPLE_SHOWN]
    ]


def _pages(request: HttpRequest, text: str) -> list[Found]:
    return [
        Found(str(item["title"]), str(section["title"]), item["link"], item["icon"])
        for section in sidebar(request)
        for item in section["items"]
        if _is_meant(str(item["title"]), text)
    ]


def _parts_of_the_rules(request: HttpRequest, text: str) -> list[Found]:
    """Return the editors of the default pipeline's rules: who changes one has to find it before."""
    if not request.user.has_perm("leads.change_pipeline"):
        return []
    return [
        Found(str(title), _("Rules"), f"{reverse('admin:rules')}?part={key}", ICONS[key])
        for key, title in sentences.SECTIONS
        if _is_meant(str(title), text)
    ]


def _actions(request: HttpRequest, text: str) -> list[Found]:
    found = [
        Found(str(label), _("action"), reverse(name), icon)
        for label, icon, name, permission in ACTIONS
        if request.user.has_perm(permission) and _is_meant(str(label), text)
    ]
    if request.user.has_perm("leads.change_pipeline"):
        found += [
            Found(title, _("action"), reverse("admin:rules_silence", args=[pipeline.pk]), "voice_over_off")
            for pipeline in Pipeline.objects.order_by("-is_default", "name")
            if _is_meant(title := _("%(pipeline)s: silence the agent") % {"pipeline": pipeline.name}, text)
        ]
    return found


def _is_meant(title: str, text: str) -> bool:
    """Say whether each word of a text begins a word of a title, in any order."""
    theirs = words(title)
    return bool(asked := words(text)) and all(
        any(title_word.startswith(word) for title_word in theirs) for word in asked
    )
