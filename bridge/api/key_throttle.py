"""So many calls a second for one key, and of what takes long one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.cache import cache
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from bridge.attempt_counter import count
from bridge.models import ApiKey

# Above the longest a request can take: a web server that died in one gives the place back.
LONGEST_SECONDS = 60


class KeyThrottle(BaseThrottle):
    """Counts calls per key and clock second."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if request.auth is None:
            return True
        return bool(count(f"calls:{request.auth.pk}", seconds=1) <= settings.API_REQUESTS_PER_SECOND)

    def wait(self) -> float:
        return 1.0


@contextmanager
def one_at_a_time(key: ApiKey, what: str) -> Iterator[None]:
    """Let a key have one of these under way. Raises Throttled for a second one.

    A batch is up to 500 calls in one, a preview looks at leads for most of a second: a few of them side by side would
    take every thread from everybody else.
    """
    name = f"{what}:{key.pk}"
    if not cache.add(name, 1, timeout=LONGEST_SECONDS):
        raise exceptions.Throttled(wait=1, detail=f"This key has a {what} under way; send the next after its answer.")
    try:
        yield
    finally:
        cache.delete(name)
