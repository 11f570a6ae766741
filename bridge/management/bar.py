"""How far is a long command, how fast does it go, and when will it be done?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

WIDTH = 24
# A terminal's line is drawn anew so often; a file or a log gets a line so seldom.
DRAWN_EVERY_SECONDS, SAID_EVERY_SECONDS = 0.2, 10.0


class Bar:
    """One line about a command's progress. `total` is how much there is, as far as anybody knows; 0 for unknown."""

    def __init__(self, out: TextIO, what: str, *, total: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._what, self._total, self._clock = out, what, total, clock
        self._is_drawn = out.isatty()
        self._began, self._told_at = clock(), float("-inf")

    def at(self, done: int) -> None:
        """Tell how much is done, unless that was told just now."""
        now = self._clock()
        every = DRAWN_EVERY_SECONDS if self._is_drawn else SAID_EVERY_SECONDS
        if now - self._told_at < every:
            return
        self._told_at = now
        text = line(self._what, done, self._total, now - self._began)
        self._out.write(f"\r\x1b[K{text}" if self._is_drawn else f"{text}\n")
        self._out.flush()

    def end(self) -> None:
        """Leave the line as it is; what is printed next begins another."""
        if self._is_drawn and self._told_at != float("-inf"):
            self._out.write("\n")


def line(what: str, done: int, total: int, seconds: float) -> str:
    """Return the line: a bar where the whole is known, the rate, and the time it still takes."""
    rate = done / seconds if seconds > 0 else 0.0
    parts = [f"{done:,} of about {total:,} {what}" if done < total else f"{done:,} {what}"]
    if rate >= 1:
        parts.append(f"{rate:,.0f} a second")
    if rate and done < total:
        parts.append(f"{_span((total - done) / rate)} left")
    full = min(WIDTH, WIDTH * done // total) if total else 0
    return (f"  [{'#' * full}{'.' * (WIDTH - full)}] " if total else "  ") + ", ".join(parts)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
