"""Connections to Kommo that stand between one drain and the next: making one takes as long as three calls far away.

Each process keeps its own, for a short while only: whoever is idle for long may be hung up on in the very moment that a
write leaves, and then nobody knows what became of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import requests

# Well below what servers keep an idle connection for.
KEPT_SECONDS = 20.0


class Sessions:
    """Sessions nobody uses just now, by the address they are connected to. For several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._idle: dict[str, list[tuple[float, requests.Session]]] = {}
        self._lock = threading.Lock()

    def take(self, address: str) -> requests.Session | None:
        """Return the session used last; None for none that is young enough."""
        with self._lock:
            self._forget_old()
            kept = self._idle.get(address)
            return kept.pop()[1] if kept else None

    def give(self, address: str, session: requests.Session) -> None:
        with self._lock:
            self._forget_old()
            self._idle.setdefault(address, []).append((self._clock(), session))

    def _forget_old(self) -> None:
        before = self._clock() - KEPT_SECONDS
        for address, kept in list(self._idle.items()):
            while kept and kept[0][0] < before:
                kept.pop(0)[1].close()
            if not kept:
                del self._idle[address]


sessions = Sessions()
