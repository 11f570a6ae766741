"""What a seller is told at a handoff: a note and a task, each once."""

from __future__ import annotations

import pytest
from django.utils import timezone

from bridge.models import Briefing
from leads import handoff
from leads.interactions import Direction, Message
from leads.models import Lead, Stage
from leads.stages import move
from tests.conftest import drain, record, rested


@pytest.fixture
def lead(account, pipeline):
    record(
        pipeline,
        name="Maria Souza",
        bill_value=4500,
        chosen_flow="Aluguel de Lote",
        message=Message(Direction.INBOUND, text="Quero falar com alguém"),
        context={"objections": ["preço"]},
    )
    drain(account)
    return Lead.objects.get()


def hand_over(lead):
    stage = Stage.objects.get(key="human_handoff")
    move(lead, stage, by=Lead.Actor.STAFF, reason="asked for a person", now=timezone.now())


def told(kommo, lead):
    shown = kommo.get(f"leads/{lead.card.kommo_lead_id}")
    return [note["params"]["text"] for note in shown["notes"]], shown["tasks"]


def test_the_seller_gets_what_is_known_and_a_task_with_a_deadline(account, lead, kommo):
    hand_over(lead)
    drain(account)

    notes, tasks = told(kommo, lead)
    [note] = notes
    for known in ("Maria Souza", "Aluguel de Lote", "4.500,00", "preço", "Quero falar com alguém"):
        assert known in note
    [task] = tasks
    assert task["text"].startswith("Assumir o atendimento")
    assert task["complete_till"] > timezone.now().timestamp() + 3000
    assert task["responsible_user_id"] == kommo.lead(lead.card.kommo_lead_id)["responsible_user_id"]


@pytest.mark.parametrize("mode", ["drop_after", "drop_before", "500", "504", "invalid_json", "429"])
@pytest.mark.parametrize("path", ["/api/v4/leads/notes", "/api/v4/tasks"])
def test_both_are_written_once_whatever_becomes_of_the_answer(account, lead, kommo, mode, path):
    kommo.fault(mode, count=1, path=path, method="POST")
    hand_over(lead)
    for _ in range(3):
        rested(account)
        Briefing.objects.exclude(due_at=None).update(due_at=timezone.now())
        drain(account)
    notes, tasks = told(kommo, lead)
    assert (len(notes), len(tasks)) == (1, 1)
    assert Briefing.objects.get().due_at is None


def test_a_handoff_that_ended_before_tells_nobody(account, lead, kommo):
    hand_over(lead)
    handoff.resume(Lead.objects.get(), by=Lead.Actor.STAFF, reason="a mistake", now=timezone.now())
    drain(account)
    assert told(kommo, lead) == ([], [])


def test_a_second_handoff_is_told_again(account, lead, kommo):
    hand_over(lead)
    drain(account)
    handoff.resume(Lead.objects.get(), by=Lead.Actor.STAFF, reason="done", now=timezone.now())
    handoff.pause(
        Lead.objects.get(), source=Lead.HandoffSource.API, by=Lead.Actor.AGENT, reason="again", now=timezone.now()
    )
    drain(account)
    assert [len(part) for part in told(kommo, lead)] == [2, 2]


def test_note_and_task_can_be_switched_off(account, lead, kommo, pipeline):
    pipeline.refresh_from_db()
    pipeline.handoff_note, pipeline.handoff_task = False, ""
    pipeline.save()
    hand_over(Lead.objects.get())
    drain(account)
    assert told(kommo, lead) == ([], [])
