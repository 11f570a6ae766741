"""Is the process serving, is the installation usable, and what are its figures?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hmac import compare_digest

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from bridge.doctor.workers_and_queue import WORKER_SILENT_AFTER
from bridge.metrics import families
from bridge.models import Card, Heartbeat
from bridge.selectors.backlog import backlog

LOOPBACK = frozenset({"127.0.0.1", "::1"})
_migrated = False


class Probes:
    """Middleware: answer the two questions of machines before the host is looked at.

    Load balancers and containers ask by address, which no ALLOWED_HOSTS names.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = PROBES.get(request.path_info)
        return answer(request) if answer else self._get_response(request)


def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 once the database answers and every migration is applied; 503 with the reason otherwise."""
    try:
        pending = _pending_migrations()
    except (DatabaseError, InterfaceError):
        return JsonResponse({"status": "the database does not answer"}, status=503)
    if pending:
        return JsonResponse({"status": f"{pending} migration(s) to apply: run manage.py migrate"}, status=503)
    return JsonResponse({"status": "ready"})


PROBES = {"/healthz": healthz, "/readyz": readyz}


def _pending_migrations() -> int:
    # Applied migrations stay applied: once all were, only the connection is left to check.
    global _migrated
    if _migrated:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return 0
    executor = MigrationExecutor(connection)
    pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    _migrated = not pending
    return pending


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus's text to loopback, or to whoever bears METRICS_TOKEN; 404 to everybody else."""
    if not _may_scrape(request):
        return HttpResponse(status=404)
    registry = CollectorRegistry()
    registry.register(Collector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _may_scrape(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
            return True
    # A proxy on this host makes everybody look like loopback.
    return request.META.get("REMOTE_ADDR") in LOOPBACK and "X-Forwarded-For" not in request.headers


class Collector:
    """Figures from the database: the same from whichever process is asked, whichever process did the work."""

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        yield from self._cards()
        alive = Heartbeat.objects.filter(at__gt=timezone.now() - WORKER_SILENT_AFTER).count()
        yield GaugeMetricFamily("bridge_workers", "Workers whose cluster executes tasks.", value=alive)
        yield from families()

    def _cards(self) -> Iterator[GaugeMetricFamily]:
        counts = dict(Card.objects.values_list("state").annotate(Count("id")))
        cards = GaugeMetricFamily("bridge_cards", "Cards by state.", labels=["state"])
        for state in Card.State.values:
            cards.add_metric([state], counts.get(state, 0))
        yield cards
        since = Card.objects.filter(state__in=Card.PENDING).aggregate(since=Min("pending_since"))["since"]
        age = (timezone.now() - since).total_seconds() if since else 0
        yield GaugeMetricFamily(
            "bridge_oldest_pending_seconds", "Age of the oldest change not yet in Kommo.", value=age
        )
        waiting = backlog(now=timezone.now())
        yield GaugeMetricFamily("bridge_backlog_cards", "Cards that wait for Kommo.", value=waiting.left)
        yield GaugeMetricFamily(
            "bridge_backlog_cards_per_second", "Cards that left for Kommo, a second.", value=waiting.a_second
        )
        yield GaugeMetricFamily(
            "bridge_backlog_seconds",
            "Seconds until nothing waits, at the rate of the last minute; 0 while nothing leaves.",
            value=waiting.takes.total_seconds() if waiting.takes else 0,
        )
