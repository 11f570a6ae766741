"""Times on the admin's pages are those of the default pipeline, where its people work, not of the server."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from bridge.admin.is_admin_request import is_for_the_admin
from leads.models import Pipeline

CACHE_KEY = "admin-zone"
KEPT_SECONDS = 60


class ZoneMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_for_the_admin(request):
            return self.get_response(request)
        with timezone.override(zone()):
            return self.get_response(request)


@receiver(post_save, sender=Pipeline)
def _forget(**_: Any) -> None:
    cache.delete(CACHE_KEY)


def zone() -> zoneinfo.ZoneInfo:
    """Return the zone of the default pipeline; TIME_ZONE while there is none, or it names no zone."""
    name = cache.get(CACHE_KEY)
    if name is None:
        known = Pipeline.objects.order_by("-is_default", "pk").values_list("time_zone", flat=True).first()
        name = known or settings.TIME_ZONE
        cache.set(CACHE_KEY, name, KEPT_SECONDS)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo(settings.TIME_ZONE)
