"""What Kommo's webhooks cost: storing one against a bare insert, and how many calls reading ten thousand takes.

Storing is timed in turns with the bare view, for the same body; what counts is the slow end, p99, because Kommo hangs
up after two seconds. The same once more through a web server, with twenty clients and bodies of fifty events: what was
acknowledged must be there. Then an inbox is processed under Kommo's ceiling: most bodies are echoes of our own writes,
some tell of a person's change, some are of no concern. Against: reading one lead back per call, 7 calls a second.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

import requests
from django.test import override_settings

from benchmarks import bare, bodies, cards
from benchmarks.figures import Figure, at_least, at_most, percentile, shown
from benchmarks.harness import POSTGRES, Bench, Broken, Progress, say
from benchmarks.inprocess import Caller, in_turns, typical
from bridge import tasks
from bridge.models import Account, Card, WebhookEvent, WebhookItem
from bridge.webhooks import reading_webhooks

# Of a hundred bodies: echoes of our own writes, changes by people; the rest is about messages.
ECHOES, CHANGES = 60, 30
ECHOES_PER_LEAD = 3
LEADS_PER_CALL = 250
PRICE_OF_A_PERSON = 77_777
EVENTS, CLIENTS = 50, 20
ACKNOWLEDGED_WITHIN = 0.1  # seconds


def run(bench: Bench) -> Iterator[Figure]:
    rounds, count = bench.size(3_000, 500), bench.size(10_000, 1_000)
    account = cards.connect(bench)
    bare.make_table()
    changed, echoed = count * CHANGES // 100, count * ECHOES // 100
    cards.add_leads(account, changed + echoed // ECHOES_PER_LEAD)
    cards.deliver(account)
    # What Kommo adds to a new lead by itself (who is responsible, say) is known once it has been read.
    tasks.poll(account.pk, full=True)
    while Account.objects.filter(comparing_since__isnull=False).exists():
        tasks.poll(account.pk, full=True)
    caller, address = Caller(), f"/webhooks/kommo/{account.webhook_secret}/"
    posts = _bodies(account, changed, count)
    yield from _storing(bench, caller, address, posts, rounds)
    yield from _acknowledging(bench, account, address)
    WebhookEvent.objects.all().delete()
    say(f"    {changed:,} changes by people, {count:,} bodies")
    _change_in_kommo(bench, changed)
    for body in posts:
        caller.call("POST", address, body, bodies.FORM)
    cards.adjust(bench, account, requests_per_second=cards.KOMMO_CEILING)
    yield from _processing(bench, account, echoed)


def _storing(bench: Bench, caller: Caller, address: str, posts: list[bytes], rounds: int) -> Iterator[Figure]:
    def post(path: str, number: int) -> float:
        return caller.call("POST", path, posts[number % len(posts)], bodies.FORM)[0]

    with override_settings(ROOT_URLCONF=bare.URLCONF):
        seconds = in_turns({"bare": lambda n: post("/bare/", n), "ours": lambda n: post(address, n)}, rounds)
    slow, slow_bare = percentile(seconds["ours"], 99), percentile(seconds["bare"], 99)
    yield at_most(2, f"storing a webhook, p99 {bench.on}", slow / slow_bare, f"bare insert ({slow_bare * 1000:.2f} ms)")
    rate = typical(seconds["bare"]) / typical(seconds["ours"])
    yield shown(f"storing a webhook, rate {bench.on}", rate, f"bare insert ({typical(seconds['bare']) * 1000:.2f} ms)")


def _acknowledging(bench: Bench, account: Account, address: str) -> Iterator[Figure]:
    """Post bodies of fifty events to a web server of its own, twenty at a time; what it took must be there."""
    cards_of_a_body = list(Card.objects.order_by("kommo_lead_id").values_list("kommo_lead_id", "observed")[:EVENTS])
    body = bodies.leads_updated(account.kommo_account_id or 0, cards_of_a_body, at=int(time.time()))
    before, count = WebhookEvent.objects.count(), bench.size(4_000, 400)
    # As it is deployed (deploy/gunicorn.conf.py).
    bench.start_web(workers=2, threads=4 if bench.database == POSTGRES else 2)

    def post(number: int) -> float:
        connection = _connection(bench.web_url)
        started = time.perf_counter()
        connection.request("POST", address, body, {"Content-Type": bodies.FORM})
        answer = connection.getresponse()
        answer.read()
        seconds = time.perf_counter() - started
        if answer.status != HTTPStatus.OK:
            raise Broken(f"the web server answered {answer.status}")
        return seconds

    with ThreadPoolExecutor(CLIENTS) as clients:
        # Connections and code are warm afterwards.
        list(clients.map(post, range(CLIENTS * 5)))
        seconds = list(clients.map(post, range(count)))
    stored = WebhookEvent.objects.count() - before
    if stored != count + CLIENTS * 5:
        raise Broken(f"{count + CLIENTS * 5 - stored} bodies were acknowledged and are not stored")
    slow = percentile(seconds, 99)
    name = f"webhook of {EVENTS} events acknowledged, p99, {CLIENTS} clients {bench.on}"
    yield at_most(1, name, slow / ACKNOWLEDGED_WITHIN, f"{ACKNOWLEDGED_WITHIN * 1000:.0f} ms ({slow * 1000:.0f} ms)")


_local = threading.local()


def _connection(web_url: str) -> HTTPConnection:
    """Return this thread's own connection, kept open as Kommo keeps it.

    The bare one: a client that does more for each call takes the processors it shares with what is measured.
    """
    if not hasattr(_local, "connection"):
        _local.connection = HTTPConnection(urlsplit(web_url).netloc, timeout=30)
    connection: HTTPConnection = _local.connection
    return connection


def _processing(bench: Bench, account: Account, echoed: int) -> Iterator[Figure]:
    start, started, received = bench.journal_end(), time.perf_counter(), WebhookEvent.objects.count()
    progress, waiting = Progress("bodies", received), received
    while waiting:
        reading_webhooks.process_inbox(account.pk)
        before = waiting
        waiting = WebhookEvent.objects.filter(state=WebhookEvent.State.RECEIVED).count()
        if waiting == before:
            raise Broken(f"{waiting} bodies stay unread")
        progress.at(received - waiting)
    seconds = time.perf_counter() - started
    results = Counter(WebhookItem.objects.values_list("result", flat=True))
    if results[WebhookItem.Result.FAILED] or WebhookEvent.objects.filter(state=WebhookEvent.State.FAILED).exists():
        raise Broken("a body could not be read")
    calls = [entry for entry in bench.journal(since=start) if entry["counted"]]
    yield at_most(
        received // LEADS_PER_CALL,
        f"calls for {received:,} webhooks {bench.on}",
        len(calls),
        f"one for {LEADS_PER_CALL} bodies",
    )
    yield at_least(
        10,
        f"processing {received:,} webhooks, rate {bench.on}",
        received / seconds / cards.KOMMO_CEILING,
        f"a call for each, {cards.KOMMO_CEILING} a second ({received / seconds:,.0f} a second)",
    )
    known = results[WebhookItem.Result.ECHO] / echoed
    yield at_least(1, f"echoes known without a call {bench.on}", known, f"{echoed:,} bodies that echo our own writes")


def _bodies(account: Account, changed: int, count: int) -> list[bytes]:
    """Return bodies in a mixed order; the first `changed` cards are those that people change."""
    kommo_id, at = account.kommo_account_id or 0, int(time.time())
    rows = list(Card.objects.order_by("kommo_lead_id").values_list("kommo_lead_id", "observed"))
    news, ours = rows[:changed], rows[changed:]
    posts = [
        bodies.lead_updated(kommo_id, lead_id, observed, at=at, price=PRICE_OF_A_PERSON) for lead_id, observed in news
    ] + [
        bodies.lead_updated(kommo_id, lead_id, observed, at=at, price=observed.get("price") or 0)
        for lead_id, observed in ours * ECHOES_PER_LEAD
    ]
    posts += [bodies.message_added(kommo_id, rows[number][0], at=at) for number in range(count - len(posts))]
    random.Random(1).shuffle(posts)
    return posts


def _change_in_kommo(bench: Bench, count: int) -> None:
    """Let staff change the price of so many leads."""
    session = requests.Session()
    for lead_id in Card.objects.order_by("kommo_lead_id").values_list("kommo_lead_id", flat=True)[:count]:
        answer = session.post(
            f"{bench.sandbox_url}/_sandbox/leads/{lead_id}/edit", json={"price": PRICE_OF_A_PERSON}, timeout=10
        )
        answer.raise_for_status()
