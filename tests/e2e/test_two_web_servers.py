"""What holds over all web servers together: one limit of calls for a key, and one act for a call that is repeated."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from bridge.demo.stage import Stage, free_port
from tests.e2e.stack import ENCRYPTION_KEY, database, kinds, migrated, port

CALLS = 40
A_SECOND = 3
ROUNDS = 25


@contextmanager
def two_servers(directory: Path, **settings: str) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the addresses of two web servers over one database, and the headers that let an agent in."""
    kind = kinds()[0].partition("+")[0]
    with ExitStack() as open_until_the_end:
        like = migrated(kind, os.environ.get("TEST_DATABASE_URL", ""))
        place = database(kind, directory, like=like)
        extra = {
            "DATABASE_URL": open_until_the_end.enter_context(place),
            "FIELD_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "Q_NAME": f"bridge-{uuid4().hex[:12]}",
        }
        servers = []
        for name in ("one", "other"):
            (directory / name).mkdir()
            server = Stage(directory / name, web_port=free_port(port()), sandbox_port=0, extra={**extra, **settings})
            servers.append(open_until_the_end.enter_context(server))
            server.start_web()
        headers = {"Authorization": f"Api-Key {servers[0].manage('api_key', 'agent')}"}
        yield [server.web_url for server in servers], headers


@pytest.mark.skipif(not os.environ.get("TEST_REDIS_URL"), reason="TEST_REDIS_URL names no Redis")
def test_two_web_servers_keep_one_limit(tmp_path):
    redis = os.environ["TEST_REDIS_URL"]
    with two_servers(tmp_path, REDIS_URL=redis, API_REQUESTS_PER_SECOND=str(A_SECOND)) as (addresses, headers):
        began = time.time()
        answers = [
            requests.get(f"{address}/api/v1/agent/may-reply/?phone=81999990000", headers=headers, timeout=30)
            for address in itertools.islice(itertools.cycle(addresses), CALLS)
        ]
        seconds = int(time.time()) - int(began) + 1

    taken = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(taken) + len(refused) == CALLS
    # Counted by clock second, as the servers do: two that counted apart would take twice as many.
    assert A_SECOND <= len(taken) <= A_SECOND * seconds
    assert refused
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}


def test_the_same_call_at_the_same_moment_acts_once(tmp_path):
    with two_servers(tmp_path, API_REQUESTS_PER_SECOND="10000") as (addresses, headers), ThreadPoolExecutor(4) as pool:
        gate = threading.Barrier(4)

        def post(address: str, key: str, body: dict[str, Any]) -> requests.Response:
            gate.wait(30)
            url = f"{address}/api/v1/interactions/"
            return requests.post(url, json=body, headers=headers | {"Idempotency-Key": key}, timeout=60)

        def at_once(keys: list[str], bodies: list[dict[str, Any]]) -> list[requests.Response]:
            return list(pool.map(post, [*addresses, *addresses], keys, bodies))

        for number in range(ROUNDS):
            phone = f"+55819{number:08d}"
            body = {"lead": {"phone": phone, "name": "Ana"}}

            same = at_once([f"same-{number}"] * 4, [body] * 4)
            assert [(answer.status_code, answer.json()) for answer in same] == [(201, same[0].json())] * 4

            # One key for four things that were said: the first that comes counts.
            names = [{"lead": {"phone": phone, "name": name}} for name in ("Bia", "Caio", "Duda", "Eva")]
            others = at_once([f"other-{number}"] * 4, names)
            assert sorted(answer.status_code for answer in others) == [200, 409, 409, 409]

            # Four first messages of one person.
            first = [{"lead": {"phone": f"+55829{number:08d}"}}] * 4
            firsts = at_once([f"first-{number}-{place}" for place in range(4)], first)
            assert sorted(answer.status_code for answer in firsts) == [200, 200, 200, 201]
            assert len({answer.json()["lead"]["id"] for answer in firsts}) == 1

            lead_id = same[0].json()["lead"]["id"]
            timeline = requests.get(f"{addresses[0]}/api/v1/leads/{lead_id}/timeline/", headers=headers, timeout=30)
            kinds_of_event = [event["kind"] for event in timeline.json()["results"]]
            assert kinds_of_event.count("interaction") == 2
