"""What `manage.py doctor` says, as a page: what is wrong first, each with its remedy."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from bridge.doctor import examine


def health(request: HttpRequest) -> HttpResponse:
    """Examine our own rows at once; Kommo is asked only when somebody presses the button, for that costs calls."""
    if not request.user.has_perm("bridge.view_account"):
        raise PermissionDenied
    asked = request.method == "POST" and request.user.has_perm("bridge.operate")
    now = timezone.now()
    found = examine(now, ask_kommo=asked, language=get_language() or "en")
    context = {
        **admin.site.each_context(request),
        "title": _("Health"),
        "wrong": [finding for finding in found if not finding.is_well],
        "well": [finding for finding in found if finding.is_well],
        "asked": asked,
        "now": now,
    }
    return render(request, "admin/health.html", context)
