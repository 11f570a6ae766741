"""The page that silences the agent in a whole pipeline, and lets it speak again: it says what that does, and asks."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from bridge.admin.rules.page_frame import show
from bridge.roles import OPERATE
from leads import emergency_stop
from leads.models import Pipeline


def silence(request: HttpRequest, row: Pipeline) -> HttpResponse:
    """Ask, and on a POST do: whoever may pause the agent for one lead may do so for all."""
    if not request.user.has_perm(OPERATE):
        raise PermissionDenied
    if request.method == "POST":
        now, by = timezone.now(), request.user.get_username()
        # The button says what it does: two people who silence it at once, or one who clicks twice, silence it.
        if request.POST.get("do") == "speak":
            emergency_stop.let_speak(row, by=by, now=now)
        else:
            emergency_stop.silence(row, by=by, reason=request.POST.get("reason", ""), now=now)
        return redirect("admin:rules_overview", row.pk)
    return show(request, "silence", row, "overview")
