"""Several accounts are seen to side by side in one process of the queue."""

from __future__ import annotations

import threading

import pytest

from bridge import account_threads as module
from bridge.account_threads import Crew

PATIENCE = 10


@pytest.fixture
def in_the_queue(monkeypatch):
    """As in a process that a cluster has started."""
    monkeypatch.setattr(module.multiprocessing, "parent_process", lambda: object())
    monkeypatch.setattr(module, "LOOKS_UP_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(module, "GOES_AFTER_SECONDS", 0.05)
    monkeypatch.setattr(module, "close_old_connections", lambda: None)


def ended(crew):
    """Wait until nobody of the crew is there any more."""
    for thread in threading.enumerate():
        if thread.name == "crew":
            thread.join(PATIENCE)
    return crew._there == crew._busy == 0


def test_one_that_waits_delays_no_other(in_the_queue):
    crew, answer, done = Crew(), threading.Event(), threading.Event()
    assert crew.take(lambda: answer.wait(PATIENCE))
    assert crew.take(done.set)
    assert done.wait(PATIENCE)
    answer.set()
    assert ended(crew)


def test_whoever_finds_everybody_busy_does_it_alone(in_the_queue):
    crew, answer = Crew(size=1), threading.Event()
    assert crew.take(lambda: answer.wait(PATIENCE))
    assert not crew.take(lambda: None)
    answer.set()
    assert ended(crew)


def test_a_job_that_fails_takes_nobody_along(in_the_queue):
    crew, done = Crew(size=1), threading.Event()

    def fail():
        raise ValueError("nobody's fault")

    assert crew.take(fail)
    while not crew.take(done.set):
        pass
    assert done.wait(PATIENCE)
    assert ended(crew)


def test_a_process_that_ends_begins_nothing_more(in_the_queue, monkeypatch):
    monkeypatch.setattr(module, "is_over", lambda: True)
    assert not Crew().take(lambda: None)


def test_outside_the_queue_there_is_no_crew():
    assert not module.is_there()
    assert not Crew().take(lambda: None)
