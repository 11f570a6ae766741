"""So many calls a second for one key; shared by all processes when the cache is."""

from __future__ import annotations

import time

import structlog
from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

log = structlog.get_logger(__name__)


class KeyThrottle(BaseThrottle):
    """Counts calls per key and clock second."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if request.auth is None:
            return True
        name = f"calls:{request.auth.pk}:{int(time.time())}"
        try:
            if cache.add(name, 1, timeout=2):
                return True
            return bool(cache.incr(name) <= settings.API_REQUESTS_PER_SECOND)
        except ValueError:
            # The second ended between the two calls.
            return True
        except (RedisError, OSError) as error:
            # Counting is a courtesy among callers who have a key; without it we serve, and do not refuse.
            log.warning("calls_not_counted", error=type(error).__name__)
            return True

    def wait(self) -> float:
        return 1.0
