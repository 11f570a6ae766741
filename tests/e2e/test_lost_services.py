"""Database and broker go away and come back under load: what was accepted arrives, once, and the rest was refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from bridge.demo.stage import free_port
from tests.e2e.servers import IS_THERE, Postgres, Redis
from tests.e2e.stack import Stack, eventually, new_phone, port, running

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not IS_THERE, reason="PostgreSQL and Redis are not installed"),
]


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[tuple[Postgres, Redis]]:
    folder = tmp_path_factory.mktemp("servers")
    postgres, redis = Postgres(free_port(port())), Redis(folder, free_port(port()))
    postgres.start()
    redis.start()
    try:
        yield postgres, redis
    finally:
        redis.kill()
        postgres.remove()


@pytest.fixture(scope="module")
def ours(servers, tmp_path_factory) -> Iterator[Stack]:
    """A stack on servers of its own."""
    postgres, redis = servers
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TEST_DATABASE_URL", postgres.url)
        patched.setenv("TEST_REDIS_URL", redis.url)
        with running("postgres+redis", tmp_path_factory.mktemp("lost")) as stack:
            yield stack


class Agent:
    """Reports new leads one after the other, and keeps what it was answered."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.accepted: list[str] = []
        self.refused: list[int] = []
        self._enough = threading.Event()

    @contextmanager
    def talking(self) -> Iterator[None]:
        thread = threading.Thread(target=self._talk)
        thread.start()
        try:
            yield
        finally:
            self._enough.set()
            thread.join()

    def _talk(self) -> None:
        while not self._enough.wait(0.1):
            phone = new_phone()
            answer = self._stack.call("POST", "interactions/", {"lead": {"phone": phone, "name": "Rita"}})
            if answer.ok:
                self.accepted.append(phone)
            else:
                assert int(answer.headers["Retry-After"]) > 0
                assert answer.headers["Content-Type"] == "application/problem+json"
                self.refused.append(answer.status_code)


def everything_arrived_once(stack: Stack, phones: list[str]) -> None:
    for phone in phones:
        eventually(lambda phone=phone: stack.card(phone))


def answers_more(agent: Agent, count: int = 3) -> None:
    """Wait until the agent is answered again so many times."""
    before = len(agent.accepted)

    def look() -> None:
        assert len(agent.accepted) >= before + count

    eventually(look)


def test_a_database_that_crashes_loses_nothing_that_was_accepted(ours, servers):
    postgres, _ = servers
    agent = Agent(ours)

    with agent.talking():
        answers_more(agent)
        postgres.stop("immediate")

        def refusing() -> None:
            assert len(agent.refused) >= 3

        eventually(refusing)
        assert requests.get(f"{ours.web_url}/healthz", timeout=10).status_code == 200
        assert requests.get(f"{ours.web_url}/readyz", timeout=10).status_code == 503
        postgres.start()
        answers_more(agent)

    assert set(agent.refused) == {503}
    everything_arrived_once(ours, agent.accepted)
    assert "worker_stops" not in ours.log_of("worker")


def test_connections_that_the_database_ends_are_made_anew(ours, servers):
    postgres, _ = servers
    agent = Agent(ours)

    with agent.talking():
        answers_more(agent)
        postgres.stop("fast")
        postgres.start()
        answers_more(agent)

    everything_arrived_once(ours, agent.accepted)


def test_a_broker_that_dies_with_all_it_held_delays_and_refuses_nothing(ours, servers):
    _, redis = servers
    agent = Agent(ours)

    with agent.talking():
        answers_more(agent)
        redis.kill()
        answers_more(agent, 10)
        redis.start()
        answers_more(agent)

    assert agent.refused == []
    everything_arrived_once(ours, agent.accepted)
