"""Every request the sandbox has received, in order of arrival: what a test asserts on."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from kommo_sandbox.answers import Json


@dataclass
class Entry:
    """One request; `status` is None while it is under way and stays so when the connection was dropped."""

    index: int
    # Seconds of the machine's monotonic clock (perf_counter), comparable between processes of one host.
    monotonic: float
    at: str
    method: str
    path: str
    query: Json
    body: Any
    # Does it count for the ceiling, and did it go over?
    counted: bool
    over_ceiling: bool = False
    write: bool = False
    status: int | None = None
    # Ids of leads the request read by id, created or changed.
    lead_ids: list[int] = field(default_factory=list)
    # Was anything changed? True for drop_after, whose status is None.
    applied: bool = False
    fault: str | None = None
    duration_seconds: float = 0.0
    request_id: str = ""
    user_agent: str = ""
    # The body of an answer of 400 and above.
    refusal: Any = None


class Journal:
    """A bounded list of entries; indexes go on counting when the oldest fall out."""

    def __init__(self, limit: int) -> None:
        self.entries: deque[Entry] = deque(maxlen=limit)
        self.count = 0

    def open(self, *, monotonic: float, method: str, path: str, counted: bool) -> Entry:
        entry = Entry(
            index=self.count,
            monotonic=monotonic,
            at=datetime.now(UTC).isoformat(timespec="microseconds"),
            method=method,
            path=path,
            query={},
            body=None,
            counted=counted,
            write=method not in ("GET", "HEAD"),
        )
        self.count += 1
        self.entries.append(entry)
        return entry

    def since(self, index: int, limit: int | None = None) -> list[Json]:
        """Return the entries from `index` on, oldest first."""
        # A copy: requests go on arriving.
        entries = list(self.entries)
        first = entries[0].index if entries else 0
        chosen = islice(entries, max(0, index - first), None)
        return [asdict(entry) for entry in islice(chosen, limit)]

    def statistics(self) -> Json:
        statuses = Counter(str(entry.status or "dropped") for entry in self.entries)
        return {
            "requests": self.count,
            "writes": sum(entry.write and entry.counted for entry in self.entries),
            "over_ceiling": sum(entry.over_ceiling for entry in self.entries),
            "statuses": dict(sorted(statuses.items())),
        }
