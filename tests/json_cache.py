"""A cache in memory that keeps what a cache in Redis would: what would come back changed, or not at all, shows here."""

from __future__ import annotations

from typing import Any

from django.core.cache.backends.locmem import LocMemCache

from bridge.redis_clients import JsonSerializer


class JsonCache(LocMemCache):
    def add(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> bool:
        return super().add(key, through_json(value), *args, **kwargs)

    def set(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> None:
        super().set(key, through_json(value), *args, **kwargs)


def through_json(value: Any) -> Any:
    kept = JsonSerializer().dumps(value)
    return kept if type(kept) is int else JsonSerializer().loads(kept)
