"""The limit of calls for one key, over all web servers together: they count in the Redis they share."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import ExitStack
from uuid import uuid4

import pytest
import requests

from bridge.demo.stage import Stage, free_port
from tests.e2e.stack import database, kinds, migrated, port

CALLS = 40
A_SECOND = 3

pytestmark = pytest.mark.skipif(not os.environ.get("TEST_REDIS_URL"), reason="TEST_REDIS_URL names no Redis")


def test_two_web_servers_keep_one_limit(tmp_path):
    kind = kinds()[0].partition("+")[0]
    with ExitStack() as open_until_the_end:
        like = migrated(kind, os.environ.get("TEST_DATABASE_URL", ""))
        extra = {
            "DATABASE_URL": open_until_the_end.enter_context(database(kind, tmp_path, like=like)),
            "REDIS_URL": os.environ["TEST_REDIS_URL"],
            "Q_NAME": f"bridge-{uuid4().hex[:12]}",
            "API_REQUESTS_PER_SECOND": str(A_SECOND),
        }
        servers = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            server = Stage(tmp_path / name, web_port=free_port(port()), sandbox_port=0, extra=extra)
            servers.append(open_until_the_end.enter_context(server))
            server.start_web()
        headers = {"Authorization": f"Api-Key {servers[0].manage('api_key', 'agent')}"}

        began = time.time()
        answers = [
            requests.get(f"{server.web_url}/api/v1/agent/may-reply/?phone=81999990000", headers=headers, timeout=30)
            for server in itertools.islice(itertools.cycle(servers), CALLS)
        ]
        seconds = int(time.time()) - int(began) + 1

    taken = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(taken) + len(refused) == CALLS
    # Counted by clock second, as the servers do: two that counted apart would take twice as many.
    assert A_SECOND <= len(taken) <= A_SECOND * seconds
    assert refused
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
