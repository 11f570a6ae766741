"""Two hundred accounts of one installation, each with a little to do, on two workers and Kommo at 400 ms a call.

One of them is in a backlog of 5 000 cards, and one answers after 25 seconds. For a minute, seven events a second come
for the others. Against: three seconds from an event to its card.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import requests
from django.db import transaction
from django.utils import timezone

from benchmarks import cards
from benchmarks.figures import Figure, at_most, percentile, shown
from benchmarks.harness import Bench, Broken, say, wait_until
from bridge.cards import outbox
from bridge.models import Account, AccountPipeline, Card, Catalogue, Delivery
from leads.models import Lead, Pipeline, Stage

EVENTS_A_SECOND = 7.0
CARDS_EACH = 3
FIRST_PIPELINE_ID = 77_000_000
LATENCY, SLOW = 0.4, 25.0
SECONDS_ALLOWED = 3.0


def run(bench: Bench) -> Iterator[Figure]:
    count, backlog, seconds = bench.size(200, 40), bench.size(5_000, 1_000), bench.size(60, 20)
    first = cards.connect(bench)
    with _kommos(count) as urls:
        say(f"    {count} accounts are made")
        busy, dead, *others = [_another(first, number, url) for number, url in enumerate(urls)]
        _no_more_polls()
        _set(busy, requests_per_second=cards.KOMMO_CEILING)
        for account in others:
            _add_cards(account, CARDS_EACH)
        for name in ("worker", "worker-2"):
            bench.start_worker(name)
        wait_until(lambda: not cards.pending(), within_seconds=300, what="the creation of all cards")
        for account in (busy, *others):
            _set(account, latency=LATENCY, latency_jitter=0.2, latency_before=0.5)
        _set(dead, latency=SLOW)
        _add_cards(dead, CARDS_EACH)
        _add_cards(busy, backlog)
        started = timezone.now()
        _talk(others, seconds)
        theirs = Card.objects.filter(account__in=others, state__in=Card.PENDING)
        wait_until(lambda: not theirs.exists(), within_seconds=120, what="the delivery of all events")
        left = Delivery.objects.filter(account__in=others, at__gte=started, outcome=Delivery.Outcome.DELIVERED)
        lags = [lag / 1000 for lag in left.values_list("lag_ms", flat=True) if lag is not None]
        if not lags:
            raise Broken("nothing was delivered")
        yardstick = f"{len(lags)} events of {len(others)} accounts"
        yield at_most(
            SECONDS_ALLOWED, f"event to card of many accounts, p95 {bench.on}", percentile(lags, 95), yardstick
        )
        yield shown(f"event to card of many accounts, half {bench.on}", percentile(lags, 50), yardstick)


@contextmanager
def _kommos(count: int) -> Iterator[list[str]]:
    """Run so many local Kommos in a process of their own; yield their addresses."""
    command = [sys.executable, "-m", "benchmarks.many_kommos", str(count), str(FIRST_PIPELINE_ID)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def _set(account: Account, **options: Any) -> None:
    """Let an account's Kommo behave so."""
    requests.post(f"{account.base_url}/_sandbox/options", json=options, timeout=10).raise_for_status()


def _another(first: Account, number: int, url: str) -> Account:
    """Make one more account like the first, with a Kommo and a pipeline of its own."""
    account = Account.objects.get(pk=first.pk)
    account.pk, account.name, account.base_url = None, f"account {number}", url
    # Their Kommo has the stages it comes with, and no field of ours.
    account.webhook_secret, account.bridge_id_field_id = f"secret-{number}", None
    account._state.adding = True
    account.save()
    kommo_id = FIRST_PIPELINE_ID + number
    catalogue = Catalogue.objects.get(account=first)
    catalogue.pipelines = [known | {"id": kommo_id} for known in catalogue.pipelines[:1]]
    catalogue.pk, catalogue.account, catalogue._state.adding = None, account, True
    catalogue.save()
    pipeline = Pipeline.objects.get(slug="solar")
    stages = list(pipeline.stages.all())
    pipeline.pk, pipeline.slug, pipeline.is_default, pipeline._state.adding = None, f"p{number}", False, True
    pipeline.kommo_pipeline_id = kommo_id
    pipeline.save()
    for stage in stages:
        stage.pk, stage.pipeline, stage._state.adding = None, pipeline, True
    Stage.objects.bulk_create(stages)
    AccountPipeline.objects.create(account=account, pipeline=pipeline)
    return account


def _no_more_polls() -> None:
    """Let comparing be over for this hour. Each one's feed of events is read every minute all the same."""
    now = timezone.now()
    Account.objects.update(polled_at=now, polled_until=now, compared_at=now, webhook_checked_at=now)


def _add_cards(account: Account, count: int) -> None:
    pipeline, now = account.pipeline_links.get().pipeline, timezone.now()
    stage = pipeline.stages.exclude(kommo_status_id=None).order_by("pk").first()
    moments = {"stage_set_at": now, "created_at": now, "updated_at": now}
    Lead.objects.bulk_create(
        (Lead(pipeline=pipeline, name=f"Pessoa {number}", stage=stage, **moments) for number in range(count)),
        batch_size=500,
    )
    outbox.adopt_orphans(account, now=now)
    Account.objects.filter(pk=account.pk).update(nudged_at=None)


def _talk(accounts: Sequence[Account], seconds: int) -> None:
    """Let people say something new, one after the other."""
    luck, due_at = random.Random(1), time.monotonic()
    leads = list(Lead.objects.filter(card__account__in=accounts).select_related("pipeline", "stage"))
    for number in range(int(seconds * EVENTS_A_SECOND)):
        lead = luck.choice(leads)
        lead.name = f"Pessoa {number}"
        with transaction.atomic():
            lead.save()
        due_at += 1 / EVENTS_A_SECOND
        time.sleep(max(0.0, due_at - time.monotonic()))
