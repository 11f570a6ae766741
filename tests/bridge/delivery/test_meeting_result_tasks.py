"""A meeting that has gone by without a result is a task for the seller, once, and ticked off when the result comes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from django.utils import timezone

from bridge.delivery import calls_for_a_person, meeting_result_tasks
from bridge.models import Briefing
from leads import meetings, stage_moves
from leads.interaction_values import Meeting as Told
from leads.models import Lead, Meeting, Stage
from tests.bridge.delivery.test_handoff_notes import notes_and_tasks
from tests.conftest import drain, lead_of, record, rested

TASK = "Contar como foi a reunião"


@pytest.fixture
def asking(pipeline):
    return with_task(pipeline)


def with_task(pipeline):
    pipeline.meeting_result_task, pipeline.meeting_result_task_after = TASK, timedelta(hours=2)
    pipeline.save(update_fields=["meeting_result_task", "meeting_result_task_after"])
    return pipeline


def tell(pipeline, status: str, name: str = "evt", *, starts_at: Any = None) -> None:
    record(pipeline, context={"meeting": Told(status, name, starts_at)})


def met(pipeline, account, *, ago: timedelta, name: str = "evt") -> Lead:
    """A lead whose meeting began so long ago, and nobody has said anything since."""
    tell(pipeline, "scheduled", name, starts_at=timezone.now() + timedelta(days=1))
    drain(account)
    began = timezone.now() - ago
    Meeting.objects.filter(meeting_id=name).update(starts_at=began)
    Lead.objects.update(meeting_starts_at=began, stage_set_at=began - timedelta(days=1))
    meetings.pass_all(now=timezone.now())
    return lead_of()


def asked(kommo, lead) -> list[dict[str, Any]]:
    _, tasks = notes_and_tasks(kommo, lead)
    return [task for task in tasks if task["text"].startswith(TASK)]


def look(account) -> None:
    meeting_result_tasks.ask_for_results(now=timezone.now())
    drain(rested(account))


def test_a_meeting_without_a_result_is_one_task_however_often_one_looks(account, asking, kommo):
    lead = met(asking, account, ago=timedelta(hours=3))
    for _ in range(3):
        look(account)

    [task] = asked(kommo, lead)
    began = lead.meeting_starts_at.astimezone(ZoneInfo("America/Sao_Paulo"))
    assert f"({began:%d/%m/%Y %H:%M})" in task["text"]
    assert not task["is_completed"]
    assert notes_and_tasks(kommo, lead)[0] == []


@pytest.mark.parametrize("status", ["completed", "no_show", "cancelled"])
def test_the_result_ticks_it_off(account, asking, kommo, status):
    lead = met(asking, account, ago=timedelta(hours=3))
    look(account)
    tell(asking, status)
    look(account)

    [task] = asked(kommo, lead)
    assert task["is_completed"]
    writes = len([call for call in kommo.journal() if call["write"]])
    look(account)
    assert len([call for call in kommo.journal() if call["write"]]) == writes


def test_a_card_that_a_person_moved_is_a_result(account, asking, kommo):
    lead = met(asking, account, ago=timedelta(hours=3))
    look(account)
    won = Stage.objects.get(pipeline=asking, key="won")
    stage_moves.move(lead, won, by=Lead.Actor.STAFF, reason="x", now=timezone.now())
    look(account)

    [task] = asked(kommo, lead)
    assert task["is_completed"]


def test_what_a_person_wrote_when_they_ticked_it_off_stands(account, asking, kommo):
    lead = met(asking, account, ago=timedelta(hours=3))
    look(account)
    [task] = asked(kommo, lead)
    done(kommo, task["id"], "fechou na hora")
    tell(asking, "completed")
    look(account)

    [task] = asked(kommo, lead)
    assert task["result"] == {"text": "fechou na hora"}
    assert not Briefing.objects.filter(resolved_at=None).exists()


def done(kommo, task_id: int, text: str) -> None:
    answer = requests.patch(
        f"{kommo.url}/api/v4/tasks/{task_id}",
        json={"is_completed": True, "result": {"text": text}},
        headers={"Authorization": "Bearer sandbox-token"},
        timeout=10,
    )
    answer.raise_for_status()


@pytest.mark.parametrize("mode", ["drop_after", "drop_before", "500", "invalid_json"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_written_and_ticked_off_once_whatever_becomes_of_the_answer(account, asking, kommo, mode, method):
    lead = met(asking, account, ago=timedelta(hours=3))
    kommo.fault(mode, count=1, path="/api/v4/tasks", method=method)
    for status in ("", "completed"):
        if status:
            tell(asking, status)
        for _ in range(2):
            look(account)
            Briefing.objects.exclude(due_at=None).update(due_at=timezone.now())
            drain(rested(account))

    [task] = asked(kommo, lead)
    assert task["is_completed"]
    assert not Briefing.objects.exclude(due_at=None).exists()


def test_a_result_that_comes_while_the_answer_is_lost_ends_what_was_written(account, asking, kommo):
    lead = met(asking, account, ago=timedelta(hours=3))
    kommo.fault("drop_after", count=1, path="/api/v4/tasks", method="POST")
    look(account)
    assert Briefing.objects.get().task_id is None
    tell(asking, "no_show")
    Briefing.objects.update(due_at=timezone.now())
    look(account)

    [task] = asked(kommo, lead)
    assert task["is_completed"]


def test_a_result_before_its_time_and_no_wish_for_a_task_make_none(account, asking, kommo):
    lead = met(asking, account, ago=timedelta(hours=1))
    look(account)
    tell(asking, "completed")
    look(account)
    assert notes_and_tasks(kommo, lead) == ([], [])


def test_without_the_switch_nobody_is_asked_and_switching_it_on_asks_for_nothing_old(account, pipeline, kommo):
    lead = met(pipeline, account, ago=timedelta(days=3))
    look(account)
    with_task(pipeline)
    look(account)
    assert notes_and_tasks(kommo, lead) == ([], [])


def test_each_of_two_meetings_is_asked_for(account, asking, kommo):
    met(asking, account, ago=timedelta(hours=5), name="a")
    lead = met(asking, account, ago=timedelta(hours=3), name="b")
    look(account)
    tell(asking, "completed", "a")
    look(account)

    assert sorted(task["is_completed"] for task in asked(kommo, lead)) == [False, True]


def test_a_call_on_the_day_of_such_a_task_is_heard_all_the_same(account, asking, kommo):
    lead = met(asking, account, ago=timedelta(hours=3))
    look(account)
    calls_for_a_person.call(lead, "the lead wrote from X", now=timezone.now())
    assert Briefing.objects.filter(call="the lead wrote from X").exists()
