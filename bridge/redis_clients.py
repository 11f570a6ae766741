"""How we speak to Redis: every call bounded in time, and a Redis that is away harms nothing that was accepted.

The cache only counts the agent's calls; without it they are not counted. The queue only says "look"; the worker's clock
looks anyway, and asks again until Redis is back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

import orjson
import redis
import structlog
from django.conf import settings
from django.core.cache.backends.redis import RedisCache
from django_q.brokers.redis_broker import Redis as QueueBroker
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 2
# Above the second for which the queue waits for a message.
ANSWER_SECONDS = 5
# The library would try for several seconds, in which an agent waits for its answer.
AT_ONCE = {
    "socket_connect_timeout": CONNECT_SECONDS,
    "socket_timeout": ANSWER_SECONDS,
    "retry": Retry(NoBackoff(), 1),
}


# A request waits for its cache: a Redis that takes calls and answers none costs it this once, then nothing for a while.
IN_A_REQUEST = {"socket_connect_timeout": 0.3, "socket_timeout": 0.3, "retry": Retry(NoBackoff(), 0)}
LEFT_ALONE_SECONDS = 5.0
AS_IT_WAS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def connect() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, **AT_ONCE)


class Broker(QueueBroker):  # type: ignore[misc]
    """django-q2's Redis broker with our bounds."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        return connect()


def _or(instead: T) -> Callable[[Callable[Concatenate[Cache, P], T]], Callable[Concatenate[Cache, P], T]]:
    """Let a cache's method return something else while Redis is away."""

    def decorate(method: Callable[Concatenate[Cache, P], T]) -> Callable[Concatenate[Cache, P], T]:
        @wraps(method)
        def bold(self: Cache, /, *args: P.args, **kwargs: P.kwargs) -> T:
            if time.monotonic() < self.left_alone_until:
                return instead
            try:
                return method(self, *args, **kwargs)
            except (RedisError, OSError) as error:
                self.left_alone_until = time.monotonic() + LEFT_ALONE_SECONDS
                log.warning("cache_away", error=type(error).__name__)
                return instead

        return bold

    return decorate


class JsonSerializer:
    """What is kept is JSON: Django would keep Python's pickles, and whoever writes to Redis would run code here.

    Raises TypeError for what would come back as something else than it was: a dataclass, a date.
    """

    def dumps(self, value: Any) -> Any:
        # Numbers as they are, so that Redis can count them.
        return value if type(value) is int else orjson.dumps(value, option=AS_IT_WAS)

    def loads(self, kept: bytes) -> Any:
        try:
            return orjson.loads(kept)
        except orjson.JSONDecodeError:
            # Of an earlier version, or not ours: as good as not there.
            return None


class Cache(RedisCache):
    """A cache that holds nothing while Redis is away, instead of failing whoever asks or keeping them waiting."""

    # One for the process: each of its threads has a cache of its own.
    _left_alone_until: ClassVar[dict[str, float]] = {}

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        self._server = server
        options = IN_A_REQUEST | {"serializer": JsonSerializer()} | params.get("OPTIONS", {})
        super().__init__(server, params | {"OPTIONS": options})

    @property
    def left_alone_until(self) -> float:
        return self._left_alone_until.get(self._server, 0.0)

    @left_alone_until.setter
    def left_alone_until(self, until: float) -> None:
        self._left_alone_until[self._server] = until

    @_or(True)
    def add(self, *args: Any, **kwargs: Any) -> bool:
        return super().add(*args, **kwargs)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        found = self._found(key, version)
        return default if found is None else found

    @_or(None)
    def _found(self, key: Any, version: int | None) -> Any:
        return super().get(key, None, version)

    @_or(None)
    def set(self, *args: Any, **kwargs: Any) -> None:
        super().set(*args, **kwargs)

    @_or(1)
    def incr(self, *args: Any, **kwargs: Any) -> int:
        return super().incr(*args, **kwargs)

    @_or(False)
    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return super().delete(*args, **kwargs)
