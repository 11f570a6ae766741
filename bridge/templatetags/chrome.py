"""What stands around every page: its name, and the bar at the bottom of a phone."""

from __future__ import annotations

from typing import Any

from django import template

register = template.Library()


@register.inclusion_tag("admin/bottom_bar.html", takes_context=True)
def bottom_bar(context: template.Context) -> dict[str, Any]:
    # The admin's modules load templates themselves, so they cannot be loaded with this one.
    from bridge.admin import navigation

    request = context["request"]
    if not request.user.is_authenticated:
        return {"links": []}
    return {"links": navigation.at_hand(request), "finds": request.user.has_perm("leads.view_lead")}


@register.simple_tag
def page_parts(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return where a page lies, each part called as the sidebar calls it, without the app that stores its rows."""
    from bridge.admin import navigation

    called = navigation.titles()
    lists = [part for part in parts if not str(part.get("link", "")).rstrip("/").endswith(APPS)]
    return [part | {"title": called.get(str(part.get("link", "")), part["title"])} for part in lists]


APPS = tuple(f"/admin/{app}" for app in ("leads", "followups", "bridge", "auth", "admin", "django_q"))
