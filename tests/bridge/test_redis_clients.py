"""A Redis that is away harms nothing that was accepted."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

import pytest
from django.core.cache.backends.redis import RedisCache
from django.utils import timezone

from bridge import doctor, redis_clients
from bridge.api import api_keys
from bridge.models import ApiKey
from bridge.redis_clients import Cache


@pytest.fixture
def nobody():
    """The address of a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"redis://127.0.0.1:{port}/0"


def test_a_cache_without_its_redis_holds_nothing_and_fails_nobody(nobody):
    cache = Cache(nobody, {})

    assert cache.add("calls", 1) is True
    assert cache.incr("calls") == 1
    cache.set("seen", "yes")
    assert (cache.get("seen"), cache.delete("seen")) == (None, False)


@pytest.mark.parametrize("default", [None, [], {}, 0, "nothing"])
def test_what_is_not_there_is_what_the_asker_takes_for_nothing(nobody, default):
    """The queue asks so for its list of clusters, and wrote an error twice a second while Redis was away."""
    assert Cache(nobody, {}).get("clusters", default) == default
    assert Cache(nobody, {}).get("clusters", default=default) == default


@pytest.fixture
def silent():
    """The address of a server that takes every connection and never answers, and how many it took."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        taken = []

        def take() -> None:
            with suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0", taken
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in taken:
            connection.close()


def test_a_redis_that_never_answers_is_asked_once_and_then_left_alone_for_a_while(silent):
    address, taken = silent
    cache = Cache(address, {})

    for number in range(20):
        assert cache.add(f"calls:{number}", 1) is True
        assert Cache(address, {}).get("zone") is None

    assert len(taken) <= 2


def test_a_redis_is_asked_again_after_a_while(silent, monkeypatch):
    address, taken = silent
    cache = Cache(address, {})
    cache.get("zone")
    before = len(taken)
    cache.left_alone_until = 0.0

    cache.get("zone")

    assert len(taken) > before


def test_djangos_own_cache_would_fail_there(nobody):
    with pytest.raises(redis_clients.RedisError):
        RedisCache(nobody, {}).get("seen")


def test_an_agent_is_answered_while_redis_is_away(client, pipeline, settings, nobody):
    settings.CACHES = {"default": {"BACKEND": "bridge.redis_clients.Cache", "LOCATION": nobody}}
    headers = {"authorization": f"Api-Key {api_keys.issue(ApiKey(name='agent'))}"}

    answer = client.get("/api/v1/agent/may-reply/", {"phone": "5581999990000"}, headers=headers)

    assert answer.json()["may_reply"] is True


def test_doctor_says_that_redis_is_away(db, settings, nobody):
    settings.REDIS_URL = nobody

    found = [finding for finding in doctor.examine(timezone.now(), ask_kommo=False) if finding.check == "queue"]

    assert "Redis does not answer" in found[0].message
    assert "REDIS_URL" in found[0].remedy


@pytest.mark.skipif(not os.environ.get("TEST_REDIS_URL"), reason="TEST_REDIS_URL names no Redis")
def test_a_redis_that_answers_counts_and_two_installations_do_not_meet():
    url = os.environ["TEST_REDIS_URL"]
    ours = Cache(url, {"KEY_PREFIX": f"ours-{os.getpid()}"})
    theirs = Cache(url, {"KEY_PREFIX": f"theirs-{os.getpid()}"})

    assert ours.add("calls", 1, timeout=5)
    assert not ours.add("calls", 1, timeout=5)
    assert ours.incr("calls") == 2
    assert theirs.get("calls") is None
