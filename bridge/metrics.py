"""The bridge's running totals: added to by every process, in batches, read by whoever scrapes.

A process collects what it counted and adds it to the database at most once every few seconds, so that counting costs
nothing at the moment of the event. What a killed process had not added yet is lost: figures are for people, truth is in
the rows.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from bridge.models.figure import Figure

ADD_EVERY_SECONDS = 2.0

COUNTERS = {
    "bridge_interactions": ("Interactions recorded.", ()),
    "bridge_kommo_requests": ("Calls to Kommo.", ("method", "status")),
    "bridge_webhooks": ("Events in webhooks, by what became of them.", ("result",)),
    "bridge_intakes": ("Things told by ways in, by what became of them.", ("result",)),
    "bridge_followups": ("Follow-up attempts, by outcome.", ("outcome",)),
}
HISTOGRAMS = {
    "bridge_kommo_request_seconds": ("Duration of calls to Kommo.", (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)),
    "bridge_delivery_lag_seconds": (
        "From a change of a lead to its card in Kommo.",
        (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0),
    ),
    "bridge_followup_lateness_seconds": ("From due to sent.", (0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0, 3600.0)),
}

_counted: Counter[tuple[str, str]] = Counter()
_lock = threading.Lock()
_added_at = time.monotonic()


def count(name: str, *labels: object, by: float = 1) -> None:
    """Count an event of a counter above."""
    with _lock:
        _counted[name, "\n".join(map(str, labels))] += by  # type: ignore[assignment]
    _add_when_due()


def observe(name: str, seconds: float) -> None:
    """Add a duration to a histogram above."""
    with _lock:
        for bound in HISTOGRAMS[name][1]:
            if seconds <= bound:
                _counted[name, f"le\n{bound}"] += 1
        _counted[name, "le\n+Inf"] += 1
        _counted[name, "sum"] += seconds  # type: ignore[assignment]
    _add_when_due()


def add_now() -> None:
    """Add what this process has counted to the database."""
    global _added_at
    with _lock:
        counted = dict(_counted)
        _counted.clear()
        _added_at = time.monotonic()
    # One commit for all: each waits for the disk. In one order everywhere, so that nobody waits in a circle.
    with transaction.atomic():
        for (name, labels), value in sorted(counted.items()):
            if not Figure.objects.filter(name=name, labels=labels).update(value=F("value") + value):
                Figure.objects.bulk_create([Figure(name=name, labels=labels)], ignore_conflicts=True)
                Figure.objects.filter(name=name, labels=labels).update(value=F("value") + value)


def families() -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
    """Yield every counter and histogram with its totals, those still at zero too."""
    add_now()
    totals: dict[str, dict[str, float]] = {}
    for figure in Figure.objects.all():
        totals.setdefault(figure.name, {})[figure.labels] = figure.value
    for name, (text, labels) in COUNTERS.items():
        counter = CounterMetricFamily(name, text, labels=labels)
        for values, value in (totals.get(name) or ({"": 0.0} if not labels else {})).items():
            counter.add_metric(values.split("\n") if labels else [], value)
        yield counter
    for name, (text, bounds) in HISTOGRAMS.items():
        counted = totals.get(name, {})
        buckets = [(str(bound), counted.get(f"le\n{bound}", 0.0)) for bound in (*bounds, "+Inf")]
        histogram = HistogramMetricFamily(name, text)
        histogram.add_metric([], buckets=buckets, sum_value=counted.get("sum", 0.0))
        yield histogram


def _add_when_due() -> None:
    if time.monotonic() - _added_at < ADD_EVERY_SECONDS:
        return
    if transaction.get_connection().in_atomic_block:
        # A statement that fails ends the transaction it stands in, and whatever else was to be stored by that.
        transaction.on_commit(_add_quietly)
    else:
        _add_quietly()


def settle() -> None:
    """Add what was counted now, since nothing more may be counted for long."""
    with contextlib.suppress(DatabaseError, InterfaceError):
        add_now()


def _add_quietly() -> None:
    if time.monotonic() - _added_at >= ADD_EVERY_SECONDS:
        settle()
