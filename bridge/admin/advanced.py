"""The rules' tables as they are stored, for whoever looks after the installation: a page of links to them."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from bridge.roles import ADVANCED
from leads.models import (
    FieldMapping,
    Pipeline,
    Qualification,
    Stage,
    StageMapping,
    UnmappedConversationStage,
    UnmappedFlow,
)

TABLES = (Pipeline, Stage, StageMapping, UnmappedConversationStage, UnmappedFlow, Qualification, FieldMapping)


def page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(ADVANCED):
        raise PermissionDenied
    tables = [
        {
            "title": str(model._meta.verbose_name_plural),
            "url": reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"),
            "rows": model._default_manager.count(),
        }
        for model in TABLES
    ]
    context = {**admin.site.each_context(request), "title": _("Advanced"), "tables": tables}
    return render(request, "admin/advanced.html", context)
