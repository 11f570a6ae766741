"""What the pages of rules have in common: who may see them, their tabs, their addresses."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from bridge.configuration import drafts, sentences
from bridge.models import Reevaluation
from leads.models import Pipeline

View = Callable[..., HttpResponse]
ICONS = {
    "stages": "view_kanban",
    "conversation": "forum",
    "qualification": "verified",
    "fields": "data_object",
    "sequences": "schedule_send",
    "hours": "bedtime",
}


def may_change(request: HttpRequest) -> bool:
    return request.user.has_perm("leads.change_pipeline")


def page(view: View, *, changes: bool = False) -> View:
    """Let staff who may see (or change) pipelines in, and hand the view its pipeline."""

    @wraps(view)
    def guarded(request: HttpRequest, pk: int, **more: Any) -> HttpResponse:
        if not (
            may_change(request) if changes else request.user.has_perm("leads.view_pipeline") or may_change(request)
        ):
            raise PermissionDenied
        return view(request, get_object_or_404(Pipeline, pk=pk), **more)

    wrapped: View = admin.site.admin_view(guarded)
    return wrapped


def show(request: HttpRequest, template: str, row: Pipeline, here: str, **context: Any) -> HttpResponse:
    """Answer with one of the rules pages; `here` is the tab it belongs to."""
    draft = context.get("prepared") or drafts.prepared(row)
    tabs = [("", _("Overview"), "menu_book", address("overview", row))]
    tabs += [(key, str(title), ICONS[key], address("section", row, section=key)) for key, title in sentences.SECTIONS]
    tabs.append(("history", _("History"), "history", address("history", row)))
    return TemplateResponse(
        request,
        f"admin/rules/{template}.html",
        admin.site.each_context(request)
        | {
            "title": row.name,
            "subtitle": _("Rules"),
            "row": row,
            "here": here,
            "tabs": tabs,
            "pipelines": list(Pipeline.objects.order_by("name")) if here != "review" else [],
            "prepared": draft,
            "may_change": may_change(request),
            "under_way": Reevaluation.objects.filter(pipeline=row, ended_at=None).first(),
        }
        | context,
    )


def address(name: str, row: Pipeline, **more: Any) -> str:
    return reverse(f"admin:rules_{name}", kwargs={"pk": row.pk, **more})
