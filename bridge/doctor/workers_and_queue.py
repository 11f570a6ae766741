"""Is a worker alive, does the queue move, and do all clocks agree?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_q.brokers import get_broker
from redis.exceptions import RedisError

from bridge import redis_clients
from bridge.accounts import database_clock
from bridge.doctor.finding import Finding, span_in_words
from bridge.models import Heartbeat

WORKER_SILENT_AFTER = timedelta(minutes=1)
CLOCKS_MAY_DIFFER_BY = timedelta(seconds=5)


def check_queue(now: datetime) -> Iterator[Finding]:
    try:
        waiting = get_broker().queue_size()
        if settings.REDIS_URL:
            redis_clients.connect().ping()
    except (RedisError, OSError) as error:
        message = _("Redis does not answer: %(reason)s") % {"reason": error}
        yield Finding("queue", message, _("check REDIS_URL and that Redis runs"))
        return
    slow = _("start another worker, or look why the running one is slow")
    yield Finding(
        "queue",
        ngettext("%(count)d task waits", "%(count)d tasks wait", waiting) % {"count": waiting}
        if waiting
        else _("no task waits"),
        slow if waiting > 1000 else "",
    )


def check_workers(now: datetime) -> Iterator[Finding]:
    newest = Heartbeat.objects.order_by("-at").values_list("at", flat=True).first()
    remedy = _("start manage.py worker (make run starts it too), and see that its service restarts it")
    if newest is None:
        yield Finding("worker", _("no worker is at work"), remedy, "worker")
    elif now - newest > WORKER_SILENT_AFTER:
        yield Finding(
            "worker", _("no sign of life for %(age)s") % {"age": span_in_words(now - newest)}, remedy, "worker"
        )
    else:
        count = Heartbeat.objects.filter(at__gt=now - WORKER_SILENT_AFTER).count()
        yield Finding("worker", _("%(count)d at work") % {"count": count})


def check_clocks(now: datetime) -> Iterator[Finding]:
    skew = database_clock.measure() if connection.vendor == "postgresql" else timedelta(0)
    if abs(skew) > CLOCKS_MAY_DIFFER_BY:
        message = _("this host's clock and the database's differ by %(age)s") % {"age": span_in_words(abs(skew))}
        yield Finding("clock", message, _("set both by a time service (NTP)"))
        return
    common = now + (database_clock.skew() if connection.vendor == "postgresql" else timedelta(0))
    ahead = Heartbeat.objects.filter(at__gt=common + CLOCKS_MAY_DIFFER_BY).order_by("-at").first()
    if ahead:
        message = _("the clock of worker %(worker)s is %(age)s ahead: the agent may refuse what it signs")
        words = {"worker": ahead.worker, "age": span_in_words(ahead.at - common)}
        yield Finding("clock", message % words, _("set the clock of every host by a time service (NTP)"))
