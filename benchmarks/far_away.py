"""How fast a backlog drains where Kommo is far away: 30, 400 and 1 000 ms a call, each call 20 % more or less.

Every card is due at once, first to be created and then to be updated, by a real worker; and once more while Kommo's
webhooks about our own writes come back at once. Against: the calls the ceiling allows, 50 cards each. Half of a call's
time lies before Kommo counts it, which its own clock tells of: how many calls came in any second, and how many it
refused. At 1 000 ms seven calls may be under way, as docs/performance.md tells for that distance.

At each distance a quarter as many cards go first, by a worker that has never called there: told, without a target.

BENCH_CARDS says how many cards (10 000), BENCH_MS which distances.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

from django.db import connection, transaction
from django.utils import timezone

from benchmarks import cards
from benchmarks.backlog import AFTER_A_PAUSE_SECONDS, BATCH_SIZE, drained, worker_is_idle
from benchmarks.figures import Figure, at_most, percentile
from benchmarks.harness import Bench, say, wait_until
from bridge.accounts import webhook_subscription
from bridge.accounts.connection import client_for
from bridge.models import Account, Card, Delivery
from leads.models import Lead

JITTER = 0.2
LONGEST_DRAIN_SECONDS = 600.0
# Milliseconds a call, calls at once, and what is asked for of the ceiling.
DISTANCES = ((30, 4, 0.9), (400, 4, 0.85), (1000, 7, 0.8))
BEFORE_COUNTED = float(os.environ.get("BENCH_BEFORE", "0.5"))


def run(bench: Bench) -> Iterator[Figure]:
    count = int(os.environ.get("BENCH_CARDS", bench.size(10_000, 1_000)))
    wanted = os.environ.get("BENCH_MS", "30,400,1000").split(",")
    account = cards.connect(bench)
    bench.start_web()
    number = 0
    for milliseconds, at_once, target in DISTANCES:
        if str(milliseconds) not in wanted:
            continue
        bench.environment["KOMMO_CALLS_AT_ONCE"] = str(at_once)
        Account.objects.update(distances={})
        bench.start_worker()
        wait_until(worker_is_idle, within_seconds=60, what="the worker's first heartbeat")
        at = f"at {milliseconds} ms"
        for how, share, wanted_share in (
            (", nothing known of the way", 4, None),
            ("", 1, target),
            (", webhooks at once", 1, target),
        ):
            _hear(bench, account, "webhooks" in how)
            cards.adjust(bench, account, requests_per_second=cards.KOMMO_CEILING, batch_size=BATCH_SIZE)
            bench.options(latency=milliseconds / 1000, latency_jitter=JITTER, latency_before=BEFORE_COUNTED)
            where = f"{at}{how} {bench.on}"
            yield from _there_and_back(bench, account, count // share, number, where, wanted_share)
            number += 1
            if not how:
                yield _while_it_drains(account, count, where)
            bench.options(latency=0.0, latency_before=0.0)
        bench.stop_process("worker")


def _hear(bench: Bench, account: Account, webhooks: bool) -> None:
    """Let Kommo tell of everything at once, or of nothing."""
    cards.adjust(bench, account, requests_per_second=cards.NO_CEILING)
    client = client_for(account)
    address = f"{bench.web_url}/webhooks/kommo/{account.webhook_secret}/"
    if webhooks:
        client.subscribe(address, webhook_subscription.SETTINGS)
    else:
        for webhook in client.webhooks():
            client.unsubscribe(webhook.destination)


def _there_and_back(
    bench: Bench, account: Account, count: int, number: int, where: str, target: float | None
) -> Iterator[Figure]:
    theory = count / (cards.KOMMO_CEILING * BATCH_SIZE)
    for what in ("created", "updated"):
        time.sleep(AFTER_A_PAUSE_SECONDS)
        say(f"    {count:,} cards to be {what} {where}, at best in {theory:.1f} s")
        # Nothing is sent before the whole backlog is there.
        Account.objects.update(state=Account.State.PAUSED)
        if what == "created":
            cards.add_leads(account, count, after=Lead.objects.count())
            if number:
                # Looking for people reads what has changed lately, which is all that was sent just before.
                Card.objects.filter(kommo_lead_id=None).update(looked_for_at=timezone.now())
        else:
            cards.change_newest(count, 200 + number)
        Account.objects.update(state=Account.State.ACTIVE, nudged_at=None)
        start = bench.journal_end()
        seconds = drained(account, count)
        calls = [entry for entry in bench.journal(since=start) if entry["counted"]]
        yardstick = f"{cards.KOMMO_CEILING} calls a second × {BATCH_SIZE} cards ({seconds:.1f} s for {theory:.1f})"
        yield Figure(f"{count:,} cards {what} {where}", theory / seconds, yardstick, ">=" if target else "", target)
        refused = sum(entry["status"] == 429 for entry in calls)
        yield at_most(0, f"answers of 429 while they were {what} {where}", refused, f"{len(calls)} calls")
        most = _most_in_a_second([entry["monotonic"] for entry in calls])
        yield at_most(cards.KOMMO_CEILING, f"calls in any second while they were {what} {where}", most, "Kommo's clock")


def _while_it_drains(account: Account, count: int, where: str) -> Figure:
    """Let people talk, two a second, one after the other, while a backlog of bulk work drains."""
    oldest = Card.objects.order_by("pk").select_related("lead__pipeline", "lead__stage")
    people = [card.lead for card in oldest[: count // 10]]
    ids = [lead.pk for lead in people]
    cards.change_newest(count - len(people), 999, lane=Card.Lane.BULK)
    waiting = Card.objects.filter(state__in=Card.PENDING).exclude(lead__in=ids)
    started, is_over = timezone.now(), threading.Event()

    def talk() -> None:
        for number, lead in enumerate(people):
            if is_over.wait(0.5):
                break
            lead.name = f"Pessoa {where} {number}"
            with transaction.atomic():
                lead.save()
        connection.close()

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        wait_until(lambda: not waiting.exists(), within_seconds=LONGEST_DRAIN_SECONDS, what="the end of the backlog")
    finally:
        is_over.set()
        thread.join()
    wait_until(lambda: not cards.pending(), within_seconds=60, what="the delivery of what was said last")
    theirs = Delivery.objects.filter(card__lead__in=ids, at__gte=started, outcome=Delivery.Outcome.DELIVERED)
    lags = [lag / 1000 for lag in theirs.filter(card__lane=Card.Lane.LIVE).values_list("lag_ms", flat=True) if lag]
    name = f"event to card while {count:,} others drain {where}, p95"
    return at_most(2, name, percentile(lags, 95), f"two seconds ({len(lags)} events)")


def _most_in_a_second(moments: list[float]) -> int:
    moments.sort()
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 1:
            first += 1
        most = max(most, last - first + 1)
    return most
