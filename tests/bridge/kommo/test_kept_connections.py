"""A connection stands from one drain to the next, for as long as nobody hangs up on it."""

from __future__ import annotations

from bridge.kommo.kept_connections import KEPT_SECONDS, Sessions


class Session:
    is_open = True

    def close(self):
        self.is_open = False


class Clock:
    time = 0.0

    def __call__(self):
        return self.time


def test_the_one_used_last_is_taken_and_by_one_alone():
    sessions, first, last = Sessions(), Session(), Session()
    for session in (first, last):
        sessions.give("https://acme.kommo.com", session)

    assert sessions.take("https://other.kommo.com") is None
    assert [sessions.take("https://acme.kommo.com") for _ in range(3)] == [last, first, None]


def test_what_was_idle_for_long_is_closed_whoever_comes():
    clock = Clock()
    sessions, old, young = Sessions(clock), Session(), Session()
    sessions.give("https://acme.kommo.com", old)
    clock.time = KEPT_SECONDS + 1
    sessions.give("https://other.kommo.com", young)

    assert not old.is_open
    assert sessions.take("https://acme.kommo.com") is None
    assert sessions.take("https://other.kommo.com") is young
    assert young.is_open
