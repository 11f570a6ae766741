"""What somebody reads who guessed a password too often: for how long, and who can help. Looks like the login."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _


def page(request: HttpRequest, refused: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    """Answer an attempt that came too late; called by the guard of the logins (django-axes)."""
    context = {
        **admin.site.each_context(request),
        "title": _("Too many wrong passwords"),
        "username": (credentials or {}).get("username") or request.POST.get("username", ""),
    }
    return render(request, "admin/locked_out.html", context, status=429)
