"""How often something was done within a span of the clock; shared by all processes when the cache is."""

from __future__ import annotations

import time

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)


def count(name: str, *, seconds: int) -> int:
    """Count once more under this name, and return how often it was within the span of `seconds` that is now.

    Counting is a courtesy among callers: while the cache is away nobody is counted, and nobody refused.
    """
    key = f"{name}:{int(time.time()) // seconds}"
    try:
        if cache.add(key, 1, timeout=2 * seconds):
            return 1
        return int(cache.incr(key))
    except ValueError:
        # The span ended between the two calls.
        return 1
    except (RedisError, OSError) as error:
        log.warning("not_counted", error=type(error).__name__)
        return 0
