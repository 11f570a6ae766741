"""Database, broker and disk space go away and come back under load: what was accepted arrives, the rest was refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

import pytest
import requests

from bridge.demo.stage import free_port
from tests.e2e.disks import SmallDisk
from tests.e2e.servers import IS_THERE, Postgres, Redis
from tests.e2e.stack import Stack, database, eventually, migrated, new_phone, port, running

# It starts services of its own, to crash them.
pytestmark = pytest.mark.once
OF_POSTGRES_MIB = 250
OF_SQLITE_MIB = 20


@pytest.fixture(scope="module")
def disk() -> Iterator[SmallDisk]:
    """The disk of the PostgreSQL below."""
    disk = SmallDisk(OF_POSTGRES_MIB)
    yield disk
    disk.remove()


@pytest.fixture(scope="module")
def servers(tmp_path_factory, disk) -> Iterator[tuple[Postgres, Redis]]:
    if not IS_THERE:
        pytest.skip("PostgreSQL and Redis are not installed")
    folder = tmp_path_factory.mktemp("servers")
    postgres, redis = Postgres(free_port(port()), disk.folder), Redis(folder, free_port(port()))
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
            message = {"direction": "inbound", "text": token_hex(500)}
            body = {"lead": {"phone": phone, "name": "Rita"}, "message": message}
            answer = self._stack.call("POST", "interactions/", body)
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


def a_webhook(stack: Stack) -> int:
    """Call the bridge as Kommo does, about a lead nobody knows; return the status of the answer."""
    [subscription] = stack.kommo.get("webhooks")["subscriptions"]
    # Random, or the database would compress it to nearly nothing.
    body = {"leads[update][0][id]": "1", "leads[update][0][name]": token_hex(20_000)}
    return requests.post(subscription["destination"], data=body, timeout=30).status_code


def a_full_disk_refuses_and_loses_nothing(stack: Stack, disk: SmallDisk) -> None:
    agent = Agent(stack)

    with agent.talking():
        answers_more(agent)
        disk.fill()

        def refusing() -> None:
            assert len(agent.refused) >= 3
            assert a_webhook(stack) == 503

        eventually(refusing)
        assert requests.get(f"{stack.web_url}/healthz", timeout=10).status_code == 200
        disk.free()
        answers_more(agent)

    assert set(agent.refused) == {503}
    assert a_webhook(stack) == 200
    everything_arrived_once(stack, agent.accepted)
    assert "worker_stops" not in stack.log_of("worker")


def test_a_disk_that_is_full_loses_nothing_that_was_accepted(ours, disk):
    if not disk.mounted:
        pytest.skip("a small disk cannot be mounted here")
    a_full_disk_refuses_and_loses_nothing(ours, disk)


def test_sqlite_on_a_disk_that_is_full_loses_nothing_that_was_accepted(tmp_path):
    disk = SmallDisk(OF_SQLITE_MIB)
    try:
        if not disk.mounted:
            pytest.skip("a small disk cannot be mounted here")
        with (
            database("sqlite", disk.folder, like=migrated("sqlite", "")) as url,
            running("sqlite", tmp_path, DATABASE_URL=url) as stack,
        ):
            a_full_disk_refuses_and_loses_nothing(stack, disk)
    finally:
        disk.remove()
