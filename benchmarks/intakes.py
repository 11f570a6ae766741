"""What ways in cost: how soon a call is acknowledged with twenty clients, and what reading ten thousand takes.

Calls go through a web server as it is deployed; what was acknowledged must be there. Then a burst of messages by many
people is read: the number of statements must not grow with the messages, and every message must be there once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks import cards
from benchmarks.figures import Figure, at_least, at_most, percentile
from benchmarks.harness import POSTGRES, Bench, Broken, Progress, say
from bridge.intakes import managing_intakes, reading_calls
from bridge.models import IntakeCall
from common.statements import insert
from leads.models import Message

CLIENTS = 20
ACKNOWLEDGED_WITHIN = 0.1  # seconds
MESSAGES_OF_A_PERSON = 4
# Statements for each message read: a round of five hundred calls makes some dozens for each time a person speaks.
STATEMENTS_PER_MESSAGE = 1
RATE = 100  # messages a second


def run(bench: Bench) -> Iterator[Figure]:
    cards.connect(bench)
    intake = managing_intakes.establish("evolution", "bench")
    yield from _acknowledging(bench, managing_intakes.path_of(intake))
    IntakeCall.objects.all().delete()
    yield from _reading(bench, intake.pk)


def _acknowledging(bench: Bench, path: str) -> Iterator[Figure]:
    count = bench.size(4_000, 400)
    bench.start_web(workers=2, threads=4 if bench.database == POSTGRES else 2)

    def post(number: int) -> float:
        client = _connection(bench.web_url)
        started = time.perf_counter()
        client.request("POST", path, _body(number), {"Content-Type": "application/json"})
        answer = client.getresponse()
        answer.read()
        seconds = time.perf_counter() - started
        if answer.status != HTTPStatus.OK:
            raise Broken(f"the web server answered {answer.status}")
        return seconds

    with ThreadPoolExecutor(CLIENTS) as clients:
        # Connections and code are warm afterwards.
        list(clients.map(post, range(CLIENTS * 5)))
        seconds = list(clients.map(post, range(count)))
    stored = IntakeCall.objects.count()
    if stored != count + CLIENTS * 5:
        raise Broken(f"{count + CLIENTS * 5 - stored} calls were acknowledged and are not stored")
    slow = percentile(seconds, 99)
    name = f"call to a way in acknowledged, p99, {CLIENTS} clients {bench.on}"
    yield at_most(1, name, slow / ACKNOWLEDGED_WITHIN, f"{ACKNOWLEDGED_WITHIN * 1000:.0f} ms ({slow * 1000:.0f} ms)")


def _reading(bench: Bench, intake_id: int) -> Iterator[Figure]:
    count, now = bench.size(10_000, 1_000), timezone.now()
    for start in range(0, count, 500):
        insert(
            [
                IntakeCall(intake_id=intake_id, received_at=now, due_at=now, body=_body(number))
                for number in range(start, min(start + 500, count))
            ]
        )
    say(f"    {count:,} messages of {count // MESSAGES_OF_A_PERSON:,} people")
    progress, started, left = Progress("messages", count), time.perf_counter(), count
    connection.queries_limit = 10_000_000
    with CaptureQueriesContext(connection) as captured:
        while left:
            reading_calls.read_all()
            before, left = left, IntakeCall.objects.filter(state=IntakeCall.State.RECEIVED).count()
            if left == before:
                raise Broken(f"{left} calls stay unread")
            progress.at(count - left)
    seconds = time.perf_counter() - started
    if Message.objects.count() != count:
        raise Broken(f"{count} messages came, and {Message.objects.count()} are there")
    each = len(captured) / count
    yield at_most(
        STATEMENTS_PER_MESSAGE, f"statements a message, {count:,} messages {bench.on}", each, f"one ({len(captured):,})"
    )
    yield at_least(
        1,
        f"messages of ways in read, rate {bench.on}",
        count / seconds / RATE,
        f"{RATE} a second ({count / seconds:,.0f})",
    )


_local = threading.local()


def _connection(web_url: str) -> HTTPConnection:
    """Return this thread's own connection, kept open."""
    if not hasattr(_local, "connection"):
        _local.connection = HTTPConnection(urlsplit(web_url).netloc, timeout=30)
    client: HTTPConnection = _local.connection
    return client


def _body(number: int) -> bytes:
    person = number // MESSAGES_OF_A_PERSON
    return json.dumps(
        {
            "event": "messages.upsert",
            "instance": "bench",
            "data": {
                "key": {
                    "remoteJid": f"55819{80_000_000 + person}@s.whatsapp.net",
                    "fromMe": False,
                    "id": f"3A{number:018d}",
                },
                "pushName": f"Lead {person}",
                "message": {"conversation": f"mensagem {number}"},
                "messageTimestamp": int(time.time()),
            },
            "sender": "558134567800@s.whatsapp.net",
            "apikey": "B7A1C0F2",
        }
    ).encode()
