"""What `manage.py doctor` says, as a page: what is wrong first, each with its remedy."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from bridge.admin.dashboard import attention, standing
from bridge.doctor import examine
from bridge.doctor.finding import Finding
from bridge.models import Account
from bridge.selectors import health_figures
from followups.followups_of_a_day import today


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
        **standing(_concerns(found, now)),
        "well": [finding for finding in found if finding.is_well and not finding.advice],
        "asked": asked,
        "now": now,
    }
    return render(request, "admin/health.html", context)


def _concerns(found: list[Finding], now: datetime) -> list[attention.Concern]:
    if any(finding.check == "database" and not finding.is_well for finding in found):
        # Everything else reads the database.
        return attention.plain(found)
    accounts = list(Account.objects.order_by("pk"))
    beat, followups = health_figures.pulse(accounts, now=now), today(settings.TIME_ZONE, now=now)
    return attention.everything(accounts, beat, followups, found, now=now)
