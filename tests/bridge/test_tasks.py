"""Tasks that stop in the middle of their work ask for another turn at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django_q.models import OrmQ

from bridge import tasks
from followups import dispatch


@pytest.mark.django_db
@pytest.mark.parametrize("more", [True, False])
def test_sending_goes_on_at_once_when_time_was_up(monkeypatch, more):
    monkeypatch.setattr(dispatch, "fire", lambda **_: more)
    tasks.send_followups()
    assert [message.func() for message in OrmQ.objects.all()] == ["bridge.tasks.send_followups"] * more


@pytest.mark.django_db
@pytest.mark.parametrize("task", [tasks.send_followups, tasks.tell_agent])
def test_with_nothing_due_nothing_is_asked_for(task):
    task()
    assert not OrmQ.objects.exists()


@pytest.mark.django_db
def test_telling_the_agent_goes_on_at_once_when_time_was_up(monkeypatch):
    monkeypatch.setattr(tasks, "LONGEST_SENDING", timedelta(0))
    tasks.tell_agent()
    assert [message.func() for message in OrmQ.objects.all()] == ["bridge.tasks.tell_agent"]
