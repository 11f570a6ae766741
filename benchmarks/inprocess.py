"""Views called in this process, through everything a web server would call; several of them in turns.

Taking turns is what makes their ratio hold still on a machine that does not: whatever slows one slows all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory

from benchmarks.harness import Broken, Progress

# Calls that nobody times: imports, prepared connections, compiled rules.
WARM_UP = 20


class Caller:
    """Makes requests and counts the seconds inside the application."""

    def __init__(self, **headers: str) -> None:
        self._application = get_wsgi_application()
        self._factory = RequestFactory(SERVER_NAME="localhost", headers=headers)

    def call(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> tuple[float, bytes]:
        """Return the seconds it took and the answer. Raises Broken when it is no success."""
        environ = self._factory.generic(method, path, body, content_type).environ
        statuses: list[str] = []

        def start_response(status: str, headers: Any, error: Any = None) -> Any:
            statuses.append(status)

        started = time.perf_counter()
        response: Any = self._application(environ, start_response)
        content = b"".join(response)
        # Ends the request as a server does: connections are looked after here.
        response.close()
        seconds = time.perf_counter() - started
        if not statuses[0].startswith("2"):
            raise Broken(f"{method} {path} answered {statuses[0]}: {content[:300]!r}")
        return seconds, content


def in_turns(calls: Mapping[str, Callable[[int], float]], rounds: int) -> dict[str, list[float]]:
    """Make each call once a round, in changing order; return the seconds by name. Each is told its number."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    order, shuffle, progress = list(calls), random.Random(1).shuffle, Progress("rounds", rounds)
    for number in range(WARM_UP + rounds):
        shuffle(order)
        for name in order:
            taken = calls[name](number)
            if number >= WARM_UP:
                seconds[name].append(taken)
        progress.at(max(0, number + 1 - WARM_UP))
    return seconds


def typical(seconds: list[float]) -> float:
    """Return the mean of the middle half: what an interruption by another process cannot move."""
    ordered = sorted(seconds)
    quarter = len(ordered) // 4
    return fmean(ordered[quarter : len(ordered) - quarter])
