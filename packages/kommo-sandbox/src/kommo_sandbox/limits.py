"""Kommo's ceiling: so many requests in any sliding second, a block for those who ignore the refusals."""

from __future__ import annotations

import random
from collections import deque

from kommo_sandbox.options import Options

WINDOW = 1.0  # seconds
ABUSE_WINDOW = 60.0  # seconds


class Limiter:
    """Counts arrivals; times are perf_counter seconds, in order of arrival."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._accepted: deque[float] = deque()
        self._refused: deque[float] = deque()
        self._blocked_until = 0.0
        self.most_in_a_second = 0
        self._arrivals: deque[float] = deque()
        self._random = random.Random(options.seed)

    def way(self) -> tuple[float, float]:
        """Return for how many seconds one call is on its way here, and how many it takes from then on."""
        options = self.options
        whole = options.latency * (1 + options.latency_jitter * self._random.uniform(-1, 1))
        return whole * options.latency_before, whole * (1 - options.latency_before)

    def arrive(self, at: float) -> bool:
        """Count one request; False when it goes over the ceiling. A refused one takes no place."""
        self._arrivals.append(at)
        _drop_before(self._arrivals, at - WINDOW)
        self.most_in_a_second = max(self.most_in_a_second, len(self._arrivals))
        if not self.options.requests_per_second:
            return True
        _drop_before(self._accepted, at - WINDOW)
        if len(self._accepted) < self.options.requests_per_second:
            self._accepted.append(at)
            return True
        self._refuse(at)
        return False

    def is_blocked(self, at: float) -> bool:
        return at < self._blocked_until

    def _refuse(self, at: float) -> None:
        self._refused.append(at)
        _drop_before(self._refused, at - ABUSE_WINDOW)
        if self.options.block_after and len(self._refused) >= self.options.block_after:
            self._blocked_until = at + self.options.block_seconds


def _drop_before(moments: deque[float], limit: float) -> None:
    while moments and moments[0] <= limit:
        moments.popleft()
